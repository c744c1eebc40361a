package config

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/yaml"
)

// TestCases walks the configuration cases of testdata/cases (or of the folder
// in GATEHOUSE_CASES): each file as it is, and each with its placeholder keys
// in our own words. What INDEX.tsv expects holds for both.
func TestCases(t *testing.T) {
	dir := cmp.Or(os.Getenv("GATEHOUSE_CASES"), filepath.Join("..", "testdata", "cases"))
	lines := strings.Split(strings.TrimSpace(string(read(t, filepath.Join(dir, "config", "INDEX.tsv")))), "\n")
	for _, line := range lines[1:] {
		column := strings.Split(line, "\t")
		name, tries, expected := column[0], column[1], column[2]
		data := read(t, filepath.Join(dir, name))
		for kind, data := range map[string][]byte{"as it is": data, "in our words": translate(t, data)} {
			t.Run(filepath.Base(name)+" "+kind, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), filepath.Base(name))
				write(t, file, string(data), 0o644)
				var c *Config
				var err error
				took, used := measure(func() { c, err = Load(file) })
				if took > bombTime || used > 64<<20 {
					t.Errorf("it took %v and %d MiB, more than 1 s and 64 MiB", took, used>>20)
				}
				if err != nil {
					refusedWithLines(t, err, file)
				}
				if what := verdict(kind, expected, c, err); what != "" {
					t.Errorf("%s: %s\nexpected: %s\nfile: %.300s\nerror: %v", tries, what, expected, data, err)
				}
			})
		}
	}
}

// verdict says how the result differs from what a row of INDEX.tsv expects.
func verdict(kind, expected string, c *Config, err error) string {
	switch {
	case strings.Contains(expected, "warning"):
		if err == nil && len(c.Warnings) == 0 && kind == "in our words" {
			return "accepted without a warning"
		}
	case strings.HasPrefix(expected, "refused"):
		if err == nil {
			return "accepted"
		}
	case strings.HasPrefix(expected, "read right"):
		if err != nil {
			return "refused"
		}
	case strings.HasPrefix(expected, "accepted"):
		if err != nil && kind == "in our words" {
			return "refused"
		}
	}
	if strings.Contains(expected, "the password never appears") && strings.Contains(fmt.Sprint(err), "pw@") {
		return "the password is told"
	}
	return ""
}

// translate puts the placeholder keys of the cases into our words. A file that
// is no map of keys is left alone.
func translate(t *testing.T, data []byte) []byte {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil || doc.Kind != yaml.DocumentNode || doc.Content[0].Kind != yaml.MappingNode {
		return data
	}
	if strings.Contains(string(data), "&a") || strings.Contains(string(data), "\n---") {
		return data
	}
	root := doc.Content[0]
	route := mapping("upstream", text("http://127.0.0.1:3000"))
	out := mapping()
	for i := 0; i < len(root.Content); i += 2 {
		key, v := root.Content[i].Value, root.Content[i+1]
		switch key {
		case "users":
			out.Content = append(out.Content, text("users"), usersOf(v))
		case "session":
			rename(v, "idle", "idle_timeout")
			rename(v, "absolute", "max_age")
			if secret := rename(v, "key", "secrets"); secret != nil {
				*secret = *list(text(secret.Value))
			}
			out.Content = append(out.Content, text("session"), v)
		case "password":
			hash := fmt.Sprintf("$2b$%s$abcdefghijklmnopqrstuuK1tJ0CDUcQ5Yl6sVsx9K7pGvM1vGqqK", valueOf(v, "bcrypt_cost"))
			if m := valueOf(v, "argon2_memory_kib"); m != "" {
				hash = "$argon2id$v=19$m=" + m + ",t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Yk1jVn3G4V0Wn8f7l0wJ2o0o8d5K2bq3V7mYw2ZxQ3E"
			}
			out.Content = append(out.Content, text("users"), list(mapping("name", text("alice"), "password_hash", text(hash))))
		case "rules":
			for _, rule := range v.Content {
				if a := rename(rule, "access", "public"); a != nil {
					*a = yaml.Node{Kind: yaml.ScalarNode, Value: "true"}
				}
			}
			route.Content = append(route.Content, text("access"), v)
		case "upstream":
			route.Content[1] = v
		case "user_header":
			out.Content = append(out.Content, text("identity"), mapping("headers", mapping(v.Value, text("username"))))
		case "hosts":
			route.Content = append(route.Content, text("host"), v.Content[0])
		default:
			out.Content = append(out.Content, root.Content[i], v)
		}
	}
	if strings.Contains(string(data), "holding a key") {
		out.Content = append(out.Content, text("session"), mapping("secrets", list(text("k5Jf0bQy8wqUO3m1u4rXw2c7sN9aTzEh6VgLpDdKiYo"))))
	}
	out.Content = append(out.Content, text("routes"), list(route))
	b, err := yaml.Marshal(out)
	must(t, err)
	return b
}

// usersOf turns a map of users into our list of them.
func usersOf(v *yaml.Node) *yaml.Node {
	if v.Kind != yaml.MappingNode {
		return v
	}
	users := list()
	for i := 0; i < len(v.Content); i += 2 {
		rename(v.Content[i+1], "hash", "password_hash")
		users.Content = append(users.Content, mapping("name", v.Content[i]))
		user := users.Content[len(users.Content)-1]
		user.Content = append(user.Content, v.Content[i+1].Content...)
	}
	return users
}

func rename(m *yaml.Node, from, to string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == from {
			m.Content[i].Value = to
			return m.Content[i+1]
		}
	}
	return nil
}

func valueOf(m *yaml.Node, key string) string {
	if n := rename(m, key, key); n != nil {
		return n.Value
	}
	return ""
}

func text(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Value: s}
}

func list(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Content: items}
}

func mapping(pairs ...any) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(pairs); i += 2 {
		m.Content = append(m.Content, text(pairs[i].(string)), pairs[i+1].(*yaml.Node))
	}
	return m
}
