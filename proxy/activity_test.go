package proxy

import (
	"testing"

	"gatehouse/sessions"
)

// What counts as a use: by the path in every spelling, and by who asks.
func TestActivity(t *testing.T) {
	up := record(t, okAnswer)
	const (
		page   = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n"
		script = "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nAccept: */*\r\n"
		old    = "Accept: text/html,*/*\r\n" // a browser without fetch metadata
		upg    = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n"
	)
	every := sessions.ActivityConfig{Background: true}
	polls := sessions.ActivityConfig{Background: true, Ignore: []string{"/api/poll", "/ping/"}}
	people := sessions.ActivityConfig{}
	both := sessions.ActivityConfig{Ignore: []string{"/frame"}}
	for name, c := range map[string]struct {
		conf           sessions.ActivityConfig
		method, target string
		lines          string
		want           bool
	}{
		"a page":                               {every, "GET", "/", page, true},
		"a script":                             {every, "GET", "/api", script, true},
		"a WebSocket":                          {every, "GET", "/live", script + upg, true},
		"a program":                            {every, "GET", "/", "", true},
		"a public path":                        {every, "GET", "/public/x", page, false},
		"ignored":                              {polls, "GET", "/api/poll", script, false},
		"ignored, with a query":                {polls, "GET", "/api/poll?since=1", script, false},
		"ignored, below":                       {polls, "GET", "/api/poll/1", script, false},
		"ignored, a slash in the file":         {polls, "GET", "/ping", script, false},
		"ignored, even a page":                 {polls, "GET", "/api/poll", page, false},
		"ignored, even a form":                 {polls, "POST", "/api/poll", page + "Content-Length: 0\r\n", false},
		"ignored, escaped":                     {polls, "GET", "/api/%70oll", script, false},
		"ignored, escaped twice":               {polls, "GET", "/api/%2570oll", script, false},
		"ignored, with a parameter":            {polls, "GET", "/api/poll;v=1", script, false},
		"ignored, in capitals":                 {polls, "GET", "/API/Poll", script, false},
		"ignored, with slashes":                {polls, "GET", "/api//poll", script, false},
		"not ignored: another segment":         {polls, "GET", "/api/polls", script, true},
		"not ignored: above":                   {polls, "GET", "/api", script, true},
		"not ignored: deeper down":             {polls, "GET", "/x/api/poll", script, true},
		"people: a page":                       {people, "GET", "/", page, true},
		"people: a form":                       {people, "POST", "/", page + "Content-Length: 0\r\n", true},
		"people: a script":                     {people, "GET", "/", script, false},
		"people: an image":                     {people, "GET", "/x.png", "Sec-Fetch-Mode: no-cors\r\nAccept: image/*\r\n", false},
		"people: a WebSocket":                  {people, "GET", "/live", "Sec-Fetch-Mode: websocket\r\n" + upg, false},
		"people: what is fetched ahead":        {people, "GET", "/", page + "Sec-Purpose: prefetch\r\n", false},
		"people: two modes":                    {people, "GET", "/", "Sec-Fetch-Mode: cors\r\n" + page, false},
		"people: an odd mode":                  {people, "GET", "/", "Sec-Fetch-Mode: Navigate\r\nAccept: text/html\r\n", false},
		"people: an old browser's page":        {people, "GET", "/", old, true},
		"people: an old browser's script":      {people, "GET", "/", "Accept: */*\r\n", false},
		"people: XMLHttpRequest":               {people, "GET", "/", old + "X-Requested-With: XMLHttpRequest\r\n", false},
		"people: an old browser's WebSocket":   {people, "GET", "/live", old + upg, false},
		"people: an ignored page":              {both, "GET", "/frame", page, false},
		"people: a page beside an ignored one": {both, "GET", "/", page, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, setting{options: func(o *Options) { o.Activity = c.conf }}, fixture(up.url()))
			h.raw(t, c.method+" "+c.target+" HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+c.lines+"\r\n")
			h.gate.mu.Lock()
			defer h.gate.mu.Unlock()
			if got := len(h.gate.active) > 0; got != c.want {
				t.Errorf("counted as a use: %t, want %t", got, c.want)
			}
		})
	}
}

// A request that is refused is no use.
func TestRefusedIsNoActivity(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{options: func(o *Options) { o.Activity.Background = true }}, fixture(up.url()))
	h.get(t, "/admin/", aliceLine)
	if len(h.gate.active) > 0 {
		t.Error("a denied request was counted as a use")
	}
}
