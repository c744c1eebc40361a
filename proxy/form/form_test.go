package form

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func isWanted(name string) bool { return name == "_method" }

// allOf returns what is found in a body that comes in pieces, and checks that
// no value that has not ended is told of before, or is passed by in part.
func allOf(t *testing.T, contentType, body string, sizes ...int) (list []string) {
	t.Helper()
	s := New([]string{contentType}, isWanted)
	if s == nil {
		t.Fatalf("%s is no form", contentType)
	}
	for i, rest := 0, body; rest != ""; i++ {
		n := len(rest)
		if len(sizes) > 0 {
			n = min(n, max(1, sizes[i%len(sizes)]))
		}
		list = append(list, s.Scan([]byte(rest[:n]))...)
		rest = rest[n:]
		if open := s.Open(); open < 0 || open > maxText || open > len(body)-len(rest) {
			t.Fatalf("%q: %d bytes are open after %q", body, open, body[:len(body)-len(rest)])
		}
	}
	return append(list, s.End()...)
}

// same finds the same whatever the pieces are.
func same(t *testing.T, contentType, body string) []string {
	t.Helper()
	want := allOf(t, contentType, body)
	for _, sizes := range [][]int{{1}, {2}, {3, 7}, {5, 1}} {
		if got := allOf(t, contentType, body, sizes...); !slices.Equal(got, want) {
			t.Fatalf("%q in pieces of %v: %q, want %q", body, sizes, got, want)
		}
	}
	return want
}

const (
	urlencodedType = "application/x-www-form-urlencoded"
	multipartType  = "multipart/form-data; boundary=b"
	jsonType       = "application/json"
)

func TestFieldsOfAForm(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for _, tt := range []struct {
		body string
		want []string
	}{
		{"_method=DELETE", []string{"DELETE"}},
		{"a=b&_method=delete&c=d", []string{"delete"}},
		{"a=b;_method=delete;c=d", []string{"delete"}},
		{"%5Fmeth%6fd=%44elete", []string{"Delete"}},
		{"%u005fmethod=DELETE", []string{"DELETE"}},
		{strings.Repeat("+%20 ", 200) + "_method=a+b", []string{"a b"}},
		{"_method=PUT&_method=DELETE", []string{"PUT", "DELETE"}},
		{"_method&_method=", []string{""}},
		{"_method=" + long, []string{long[:maxText] + Cut}},
		{"_method=" + strings.Repeat("+", maxText) + "DELETE", []string{strings.Repeat(" ", maxText) + Cut}},
		{"x_method=DELETE&a=_method=DELETE&" + long + "=_method", nil},
		{"%_method=DELETE&_method%=DELETE", nil},
		{"", nil},
	} {
		if got := same(t, urlencodedType, tt.body); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.body, got, tt.want)
		}
	}
}

func TestFieldsOfAMultipartForm(t *testing.T) {
	long := strings.Repeat("x", 2*maxText)
	for _, head := range []string{
		`Content-Disposition: form-data; name="_method"`, `content-disposition:form-data;name=_method`, `CONTENT-DISPOSITION : form-data ; NAME = '_method'`,
		"Content-Disposition: form-data;\r\n\tname=\r\n \"_method\"", `Content-Disposition: form-data; name="\_met\hod"`, `Content-Disposition: form-data; name="%5Fmethod"`,
		`Content-Disposition: form-data; name*=UTF-8'en'%5Fmethod`, `Content-Disposition: form-data; name*0="_met"; name*1="hod"`, `Content-Disposition: form-data; name*1=hod; name*0*=utf-8''%5Fmet`,
		`Content-Disposition: form-data; name="=?utf-8?q?=5Fmethod?="`, `Content-Disposition: form-data; name="=?utf-8?B?X21ldGhvZA==?="`,
		`Content-Disposition: form-data; name=a; name="_method"`, `Content-Disposition: form-data; x="` + long + `"; name="_method"; filename=x`, `Content-Disposition: form-data; name*=utf-8'` + long + `'_method`,
		"Content-Type: text/plain\r\nX: Content-Disposition: form-data; name=\"_method\"\r\nY: " + long, `Content-Disposition: form-data; name="_method`,
	} {
		for _, line := range []string{"\r\n", "\n", "\r"} {
			head := strings.ReplaceAll(head, "\r\n", line)
			body := "--b" + line + head + line + line + "DELETE" + line + "--b--" + line
			got := same(t, multipartType, body)
			if !slices.ContainsFunc(got, func(s string) bool { return strings.TrimSpace(s) == "DELETE" }) {
				t.Errorf("%q: %q", body, got)
			}
		}
	}
}

// Readers disagree about where a line, a head or a value ends: each one's value is found.
func TestFieldsOfAMultipartFormThatIsReadInTwoWays(t *testing.T) {
	begin := "--b\r\nContent-Disposition: form-data; name=\"_method\""
	for _, tt := range []struct{ body, want string }{
		{begin + "\n\nPUT--\r\n\r\nDELETE\r\n--b--", "DELETE"},
		{begin + "\n\nDELETE\r\n\r\nPUT\r\n--b--", "DELETE"},
		{begin + "\r\n\r\nDELETE--b--", "DELETE"},
		{begin + "\r\n\r\nDELETE", "DELETE"},
		{"--b\r\nContent-Disposition: form-data; a=b\n\n; name=\"_method\"\r\n\r\nDELETE\r\n--b--", "DELETE"},
		{begin + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte("DELETE")) + "\r\n--b--", "DELETE"},
		{begin + "\r\n\r\n" + strings.Repeat(" ", 2*maxText) + "DELETE\r\n--b--", Cut},
	} {
		if got := same(t, multipartType, tt.body); !slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(strings.TrimSpace(s), tt.want) }) {
			t.Errorf("%q: %q, want %q", tt.body, got, tt.want)
		}
	}
	for _, body := range []string{
		"--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n_method\r\n--b--",
		"--b\r\nContent-Disposition: form-data; name=\"q\"; filename=\"_method\"\r\n\r\nDELETE\r\n--b--",
		"--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nname=\"_method\"\r\n\r\nDELETE\r\n--b--",
		"--b\r\nContent-Disposition: form-data; name=\"my_method\"\r\n\r\nDELETE\r\n--b--",
	} {
		if got := same(t, multipartType, body); got != nil {
			t.Errorf("%q: %q", body, got)
		}
	}
}

func TestMembersOfAnObject(t *testing.T) {
	for body, want := range map[string][]string{
		`{"_method":"DELETE"}`: {"DELETE"},
		` { "a" : [{}, "}"], "\u005fmeth\u006fd" : "dele\u0074e" } `: {"delete"},
		`{"a":"\\","_method":"PUT","_method":"DELETE"}`:              {"PUT", "DELETE"},
		`{"a":"\"_method\":\"DELETE\""}`:                             nil,
		`{"a":{"_method":"DELETE"}}`:                                 nil,
		`{"_method":1,"b":"DELETE","c":"_method","d":"x"}`:           nil,
		`["_method","DELETE"]`:                                       nil,
	} {
		if got := same(t, jsonType, body); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// What nobody reads a form from costs nothing.
func TestTypesOfForms(t *testing.T) {
	for _, list := range [][]string{{"text/plain"}, {"application/octet-stream"}, {"image/png"}, {"application/grpc"}} {
		if New(list, isWanted) != nil {
			t.Errorf("%q is a form", list)
		}
	}
	for _, list := range [][]string{
		nil, {""}, {"Application/X-WWW-Form-URLencoded; charset=utf-8"}, {"text/plain", urlencodedType}, {"text/plain, " + urlencodedType}, {"multipart/form-data"}, {"multipart/mixed"},
	} {
		s := New(list, isWanted)
		if s == nil {
			t.Errorf("%q is no form", list)
		} else if s.Scan([]byte("_method=DELETE")); len(s.End()) != 1 {
			t.Errorf("%q: nothing was found", list)
		}
	}
}

// A large file costs little, and nothing is kept of it.
func TestLargeFileIsNotKept(t *testing.T) {
	piece := bytes.Repeat([]byte("name=x; Content-Disposition: form-data\x00c"), 1000)
	for _, contentType := range []string{urlencodedType, multipartType, jsonType} {
		s := New([]string{contentType}, isWanted)
		s.Scan(piece)
		if n := testing.AllocsPerRun(3, func() { s.Scan(piece) }); n > 12000 {
			t.Errorf("%s: %v allocations", contentType, n)
		}
	}
}

// oracle is what Go's own readers find; nil: they refuse the body.
func oracle(contentType, body string) []string {
	switch contentType {
	case urlencodedType:
		values, _ := url.ParseQuery(body)
		return values["_method"]
	case jsonType:
		var o map[string]any
		if json.Unmarshal([]byte(body), &o) != nil {
			return nil
		}
		if s, ok := o["_method"].(string); ok {
			return []string{s}
		}
		return nil
	}
	f, err := multipart.NewReader(strings.NewReader(body), "b").ReadForm(1 << 20)
	if err != nil {
		return nil
	}
	defer func() { _ = f.RemoveAll() }()
	return f.Value["_method"]
}

// FuzzScanner checks that whatever Go's readers take for a method of the field
// is found, in whatever pieces the body comes.
func FuzzScanner(f *testing.F) {
	for kind, bodies := range [][]string{
		{"_method=DELETE&a=b", "%5fmethod=%44ELETE", "a;b=_method=x&+_method=DELETE"},
		{
			"--b\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--b--\r\n", "--b\nContent-Disposition: form-data;\n name*0=_met; name*1=hod\n\nDELETE\n--b--\n",
			"--b\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name*=utf-8''%5fmethod\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nDELETE\r\n--b--\r\n",
		},
		{`{"_method":"DELETE"}`, `{"a":[{"b":"}"}],"\u005fmethod":"DELETE"}`},
	} {
		for _, body := range bodies {
			f.Add(body, byte(kind), byte(3), byte(8))
		}
	}
	f.Fuzz(func(t *testing.T, body string, kind, first, second byte) {
		contentType := []string{urlencodedType, multipartType, jsonType}[kind%3]
		found := allOf(t, contentType, body)
		if got := allOf(t, contentType, body, int(first), int(second)); !slices.Equal(got, found) {
			t.Errorf("in pieces: %q, want %q", got, found)
		}
		for _, want := range oracle(contentType, body) {
			want = strings.TrimSpace(want)
			if want == "" || strings.ContainsAny(want, " \r\n\t") || strings.Trim(want, letters) != "" {
				continue // no method
			}
			if !slices.ContainsFunc(found, func(s string) bool { return mayBe(s, want) }) {
				t.Errorf("%q: found %q, but some find %q", body, found, want)
			}
		}
	})
}

// mayBe reports whether a found value says want, or is refused as none that
// could be a method.
func mayBe(found, want string) bool {
	found = strings.TrimSpace(found)
	return found == want || strings.ContainsAny(found, " \r\n\t") || strings.Trim(found, letters) != ""
}

func FuzzPairs(f *testing.F) {
	f.Add("_method=delete&a=b")
	f.Fuzz(func(t *testing.T, query string) {
		values, _ := url.ParseQuery(query)
		for name, list := range values {
			for _, value := range list {
				seen := false
				for n, v := range Pairs(query) {
					seen = seen || n == name && v == value
				}
				if !seen && !strings.Contains(query, "%u") && !strings.Contains(query, "%U") {
					t.Errorf("%q: %q=%q is not seen", query, name, value)
				}
			}
		}
	})
}

// A large upload is looked through at the pace of memory.
func BenchmarkScanner(b *testing.B) {
	file := bytes.Repeat([]byte("all work and no play makes the catalogue a dull register; \x00\x01"), 1000)
	for name, contentType := range map[string]string{"urlencoded": urlencodedType, "multipart": multipartType, "json": jsonType} {
		b.Run(name, func(b *testing.B) {
			s := New([]string{contentType}, isWanted)
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				s.Scan(file)
			}
		})
	}
}
