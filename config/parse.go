package config

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"gatehouse/internal/problem"
	"gatehouse/internal/yaml"
)

// parseTree parses the file into a tree of nodes that holds only maps, lists and
// text. It returns nil if nothing can be decoded. After problems with single
// values it still returns a tree, so that all problems are reported at once.
func parseTree(data []byte, r *reporter) *yaml.Node {
	data, ok := checkSource(data, r)
	if !ok {
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return empty(r, 1)
	case err != nil:
		syntaxProblem(data, err, r)
		return nil
	}
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		syntaxProblem(data, err, r)
		return nil
	default:
		r.bad(max(second.Line, 1), "", "a second YAML document begins here; one file holds one configuration, remove the ---")
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || isNull(doc.Content[0]) {
		return empty(r, max(doc.Line, 1))
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		r.bad(root.Line, "", "the file holds no keys and values; begin it with version: 1")
		return nil
	}
	checkShape(root, "", 0, r)
	return root
}

// empty reports that the file holds no configuration.
func empty(r *reporter, line int) *yaml.Node {
	r.bad(line, "", "the file is empty; write at least one route, or start from config.example.yaml")
	return nil
}

// checkShape refuses the parts of YAML that are not supported. It marks a node
// with a problem as broken, so that the decoder skips it.
func checkShape(n *yaml.Node, key string, depth int, r *reporter) {
	if r.full() {
		return
	}
	if what := badNode(n, depth); what != "" {
		r.bad(n.Line, key, "%s", what)
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, child := n.Content[i], n.Content[i+1]
			if what := badName(name); what != "" {
				r.bad(name.Line, key, "%s", what)
				continue
			}
			checkShape(child, problem.Join(key, name.Value), depth+1, r)
		}
	case yaml.SequenceNode:
		for i, child := range n.Content {
			checkShape(child, index(key, i), depth+1, r)
		}
	default: // text; badNode has refused aliases
	}
}

// badNode returns what is wrong with a node, regardless of its children; "" if
// nothing is. It does not repeat the value, which may be a secret.
func badNode(n *yaml.Node, depth int) string {
	switch {
	case n.Kind == yaml.AliasNode, n.Anchor != "":
		return "YAML anchors (&name) and aliases (*name) are not supported; write the value out, in quotes if it begins with & or *"
	case n.Style&yaml.TaggedStyle != 0 && !allowedTag(n):
		return "YAML tags (!name) are not supported; remove it, or write the value in quotes if it begins with !"
	case depth > MaxDepth:
		return "nested too deeply; no key lies this deep"
	case len(n.Value) > int(MaxScalar):
		return "the value is longer than " + MaxScalar.String() + "; shorten it"
	}
	return ""
}

// badName returns what is wrong with the name of a key; "" if nothing is.
func badName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.AliasNode, n.Anchor != "":
		return badNode(n, 0)
	case n.Kind != yaml.ScalarNode:
		return "a key must be a single word; did you forget quotes around a value with { or [?"
	case n.Tag == "!!merge":
		return "YAML merge keys (<<) are not supported; write the keys out"
	}
	return badNode(n, 0)
}

// allowedTag reports whether the tag of the node is a standard one that agrees
// with how it is read anyway: !!str 08 is the text 08.
func allowedTag(n *yaml.Node) bool {
	switch n.Tag {
	case "!!str", "!!bool", "!!int":
		return n.Kind == yaml.ScalarNode
	case "!!seq":
		return n.Kind == yaml.SequenceNode
	case "!!map":
		return n.Kind == yaml.MappingNode
	}
	return false
}

// isNull reports whether there is no value, or one of YAML's words for no value
// (~, null). The same word in quotes is text.
func isNull(n *yaml.Node) bool {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	return n.Kind == yaml.ScalarNode && n.Style&(quoted|yaml.TaggedStyle) == 0 &&
		(n.Value == "" || n.Value == "~" || strings.EqualFold(n.Value, "null"))
}
