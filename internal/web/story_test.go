package web

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write the answers that the code gives into the stories")

// TestStories plays testdata/stories: each file is a list of requests to a fresh
// node, and what it answers. A request is a method and a path, header lines, an
// empty line and a body. The answer follows "----": the status, the headers that
// the contract names, and the body; a problem document in a short form, because
// TestProblemsAreTheTable checks the long one.
//
// go test -run TestStories -rewrite writes the answers anew; read the diff.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			node := newRig(t, nil)
			var played strings.Builder
			for i, scene := range strings.Split(string(text), "\n====\n") {
				if i > 0 {
					played.WriteString("\n====\n")
				}
				request, _, _ := strings.Cut(scene, "\n----\n")
				request = strings.TrimRight(request, "\n")
				played.WriteString(request + "\n----\n" + tell(node.send(t, parseScene(t, node.URL, request))))
			}
			played.WriteString("\n")
			if *rewrite {
				if err := os.WriteFile(file, []byte(played.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(string(text), "\n"), strings.Split(played.String(), "\n")); diff != "" {
				t.Errorf("%s (-story +code):\n%s", file, diff)
			}
		})
	}
}

// parseScene reads a request. Lines that begin with # before it are comments.
func parseScene(t *testing.T, url, text string) *http.Request {
	t.Helper()
	for strings.HasPrefix(text, "#") {
		_, text, _ = strings.Cut(text, "\n")
	}
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	method, path, ok := strings.Cut(lines[0], " ")
	if !ok {
		t.Fatalf("not a request: %q", lines[0])
	}
	req, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		req.Header.Add(name, strings.TrimSpace(value))
	}
	return req
}

var toldHeaders = []string{
	"Allow", "Content-Type", "ETag", "Retry-After", versionHeader, typeURLHeader, watchTokenHeader,
}

// tell writes an answer as a story has it.
func tell(got answer) string {
	var b strings.Builder
	fmt.Fprintln(&b, got.StatusCode)
	kind := got.Header.Get("Content-Type")
	for _, name := range toldHeaders {
		if value := got.Header.Get(name); value != "" && (name != "Content-Type" || kind != "application/problem+json" && kind != "application/json") {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	if kind != "application/problem+json" || got.body == "" {
		return strings.TrimRight(b.String()+got.body, "\n")
	}
	var p problem
	if err := json.Unmarshal([]byte(got.body), &p); err != nil {
		return b.String() + "not a problem document: " + got.body
	}
	fmt.Fprintf(&b, "%s (%s; retry: %s): %s\n", p.Reason, p.Outcome, p.Retry, p.Detail)
	if p.CurrentETag != "" {
		fmt.Fprintf(&b, "current_etag: %s\n", p.CurrentETag)
	}
	if len(p.Keys)+len(p.KeysB64) > 0 {
		fmt.Fprintf(&b, "keys: %q %q\n", p.Keys, p.KeysB64)
	}
	for _, f := range p.Errors {
		fmt.Fprintf(&b, "field: %s\n", f.Field)
	}
	return strings.TrimRight(b.String(), "\n")
}
