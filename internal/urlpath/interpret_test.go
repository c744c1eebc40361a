package urlpath

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPlain(t *testing.T) {
	for p, want := range map[string]bool{
		"/": true, "/a": true, "/a/": true, "/a/b.c": true, "/.well-known/x": true, "/a.b.c": true, "/a..b": true, "/~u/a-b_c": true, "/A": true,
		"/@scope/pkg": true, "/wiki/Special:Page": true, "/a+b,c=d": true, "/$metadata": true, "/.a": true,
		"": false, "a": false, "//": false, "/a//b": false, "/.": false, "/..": false, "/a/.": false, "/a/..": false, "/a/./b": false, "/a/../b": false,
		"/a.": false, "/a./b": false, "/...": false, "/..a": false, "/a%20b": false, "/a;b": false, "/a\\b": false, "/ü": false, "/a b": false,
		"/a::$DATA": false, "/a\x00": false, "/index.php": true, "/index.php/x": false, "/a.PHP5/x": false, "/a.css/x": true, "/a?": false, "/a#": false,
	} {
		if Plain(p) != want {
			t.Errorf("Plain(%q) is not %v", p, want)
		}
		if !want || p == "" {
			continue
		}
		r, ok := Interpret(p)
		if !ok || len(r.List) != 1 || len(slices.Collect(r.Named())) > 0 {
			t.Errorf("%q is plain, but has the interpretations %v", p, r)
		}
	}
}

func TestInterpret(t *testing.T) {
	for _, tt := range []struct{ path, want string }{
		{"/a%2fb", "/a/b"},
		{"/%252e%252e/a", "/a"},
		{"/%25252e%25252e/a", "/a"},
		{"/x/..%5ca", "/a"},
		{"/x/..;p=1/a", "/a"},
		{"//a", "/a"},
		{"/a%00.css", "/a"},
		{"/a%23b", "/a"},
		{"/a%3fb", "/a"},
		{"/a./b%20/c", "/a/b/c"},
		{"/x/..%c0%afa", "/a"},
		{"/x/..%e0%80%afa", "/a"},
		{"/x/%c0%ae%c0%ae/a", "/a"},
		{"/x/%e2%80%a5/a", "/a"},
		{"/x/..%ef%bc%8fa", "/a"},
		{"/x/%ef%bc%8e%ef%bc%8e/a", "/a"},
		{"/x/..%e2%88%95a", "/a"},
		{"/x/..%25u002fa", "/a"},
		{"/x/.%0d./a", "/a"},
		{"/x/%20..%20/a", "/a"},
		{"/a::$INDEX_ALLOCATION/b", "/a/b"},
		{"/%C3%BC", "/ü"},
	} {
		r, ok := Interpret(tt.path)
		if !ok || !slices.ContainsFunc(r.List, func(r Interpretation) bool { return r.Path == tt.want && !r.DenyOnly }) {
			t.Errorf("interpretations of %s: %v, want %s among them", tt.path, r.List, tt.want)
		}
	}
	if r, _ := Interpret("/%C3%BCber%20uns"); r.List[0].Path != "/über uns" {
		t.Errorf("as sent: %q, want what has to be escaped to be decoded", r.List[0].Path)
	}
}

// A path that is made to have many interpretations costs little, and is refused.
func TestTooManyInterpretations(t *testing.T) {
	nasty := "/a%5c%3b%23%3f%00%20./%2e%2e%c0%af%e2%80%a5//x;/..%255c%253b::$x"
	for _, p := range []string{strings.Repeat(nasty, 4), strings.Repeat(nasty, 400)} {
		if r, ok := Interpret(p); ok {
			t.Errorf("%d interpretations of a path of %d bytes were judged", len(r.List), len(p))
		}
	}
}

func FuzzInterpret(f *testing.F) {
	for _, p := range []string{"/a%2fb", "/x%2fy/%2e%2e/a", "///x/a", "/x/..%255ca;b", "/index.php/a", "/%c0%ae%c0%ae/a", "/%25u002fa", "/a::$DATA/b"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if !WellFormed(p) {
			return
		}
		r, ok := Interpret(p)
		if !ok {
			return
		}
		if Plain(p) && len(r.List) != 1 {
			t.Errorf("%q is plain, but has the interpretations %v", p, r.List)
		}
		for i := range r.List {
			one := &r.List[i]
			if !strings.HasPrefix(one.Path, "/") {
				t.Errorf("interpretation %q of %q is not absolute", one.Path, p)
			}
			if i > 0 && !one.DenyOnly && HasDotSegments(one.Path) {
				t.Errorf("interpretation %q of %q has dot segments", one.Path, p)
			}
			_ = r.How(i)
		}
		for place := range r.Named() {
			if !strings.HasPrefix(place, "/") {
				t.Errorf("place %q of %q is not absolute", place, p)
			}
		}
	})
}

func FuzzFold(f *testing.F) {
	f.Add("Admın", "ADMİN")
	f.Add("\xff/ſ", "\xfe/S")
	f.Add("\xc4", "\x90") // together they would be a letter
	f.Fuzz(func(t *testing.T, a, b string) {
		if got, want := equalFold(a, b), Fold(a) == Fold(b); got != want {
			t.Errorf("equal: %q and %q: %v, but they fold to %q and %q", a, b, got, Fold(a), Fold(b))
		}
		if utf8.ValidString(a) && utf8.ValidString(b) && strings.EqualFold(a, b) && !equalFold(a, b) {
			t.Errorf("%q and %q differ by letter case alone", a, b)
		}
	})
}

func BenchmarkPlain(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !Plain("/wiki/some/page/with-a-name.html") {
			b.Fatal("not plain")
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for name, p := range map[string]string{"escape": "/wiki/A%20page", "jsessionid": "/app/page;jsessionid=0123456789", "nasty": "/public/..%5c%2e%2e;/x%00//y"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := Interpret(p); !ok {
					b.Fatal("too many")
				}
			}
		})
	}
}

// equalFold reports whether CutPrefixFold takes a for b.
func equalFold(a, b string) bool {
	rest, ok := CutPrefixFold(a, b)
	return ok && rest == ""
}
