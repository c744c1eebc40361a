package portal

import "strings"

// device gives the names of browser and system; "": not known.
func device(agent string) (browser, system string) {
	agent = agent[:min(len(agent), 512)]
	browser = firstOf(agent, [][2]string{
		// The order counts: most browsers claim to be others as well.
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

func firstOf(s string, list [][2]string) string {
	for _, e := range list {
		if strings.Contains(s, e[0]) {
			return e[1]
		}
	}
	return ""
}
