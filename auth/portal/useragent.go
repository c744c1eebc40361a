package portal

import "strings"

// device returns the names of the browser and the operating system that a
// User-Agent header claims; "" if unknown. It only makes sessions recognizable to
// their owner: anybody can send any header. It looks at the first 512 bytes.
func device(agent string) (browser, system string) {
	agent = agent[:min(len(agent), 512)]
	browser = firstOf(agent, [][2]string{
		// The order matters: most browsers also name those they are compatible with.
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"Opera", "Opera"},
		{"Vivaldi", "Vivaldi"},
		{"SamsungBrowser", "Samsung Internet"},
		{"FxiOS", "Firefox"},
		{"Firefox/", "Firefox"},
		{"CriOS", "Chrome"},
		{"Chromium", "Chromium"},
		{"HeadlessChrome", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
		{"Trident/", "Internet Explorer"},
		{"MSIE", "Internet Explorer"},
		{"curl/", "curl"},
		{"Wget/", "Wget"},
		{"python-requests", "Python"},
		{"Python", "Python"},
		{"Go-http-client", "Go-http-client"},
		{"okhttp", "okhttp"},
	})
	system = firstOf(agent, [][2]string{
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Android", "Android"},
		{"Windows", "Windows"},
		{"CrOS", "ChromeOS"},
		{"Mac OS X", "macOS"},
		{"Macintosh", "macOS"},
		{"FreeBSD", "FreeBSD"},
		{"OpenBSD", "OpenBSD"},
		{"Linux", "Linux"},
		{"X11", "Unix"},
	})
	return browser, system
}

// firstOf returns the second string of the first pair whose first string occurs in
// s; "" if none does.
func firstOf(s string, list [][2]string) string {
	for _, e := range list {
		if strings.Contains(s, e[0]) {
			return e[1]
		}
	}
	return ""
}
