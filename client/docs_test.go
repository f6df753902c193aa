package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheDocumentsCodeIsThatOfExamples: what docs/client.md shows is compiled, because every
// block of it is also in an example, but for its indentation.
func TestTheDocumentsCodeIsThatOfExamples(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "client.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("example*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var examples string
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		examples += withoutIndent(string(source))
	}
	blocks := strings.Split(string(page), "```go\n")[1:]
	for _, block := range blocks {
		block, _, _ := strings.Cut(block, "```")
		if !strings.Contains(examples, withoutIndent(block)) {
			t.Errorf("no example has this block:\n%s", block)
		}
	}
	if len(blocks) < 3 {
		t.Errorf("%d blocks were found", len(blocks))
	}
}

// withoutIndent drops the white space at the beginnings of lines, and what aligns words.
func withoutIndent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	return b.String()
}
