package policy

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// TestAPIPageIsTheProtos keeps docs/api.md what api/sheaf/v1/*.proto say.
func TestAPIPageIsTheProtos(t *testing.T) {
	page := filepath.Join(moduleRoot(t), "docs", "api.md")
	want := apiPage(t)
	if *update {
		if err := os.WriteFile(page, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/api.md is not what api/sheaf/v1/*.proto say: run make docs")
	}
}

const apiPageTop = `# The API

Generated from api/sheaf/v1/*.proto by ` + "`make docs`" + `; do not edit.

This is the reference of Sheaf's gRPC API, package ` + "`sheaf.v1`" + `. Most of its calls are
there over HTTP too, with the same fields as JSON: ` + "`POST /v1/putall`, `/v1/getall` and `/v1/deleteall`" + `,
` + "`GET /v1/scan` and `/v1/watch`" + `; ` + "`POST /v1/import`" + ` takes an entry a line and answers with a line for
each batch (see [guarantees](guarantees.md)). Keys and values are text there, or base64 in ` + "`key_b64` and\n`value_b64`" + `, and
64-bit integers are strings ([examples/curl](../examples/curl), [examples/python](../examples/python)). Go programs use the
[client](client.md). What the levels promise is in [guarantees.md](guarantees.md), every error in
[errors.md](errors.md), every limit in [configuration.md](configuration.md); the words are those of the
[glossary](glossary.md).
`

// apiPage writes all files, of which the one with the data comes first.
func apiPage(t *testing.T) []byte {
	t.Helper()
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{filepath.Join(moduleRoot(t), "api")}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	names := []string{"sheaf/v1/kv.proto", "sheaf/v1/cluster.proto", "sheaf/v1/node.proto"}
	sources, err := filepath.Glob(filepath.Join(moduleRoot(t), "api", "sheaf", "v1", "*.proto"))
	if err != nil || len(sources) != len(names) {
		t.Fatalf("there are %d .proto files, and the page has %d: %v", len(sources), len(names), err)
	}
	files, err := compiler.Compile(t.Context(), names...)
	if err != nil {
		t.Fatal(err)
	}
	p := apiPrinter{t: t}
	p.WriteString(apiPageTop)
	for _, file := range files {
		p.file(file)
	}
	return p.Bytes()
}

// apiPrinter prints descriptors as Markdown, and reports those that have no comment.
type apiPrinter struct {
	bytes.Buffer
	t *testing.T
}

func (p *apiPrinter) file(file protoreflect.FileDescriptor) {
	for i := range file.Services().Len() {
		service := file.Services().Get(i)
		fmt.Fprintf(p, "\n## %s\n\n%s\n\n| method | takes | answers | |\n|---|---|---|---|\n", service.Name(), p.comment(service))
		for i := range service.Methods().Len() {
			m := service.Methods().Get(i)
			fmt.Fprintf(p, "| `%s` | %s | %s | %s |\n", m.Name(),
				stream(m.IsStreamingClient())+link(m.Input()), stream(m.IsStreamingServer())+link(m.Output()), p.cell(m))
		}
	}
	for i := range file.Messages().Len() {
		p.message(file.Messages().Get(i))
	}
	for i := range file.Enums().Len() {
		enum := file.Enums().Get(i)
		fmt.Fprintf(p, "\n### %s\n\n%s\n\n| value | number | |\n|---|--:|---|\n", enum.Name(), p.comment(enum))
		for i := range enum.Values().Len() {
			v := enum.Values().Get(i)
			fmt.Fprintf(p, "| `%s` | %d | %s |\n", v.Name(), v.Number(), p.cell(v))
		}
	}
}

func (p *apiPrinter) message(message protoreflect.MessageDescriptor) {
	fmt.Fprintf(p, "\n### %s\n\n%s\n", message.Name(), p.comment(message))
	if message.Fields().Len() == 0 {
		return
	}
	p.WriteString("\n| field | type | number | |\n|---|---|--:|---|\n")
	for i := range message.Fields().Len() {
		f := message.Fields().Get(i)
		fmt.Fprintf(p, "| `%s` | %s | %d | %s |\n", f.Name(), typeOf(f), f.Number(), p.cell(f))
	}
}

// comment is what stands before a declaration.
func (p *apiPrinter) comment(d protoreflect.Descriptor) string {
	text := d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments
	if strings.TrimSpace(text) == "" {
		p.t.Errorf("%s has no comment", d.FullName())
	}
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// cell is a comment in one line.
func (p *apiPrinter) cell(d protoreflect.Descriptor) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(p.comment(d)), " "), "|", `\|`)
}

func stream(is bool) string {
	if is {
		return "a stream of "
	}
	return ""
}

func typeOf(f protoreflect.FieldDescriptor) (name string) {
	switch {
	case f.Message() != nil:
		name = link(f.Message())
	case f.Enum() != nil:
		name = link(f.Enum())
	default:
		name = f.Kind().String()
	}
	switch {
	case f.IsList():
		return "repeated " + name
	case f.HasOptionalKeyword():
		return "optional " + name
	}
	return name
}

// link points to the heading of a message or an enum.
func link(d protoreflect.Descriptor) string {
	return fmt.Sprintf("[%s](#%s)", d.Name(), strings.ToLower(string(d.Name())))
}
