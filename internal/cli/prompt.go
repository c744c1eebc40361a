package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"gatehouse/auth/password"
)

// terminal returns the terminal at which a person types; nil if standard input is
// not a terminal.
func (p *cli) terminal() *os.File {
	if f, ok := p.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// passwordTries is how often a new password may be refused before the command
// gives up.
const passwordTries = 3

// readNewPassword returns a new password that has passed password.Check. On a
// terminal it asks twice, without echo. Elsewhere, and with fromStdin, it reads
// one line of standard input. name is that of the account, which password.Check
// compares with the password; "" if it is not known.
func (p *cli) readNewPassword(ctx context.Context, name string, fromStdin bool) (string, error) {
	tty := p.terminal()
	if fromStdin || tty == nil {
		line, err := readLine(p.In)
		if err == nil {
			err = password.Check(line, name, p.least())
		}
		return line, err
	}
	for range passwordTries {
		chosen, err := p.askNewPassword(ctx, tty, name)
		if refused := (*refusedError)(nil); errors.As(err, &refused) {
			p.tell("%s Please try again.\n", refused.text)
			continue
		}
		return chosen, err
	}
	return "", errors.New("no password was set; nothing was changed")
}

// least returns how many characters a new password must have.
func (p *cli) least() int { return cmp.Or(p.passwordMin, password.DefaultMinLength) }

// A refusedError is a sentence that says why a password has to be typed again.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

// askNewPassword asks twice for one password and shows how hard it is to guess.
// It returns a refusedError if the person should try again.
func (p *cli) askNewPassword(ctx context.Context, tty *os.File, name string) (string, error) {
	first, err := p.askHidden(ctx, tty, "New password: ")
	if err != nil {
		return "", err
	}
	if first == "" {
		return "", &refusedError{"Nothing was typed."}
	}
	s := screenOf(p.Err)
	strength := password.StrengthOf(first, name, p.least())
	p.tell("Strength: %s\n", s.paint(strengthLook(strength), strength.String()))
	if err := password.Check(first, name, p.least()); err != nil {
		return "", &refusedError{sentence(err.Error())}
	}
	second, err := p.askHidden(ctx, tty, "Once more:    ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", &refusedError{"The two passwords differ."}
	}
	return first, nil
}

// strengthLook returns the colour in which a strength is shown.
func strengthLook(s password.Strength) string {
	switch {
	case s >= password.StrengthStrong:
		return green
	case s >= password.StrengthFair:
		return yellow
	default:
		return red
	}
}

// sentence returns an error's text, which must not be empty, as a sentence: with
// a capital first and a full stop last.
func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

// askHidden reads a line without echo. The echo is on again when it returns, also
// if ctx has ended it (Ctrl-C).
func (p *cli) askHidden(ctx context.Context, tty *os.File, prompt string) (string, error) {
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	p.tell("%s", prompt)
	line, err := readInterruptible(ctx, func() (string, error) {
		b, err := term.ReadPassword(fd)
		return string(b), err
	})
	p.tell("\n")
	if err != nil {
		return "", errors.Join(fmt.Errorf("read password: %w", err), term.Restore(fd, before))
	}
	return line, nil
}

// confirm asks a question and reports whether the answer is y or yes. Anything
// else, and the end of the input, is no.
func (p *cli) confirm(ctx context.Context, question string) (bool, error) {
	p.tell("%s [y/N] ", question)
	answer, err := readInterruptible(ctx, func() (string, error) { return bufio.NewReader(io.LimitReader(p.In, maxLine)).ReadString('\n') })
	if errors.Is(err, io.EOF) {
		p.tell("\n")
		err = nil
	}
	if err != nil {
		p.tell("\n")
		return false, fmt.Errorf("read answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	default:
		return false, nil
	}
}

// readInterruptible returns what read returns, or the error of ctx if that is
// done first. A read from a terminal cannot be interrupted, so it goes on in its
// goroutine until the process exits.
func readInterruptible(ctx context.Context, read func() (string, error)) (string, error) {
	type line struct {
		text string
		err  error
	}
	// The channel is buffered, so the goroutine ends even if nobody waits any
	// more.
	done := make(chan line, 1)
	go func() {
		text, err := read()
		done <- line{text, err}
	}()
	select {
	case l := <-done:
		return l.text, l.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// maxLine is how many bytes are read as one line. It is far more than a password
// may have, so the check of the password can say that it is too long.
const maxLine = 64 << 10

// readLine returns one line without its line break. An empty line is an error.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", errors.New("no password on standard input; write it on one line, for example: gatehouse hash --password-stdin < FILE")
	}
	return line, nil
}
