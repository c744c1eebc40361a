package server

import (
	"errors"
	"strings"
	"testing"

	"gatehouse/config"
)

func TestReloadIsAllOrNothing(t *testing.T) {
	r := start(t, "login: {title: One}\n")
	c := r.dial()
	for _, step := range []struct{ name, lines, want string }{
		{"a good one", "login: {title: Two}\n", ""},
		{"a mistake", "login: {titel: Three}\n", "titel"},
		{"a restart is needed", "login: {title: Three}\nadmin: {listen: 127.0.0.1:1}\nlog: {format: text}\n", "needs a restart: admin.listen, log.format"},
		{"a good one again", "login: {title: Four}\n", ""},
	} {
		r.write(step.lines)
		err := c.Reload(t.Context())
		if step.want == "" && err != nil || step.want != "" && (err == nil || !strings.Contains(err.Error(), step.want)) {
			t.Errorf("%s: %v, want %q", step.name, err, step.want)
		}
		var problems config.Problems
		if step.name == "a mistake" && !errors.As(err, &problems) {
			t.Errorf("%s: the problems do not arrive as such: %v", step.name, err)
		}
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}
