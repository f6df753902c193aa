package examples

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/client/clienttest"
)

// sellers are the same program in languages that speak HTTP.
var sellers = []struct {
	name, needs string
	command     []string
}{
	{"curl", "curl", []string{"sh", "curl/putall.sh"}},
	{"python", "python3", []string{"python3", "python/putall.py"}},
}

// eachSeller runs a test for each program whose interpreter is installed.
func eachSeller(t *testing.T, test func(t *testing.T, sell func(addr, item string, count int) (string, error))) {
	for _, seller := range sellers {
		t.Run(seller.name, func(t *testing.T) {
			if _, err := exec.LookPath(seller.needs); err != nil {
				t.Skipf("%s is not installed: sudo apt-get install %[1]s", seller.needs)
			}
			test(t, func(addr, item string, count int) (string, error) {
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
				defer cancel()
				args := append(slices.Clone(seller.command[1:]), "--addr", addr, item, fmt.Sprint(count))
				out, err := exec.CommandContext(ctx, seller.command[0], args...).CombinedOutput()
				return string(out), err
			})
		})
	}
}

// expectSold says whether stock and sales are what they should be.
func expectSold(t *testing.T, c *client.Client, item, stock, sold string) {
	t.Helper()
	values, err := c.GetAll(t.Context(), [][]byte{[]byte("stock/" + item), []byte("sold/" + item)})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(values.Items[0].Value); got != stock {
		t.Errorf("%s are left, not %s", got, stock)
	}
	if got := string(values.Items[1].Value); got != sold {
		t.Errorf("%s were sold, not %s", got, sold)
	}
}

func TestSellersDoNotSellTheSameThingTwice(t *testing.T) {
	eachSeller(t, func(t *testing.T, sell func(addr, item string, count int) (string, error)) {
		node := clienttest.Start(t)
		c := node.Client(t)
		if _, err := c.Put(t.Context(), []byte("stock/apples"), []byte("10")); err != nil {
			t.Fatal(err)
		}
		outs, errs := make([]string, 5), make([]error, 5)
		var wait sync.WaitGroup
		for i := range errs {
			wait.Go(func() { outs[i], errs[i] = sell(node.HTTPAddr(), "apples", 2) })
		}
		wait.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatalf("%v\n%s", err, outs)
		}
		expectSold(t, c, "apples", "0", "10")
		if out, err := sell(node.HTTPAddr(), "apples", 1); err == nil || !strings.Contains(out, "there are only 0 apples") {
			t.Errorf("what is not there was sold: %s", out)
		}
	})
}

// unreliable is a way to a node on which answers of putall are lost, or another writer is faster.
type unreliable struct {
	addr string // of the node
	// lose says whether the answer to the nth putall is to be lost, after before it was called.
	before func(n int)
	lose   func(n int) bool

	mu  sync.Mutex
	ids []string // the Idempotency-Keys of the putalls
}

func (u *unreliable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := -1
	if r.URL.Path == "/v1/putall" {
		u.mu.Lock()
		n = len(u.ids)
		u.ids = append(u.ids, r.Header.Get("Idempotency-Key"))
		u.mu.Unlock()
		u.before(n)
	}
	onward, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+u.addr+r.URL.String(), r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	onward.Header = r.Header
	answer, err := http.DefaultClient.Do(onward)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer answer.Body.Close() //nolint:errcheck // it is only read
	if n >= 0 && u.lose(n) {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body) // the caller sees that it is cut
}

func TestLostAnswerIsAskedForWithTheSameRequestID(t *testing.T) {
	eachSeller(t, func(t *testing.T, sell func(addr, item string, count int) (string, error)) {
		node := clienttest.Start(t)
		c := node.Client(t)
		if _, err := c.Put(t.Context(), []byte("stock/apples"), []byte("10")); err != nil {
			t.Fatal(err)
		}
		way := &unreliable{addr: node.HTTPAddr(), before: func(int) {}, lose: func(n int) bool { return n < 2 }}
		proxy := httptest.NewServer(way)
		defer proxy.Close()
		out, err := sell(proxy.Listener.Addr().String(), "apples", 3)
		if err != nil || !regexp.MustCompile(`replayed"?:? ?[tT]rue`).MatchString(out) {
			t.Errorf("%v\n%s", err, out)
		}
		if len(way.ids) != 3 || way.ids[0] == "" || way.ids[1] != way.ids[0] || way.ids[2] != way.ids[0] {
			t.Errorf("the request IDs were %q", way.ids)
		}
		expectSold(t, c, "apples", "7", "3")
	})
}

func TestConflictIsMergedUnderANewRequestID(t *testing.T) {
	eachSeller(t, func(t *testing.T, sell func(addr, item string, count int) (string, error)) {
		node := clienttest.Start(t)
		c := node.Client(t)
		faster := func(n int) { // another writer, between the read and the write
			if n > 0 {
				return
			}
			if _, err := c.PutAll(t.Context(), []sheaf.Entry{sheaf.Put("stock/apples", "100")}); err != nil {
				t.Error(err)
			}
		}
		if _, err := c.Put(t.Context(), []byte("stock/apples"), []byte("10")); err != nil {
			t.Fatal(err)
		}
		way := &unreliable{addr: node.HTTPAddr(), before: faster, lose: func(int) bool { return false }}
		proxy := httptest.NewServer(way)
		defer proxy.Close()
		if out, err := sell(proxy.Listener.Addr().String(), "apples", 3); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		if len(way.ids) != 2 || way.ids[0] == way.ids[1] {
			t.Errorf("the request IDs were %q", way.ids)
		}
		expectSold(t, c, "apples", "97", "3")
	})
}

func TestWhatTheirREADMEsShowIsTrue(t *testing.T) {
	node := clienttest.Start(t)
	for _, seller := range sellers {
		t.Run(seller.name, func(t *testing.T) {
			for _, program := range []string{"curl", seller.needs} {
				if _, err := exec.LookPath(program); err != nil {
					t.Skipf("%s is not installed: sudo apt-get install %[1]s", program)
				}
			}
			readme, err := os.ReadFile(filepath.Join(seller.name, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			_, block, _ := strings.Cut(string(readme), "```console\n")
			block, _, _ = strings.Cut(block, "```")
			for _, step := range strings.Split("\n"+block, "\n$ ")[1:] {
				command, want, _ := strings.Cut(step, "\n")
				command = strings.ReplaceAll(command, "localhost:7451", node.HTTPAddr())
				command = regexp.MustCompile(`putall\.(sh|py)`).ReplaceAllString(command, "$0 --addr "+node.HTTPAddr())
				cmd := exec.Command("sh", "-c", command)
				cmd.Dir = ".."
				got, err := cmd.CombinedOutput()
				pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(want)), "…", ".*") + "$"
				if err != nil || !regexp.MustCompile(pattern).MatchString(strings.TrimSpace(string(got))) {
					t.Errorf("$ %s\n%s%v\nits README says:\n%s", command, got, err, want)
				}
			}
		})
	}
}

// TestPythonWatchResumesWhereItWas: through a restart of the node, and through its own.
func TestPythonWatchResumesWhereItWas(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed: sudo apt-get install python3")
	}
	node := clienttest.Start(t)
	c := node.Client(t)
	state := filepath.Join(t.TempDir(), "token")
	put := func(value string) {
		t.Helper()
		if _, err := c.PutAll(t.Context(), []sheaf.Entry{sheaf.Put("a", value), sheaf.Put("b", value), sheaf.Put("z", "")}); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		watch := exec.CommandContext(ctx, "python3", "python/watch.py", "--addr", node.HTTPAddr(), "--prefix", "a", "--state", state)
		watch.Stderr = t.Output()
		stdout, err := watch.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := watch.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		lines.Buffer(nil, 8<<20)
		expect := func(value string) {
			t.Helper()
			if !lines.Scan() || !strings.Contains(lines.Text(), fmt.Sprintf(`"entries": [{"key": "a", "value": "%s"}]`, value)) {
				t.Fatalf("in round %d, waiting for %.20q: got %.200q", round, value, lines.Text())
			}
		}
		if round == 0 {
			for { // until it has begun, which its state tells
				if _, err := os.Stat(state); err == nil {
					break
				}
				select {
				case <-time.After(5 * time.Millisecond):
				case <-ctx.Done():
					t.Fatal("it did not begin")
				}
			}
			put("first")
			expect("first")
			large := strings.Repeat("large", 300_000) // of several events
			put(large)
			expect(large)
			node.Stop(t)
			node.Start(t)
			put("after a restart")
			expect("after a restart")
		} else {
			expect("while it was away")
			expect("and again")
		}
		if err := watch.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			t.Errorf("it says %.200q besides", lines.Text())
		}
		if err := watch.Wait(); err != nil {
			t.Errorf("it ended with %v", err)
		}
		put("while it was away")
		put("and again")
	}
}
