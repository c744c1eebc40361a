package cli

import (
	"fmt"
)

// welcome prints what to do next, for gatehouse without a command. That depends
// on whether there is a configuration.
func (p *cli) welcome() error {
	s := screenOf(p.Out)
	line := func(what, how string) string { return fmt.Sprintf("  %-22s %s\n", what, s.paint(bold, how)) }
	text := "Gatehouse puts a login in front of any web application.\n\n"
	if file, err := p.findConfig(); err == nil {
		text += "There is a configuration: " + file + "\n\n" +
			line("Check it", "gatehouse check") +
			line("Let somebody in", "gatehouse user add alice") +
			line("Run it", "gatehouse serve") +
			line("Who is signed in", "gatehouse session list")
	} else {
		text += line("See it at work", "gatehouse demo") +
			line("... with your own", "gatehouse demo --upstream http://127.0.0.1:3000") + `
To protect an application for good, write a file gatehouse.yaml:

    listen: 127.0.0.1:8080
    routes:
      - upstream: http://127.0.0.1:3000

and then:

` +
			line("Check it", "gatehouse check") +
			line("Let somebody in", "gatehouse user add alice") +
			line("Run it", "gatehouse serve")
	}
	text += "\n" + line("All commands", "gatehouse --help") +
		line("All settings", "docs/configuration.md, config.example.yaml") +
		line("Your application", "docs/protect-your-app.md")
	_, err := fmt.Fprint(p.Out, text)
	return err
}
