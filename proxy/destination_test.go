package proxy

import (
	"strings"
	"testing"
)

// Who may write to one folder names another in Destination, which is not his:
// the rules would be worth nothing to a WebDAV server.
func TestCopyIntoAForbiddenFolder(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{}, fixture(up.url()))
	for destination, want := range map[string]string{
		"http://" + host + "/admin/x":         "403",
		"/admin/x":                            "403",
		"http://other.test/admin/x":           "403",
		"/x/%2e%2e/admin/x":                   "400",
		"/x/..%2fadmin/x":                     "400",
		"//" + host + "/admin/x":              "403",
		"admin/x":                             "400",
		"http:/admin/x":                       "403",
		"http:admin/x":                        "400",
		"/_gate/login":                        "404",
		"/%zz":                                "400",
		"http://" + host + "/private/y":       "200",
		"/private/%C3%BCber":                  "200",
		"/public/y":                           "200",
		"/private/x\r\nDestination: /admin/x": "400",
	} {
		for _, method := range []string{"COPY", "MOVE"} {
			up.forget()
			answer := h.raw(t, method+" /private/x HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+"Destination: "+destination+"\r\nConnection: close\r\n\r\n")
			if got := status(answer); got != want {
				t.Errorf("%s to %q: %s, want %s", method, destination, got, want)
			}
			if want != "200" {
				up.empty(t)
			} else if !strings.Contains(up.one(t), "\r\nDestination: "+destination+"\r\n") {
				t.Errorf("%s to %q does not arrive as it was", method, destination)
			}
		}
	}
	// Nobody may use what is public to get at what is not.
	up.forget()
	if got := status(h.raw(t, "COPY /public/x HTTP/1.1\r\nHost: "+host+"\r\nDestination: /private/x\r\nConnection: close\r\n\r\n")); got != "403" {
		t.Errorf("anonymous copy out of a public folder: %s", got)
	}
	up.empty(t)
	// Other methods have no destination.
	if got := status(h.get(t, "/private/x", aliceLine, "Destination: /admin/x\r\n")); got != "200" {
		t.Errorf("GET with a Destination: %s", got)
	}
}
