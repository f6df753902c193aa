package cli

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/freeport"
)

// TestDevLeavesNothingBehind: a cluster for trying things serves, and is gone afterwards.
func TestDevLeavesNothingBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	_, text, err := net.SplitHostPort(freeport.Addr(t))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	out, in := io.Pipe()
	a := &app{stdout: in, stderr: io.Discard}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- a.dev(ctx, throwaway{nodes: 3, groups: 2, store: "memory", basePort: port, level: "error"})
	}()
	var addrs []string
	for lines := bufio.NewScanner(out); len(addrs) < 3; {
		if !lines.Scan() {
			t.Fatal("it did not say where its nodes are")
		}
		if _, rest, ok := strings.Cut(lines.Text(), "grpc "); ok {
			addr, _, _ := strings.Cut(rest, " ")
			addrs = append(addrs, addr)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	for i, addr := range addrs {
		c, err := client.New(addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.PutAll(ctx, []sheaf.Entry{sheaf.Put("a", strconv.Itoa(i)), sheaf.Put("b", "x"), sheaf.Put("c", "y")}); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
		_ = c.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "*")); err != nil || len(left) > 0 {
		t.Errorf("%v was left behind (%v)", left, err)
	}
}
