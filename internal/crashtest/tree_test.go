package crashtest

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf/client"
)

// TestTheGoTreeSurvivesKill9 is the README's story: the Go source tree goes in
// through `sheaf import`, the node is killed and started again, and every file
// reads back identical through HTTP and through the client; a sample of them
// through `sheaf get`, a process each.
func TestTheGoTreeSurvivesKill9(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 120 MB")
	}
	tree := filepath.Join(goroot(t), "src")
	dir := t.TempDir()
	node := serve(t, dir, "pebble")
	out, err := exec.Command(program(t), "import", "--dir", tree, "--addr", node.addr).CombinedOutput()
	if err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	t.Logf("%s", bytes.TrimSpace(out))
	node.kill()
	node = serve(t, dir, "pebble")

	c, err := client.New(node.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	status, err := c.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(tree, path)
		if err != nil {
			return err
		}
		key := filepath.ToSlash(rel)
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if got := getOverHTTP(t, status.HttpAddr, key); !bytes.Equal(got, want) {
			t.Errorf("%s differs over HTTP: %d bytes, want %d", key, len(got), len(want))
		}
		item, err := c.Get(context.Background(), []byte(key))
		if err != nil || !bytes.Equal(item.Value, want) {
			t.Errorf("%s differs through the client: %d bytes, want %d (%v)", key, len(item.Value), len(want), err)
		}
		if files%200 == 0 {
			got, err := exec.Command(program(t), "get", key, "--addr", node.addr).Output()
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s differs through `sheaf get`: %d bytes, want %d (%v)", key, len(got), len(want), err)
			}
		}
		files++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 5000 {
		t.Errorf("only %d files: is this the Go tree?", files)
	}
	http.DefaultClient.CloseIdleConnections()
}

// goroot asks the go command: a program built with -trimpath does not know.
func goroot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env GOROOT with %s: %v", runtime.Version(), err)
	}
	return strings.TrimSpace(string(out))
}

func getOverHTTP(t *testing.T, addr, key string) []byte {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/v1/keys/" + url.PathEscape(key))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: status %d, %v", key, resp.StatusCode, err)
	}
	return body
}
