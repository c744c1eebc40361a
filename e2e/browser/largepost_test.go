//go:build e2e

package browser_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/internal/e2e"
)

// TestLargeFormWithoutASession: somebody whose session has ended, and who sends
// a large form, sees the login page. Over HTTP/1.1 a browser shows its own
// error when the connection ends before it has sent all.
func TestLargeFormWithoutASession(t *testing.T) {
	t.Parallel()
	app := e2e.ServeFunc(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, `<!doctype html><title>app</title><form method="post" action="/save" enctype="multipart/form-data"><input type="file" id="file" name="file"><button>Save</button></form>`)
	})
	b := openBrowser(t, chromedp.Flag("ignore-certificate-errors", true))
	for _, c := range []struct {
		mode e2e.Mode
		size int64
	}{{e2e.HTTP1, 6 << 20}, {e2e.HTTP1, 30 << 20}, {e2e.HTTPS1, 6 << 20}} {
		site := c.mode.Scheme() + "://" + e2e.Start(t, c.mode, e2e.Standard(app)).Addr
		what := c.mode.Name + ": send " + strconv.FormatInt(c.size, 10) + " bytes"
		file := filepath.Join(t.TempDir(), "file")
		e2e.WriteFile(t, file, "", 0o600)
		if err := os.Truncate(file, c.size); err != nil {
			t.Fatal(err)
		}
		b.do(what, chromedp.Navigate(site+"/public/form"), chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}),
			chromedp.Click(chromedp.CSS("button")), chromedp.WaitVisible(passwordField))
		if at := b.url(); !strings.HasPrefix(at, site+"/_gate/login") {
			t.Errorf("%s: the browser is at %s, want the login page", what, at)
		}
	}
}
