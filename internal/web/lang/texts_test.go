package lang_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gatehouse/internal/web/lang"
)

// textOf says which argument of a call is a text that visitors read. These are
// all the ways on which one gets to a page.
var textOf = map[string]int{
	"Refuse": 1, "Fail": 1, "Later": 1, // web.Error
	"T": 0, "N": 0, "because": 0,
}

// notSaid are texts that are no constants, and why they need no translation.
var notSaid = map[string]string{
	"proxy/bufferbody.go: msg":           "only programs send bodies without a length",
	"internal/web/error.go: msg":         "Refuse, Fail and Later themselves",
	"auth/portal/account.go: e.Msg":      "from web.Error",
	"auth/portal/factor.go: e.Msg":       "from web.Error",
	"auth/portal/account.go: text":       "because itself",
	"auth/portal/login.go: e.Msg":        "from web.Error",
	"auth/portal/login.go: defaultTitle": "", // a constant: looked up
	"internal/web/answer.go: e.title()":  "the maps of error.go",
	"internal/web/answer.go: e.text()":   "the maps of error.go, or a text of Refuse, Fail and Later",
	"internal/web/branding.go: text":     "T and N themselves",
	"internal/web/lang/lang.go: t.Key":   "Say itself",
}

// root is the folder of the whole program.
const root = "../../.."

// A texts collects what is said in the sources: the text, and where.
type texts struct {
	t    *testing.T
	said map[string]string
}

// TestEveryTextIsInTheList compares what the templates and the calls say with
// en.json, the list that translators work from.
func TestEveryTextIsInTheList(t *testing.T) {
	t.Parallel()
	c := texts{t, map[string]string{}}
	consts := map[string]map[string]string{} // by folder
	files := map[string]*ast.File{}
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "bench" || path == "internal/demo" || d.Name() == "testdata" || d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != "."):
			return fs.SkipDir
		case strings.HasSuffix(path, ".html"):
			c.template(path)
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			files[path] = f
			if consts[filepath.Dir(path)] == nil {
				consts[filepath.Dir(path)] = map[string]string{}
			}
			constantsOf(f, consts[filepath.Dir(path)])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			c.look(path, n, consts[filepath.Dir(path)])
			return true
		})
	}
	listed := lang.All()[0].Texts()
	for _, text := range slices.Sorted(maps.Keys(c.said)) {
		if !slices.Contains(listed, text) {
			t.Errorf("%s says %q, which is not in internal/web/lang/languages/en.json", c.said[text], text)
		}
	}
	for _, text := range listed {
		if _, ok := c.said[text]; !ok {
			t.Errorf("en.json has %q, which nobody says", text)
		}
	}
	if len(listed) < 60 {
		t.Errorf("%d texts; the patterns of this test may not fit any more", len(listed))
	}
}

// template finds {{.T "text"}} and {{.N "text" n}}.
func (c *texts) template(path string) {
	src, err := os.ReadFile(filepath.Join(root, path)) //nolint:gosec // a source of the program
	if err != nil {
		c.t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\.[TN] ("(?:[^"\\]|\\.)*")`).FindAllSubmatch(src, -1) {
		c.add(path, string(m[1]))
	}
}

func (c *texts) add(where, literal string) {
	text, err := strconv.Unquote(literal)
	if err != nil {
		c.t.Fatalf("%s: %s: %v", where, literal, err)
	}
	if text != "" {
		c.said[text] = where
	}
}

// look finds texts in calls, in lang.Text{Key: "..."}, and in the maps of
// texts by status.
func (c *texts) look(path string, n ast.Node, consts map[string]string) {
	switch n := n.(type) {
	case *ast.CallExpr:
		if i, ok := textOf[nameOf(n.Fun)]; ok && i < len(n.Args) {
			c.expr(path, n.Args[i], consts)
		}
	case *ast.CompositeLit:
		if m, ok := n.Type.(*ast.MapType); ok && strings.HasPrefix(path, "internal/web/") && source(m) == "map[int]string" {
			for _, e := range n.Elts {
				c.expr(path, e.(*ast.KeyValueExpr).Value, consts)
			}
		}
		if nameOf(n.Type) != "Text" && nameOf(n.Type) != "Error" {
			return
		}
		for _, e := range n.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok && (nameOf(kv.Key) == "Key" || nameOf(kv.Key) == "Msg") {
				c.expr(path, kv.Value, consts)
			}
		}
	}
}

func (c *texts) expr(path string, e ast.Expr, consts map[string]string) {
	if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
		c.add(path, l.Value)
		return
	}
	if id, ok := e.(*ast.Ident); ok && consts[id.Name] != "" {
		c.add(path, consts[id.Name])
		return
	}
	where := path + ": " + source(e)
	if _, ok := notSaid[where]; !ok {
		c.t.Errorf("%s is no constant text, so that nobody can translate it", where)
	}
}

// constantsOf adds the file's string constants.
func constantsOf(f *ast.File, consts map[string]string) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			for i, name := range v.Names {
				if i < len(v.Values) {
					if l, ok := v.Values[i].(*ast.BasicLit); ok && l.Kind == token.STRING {
						consts[name.Name] = l.Value
					}
				}
			}
		}
	}
}

// nameOf is the last part of a name.
func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// source writes the few kinds of expressions that are looked at.
func source(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return source(e.X) + "." + e.Sel.Name
	case *ast.CallExpr:
		return source(e.Fun) + "()"
	case *ast.MapType:
		return "map[" + source(e.Key) + "]" + source(e.Value)
	}
	return fmt.Sprintf("%T", e)
}
