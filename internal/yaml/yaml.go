// Package yaml is what Gatehouse uses of its YAML parser. Everything else
// imports this package, so that another parser, or the same one at another
// path (go.yaml.in/yaml/v3), is a change of one line here.
package yaml

import (
	"io"

	"gopkg.in/yaml.v3"
)

// A Node is one value of a document, with its line.
type Node = yaml.Node

// The kinds of a Node.
const (
	DocumentNode = yaml.DocumentNode
	SequenceNode = yaml.SequenceNode
	MappingNode  = yaml.MappingNode
	ScalarNode   = yaml.ScalarNode
	AliasNode    = yaml.AliasNode
)

// The styles of a Node, which are bits.
const (
	TaggedStyle       = yaml.TaggedStyle
	DoubleQuotedStyle = yaml.DoubleQuotedStyle
	SingleQuotedStyle = yaml.SingleQuotedStyle
	LiteralStyle      = yaml.LiteralStyle
	FoldedStyle       = yaml.FoldedStyle
)

// NewDecoder returns a decoder of the documents in r. Its Decode returns
// io.EOF behind the last one.
func NewDecoder(r io.Reader) *yaml.Decoder { return yaml.NewDecoder(r) }

// Unmarshal decodes the first document in data into v.
func Unmarshal(data []byte, v any) error { return yaml.Unmarshal(data, v) }

// Marshal encodes v as a document.
func Marshal(v any) ([]byte, error) { return yaml.Marshal(v) }
