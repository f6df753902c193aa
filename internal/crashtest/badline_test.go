package crashtest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// badLine is a way to a node on which anything may happen to bytes but that they are altered: they
// come late, a few at a time, or never; connections end amid a message, at either end or at both.
type badLine struct {
	listener net.Listener
	target   string
	quiet    atomic.Bool // nothing happens
	mishaps  atomic.Int64
	mu       sync.Mutex
	rng      *rand.Rand
	open     map[net.Conn]bool
}

func newBadLine(t *testing.T, target string, seed uint64) *badLine {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &badLine{listener: listener, target: target, rng: rand.New(rand.NewPCG(seed, 0)), open: make(map[net.Conn]bool)}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { l.carry(c) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		l.mu.Lock()
		for c := range l.open {
			_ = c.Close()
		}
		l.mu.Unlock()
		serving.Wait()
	})
	return l
}

func (l *badLine) carry(from net.Conn) {
	to, err := net.Dial("tcp", l.target)
	if err != nil {
		_ = from.Close()
		return
	}
	l.mu.Lock()
	l.open[from], l.open[to] = true, true
	l.mu.Unlock()
	var ways sync.WaitGroup
	end := func() { _, _ = from.Close(), to.Close() }
	ways.Go(func() { defer end(); l.pump(from, to) })
	ways.Go(func() { defer end(); l.pump(to, from) })
	ways.Wait()
	l.mu.Lock()
	delete(l.open, from)
	delete(l.open, to)
	l.mu.Unlock()
}

// pump carries bytes one way.
func (l *badLine) pump(from, to net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		piece := buf[:n]
		switch l.draw() {
		case "delay":
			time.Sleep(l.some(20 * time.Millisecond))
		case "trickle":
			for len(piece) > 64 {
				if _, err := to.Write(piece[:64]); err != nil {
					return
				}
				piece = piece[64:]
				time.Sleep(100 * time.Microsecond)
			}
		case "lose": // what was on its way never arrives, and the connection is found dead some time later
			time.Sleep(l.some(50 * time.Millisecond))
			return
		case "cut": // amid a message
			_, _ = to.Write(piece[:len(piece)/2])
			return
		case "reset":
			_ = from.(*net.TCPConn).SetLinger(0)
			_ = to.(*net.TCPConn).SetLinger(0)
			return
		case "arrives and ends": // the answer to it is lost
			_, _ = to.Write(piece)
			return
		}
		if _, err := to.Write(piece); err != nil {
			return
		}
	}
}

// draw says what happens to the next piece.
func (l *badLine) draw() string {
	if l.quiet.Load() {
		return ""
	}
	l.mu.Lock()
	n := l.rng.IntN(400)
	l.mu.Unlock()
	happens := map[int]string{0: "lose", 1: "cut", 2: "reset", 3: "arrives and ends", 4: "arrives and ends"}[n]
	if n >= 10 && n < 30 {
		happens = "delay"
	}
	if n >= 30 && n < 40 {
		happens = "trickle"
	}
	if n < 5 {
		l.mishaps.Add(1)
	}
	return happens
}

func (l *badLine) some(most time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.rng.Int64N(int64(most)))
}

// writeOverABadLine has clients write batches that each have a key of their own, and a watch over the
// same line follow. It returns what is wrong, and how many connections were lost.
func writeOverABadLine(t *testing.T, path string, batches int) (wrong []string, mishaps int64) {
	t.Helper()
	node := launch(t, path, serveArgs(t.TempDir(), "memory")...)
	node.mustBeReady(t)
	line := newBadLine(t, node.addr, 1)
	addr := line.listener.Addr().String()
	open := func() *client.Client {
		c, err := client.New(addr, client.WithRetry(client.RetryPolicy{MaxAttempts: 1000, BaseDelay: time.Millisecond, MaxDelay: 50 * time.Millisecond}), client.WithTimeout(patience))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}

	// What the watch has seen: versions by key.
	seen, all := make(map[string][]uint64), make(chan struct{})
	ctx, stop := context.WithTimeout(t.Context(), 4*patience)
	began := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		once := sync.OnceFunc(func() { close(began) })
		for event, err := range open().Watch(ctx, client.WatchOptions{Progress: func(string) { once() }, ProgressEvery: 100 * time.Millisecond}) {
			if err != nil {
				if ctx.Err() == nil {
					t.Error("watch:", err)
				}
				return
			}
			for _, change := range event.Changes {
				seen[string(change.Key)] = append(seen[string(change.Key)], event.Version)
				if string(change.Key) == "the end" {
					close(all)
					return
				}
			}
		}
	})
	within(t, began, "the watch's beginning")

	const writers = 16
	versions := make([]uint64, batches)
	var writing sync.WaitGroup
	var next atomic.Int64
	for range writers {
		c := open()
		writing.Go(func() {
			for i := next.Add(1) - 1; i < int64(batches); i = next.Add(1) - 1 {
				result, err := c.PutAll(ctx, []sheaf.Entry{
					sheaf.Put(fmt.Sprintf("own/%d", i), fmt.Sprint(i)), sheaf.Put(fmt.Sprintf("shared/%d", i%8), fmt.Sprint(i)),
				})
				if err != nil {
					t.Errorf("batch %d: %v", i, err)
				}
				versions[i] = result.Version
			}
		})
	}
	writing.Wait()
	line.quiet.Store(true)
	if _, err := open().Put(ctx, []byte("the end"), nil); err != nil {
		t.Fatal(err)
	}
	watching.Wait()
	stop()
	select {
	case <-all:
	default:
		t.Fatal("the watch did not come to the end")
	}
	for i, version := range versions {
		switch found := seen[fmt.Sprintf("own/%d", i)]; {
		case len(found) == 0:
			wrong = append(wrong, fmt.Sprintf("batch %d, acknowledged at version %d, was never seen", i, version))
		case len(found) > 1:
			wrong = append(wrong, fmt.Sprintf("batch %d was applied %d times, at versions %v", i, len(found), found))
		case found[0] != version:
			wrong = append(wrong, fmt.Sprintf("batch %d was acknowledged at version %d and seen at %d", i, version, found[0]))
		}
	}
	return wrong, line.mishaps.Load()
}

// badLineBatches is how many batches go over the line.
const badLineBatches = 10_000

// TestEveryBatchIsAppliedOnceOverABadLine, and is seen once over one.
func TestEveryBatchIsAppliedOnceOverABadLine(t *testing.T) {
	began := time.Now()
	wrong, mishaps := writeOverABadLine(t, program(t), badLineBatches)
	for _, what := range wrong[:min(len(wrong), 10)] {
		t.Error(what)
	}
	if mishaps < 50 {
		t.Errorf("only %d connections were lost: the line is not bad", mishaps)
	}
	t.Logf("%d batches, %d connections lost, %d wrong, %s", badLineBatches, mishaps, len(wrong), time.Since(began))
}

// TestANodeThatForgetsRequestIDsIsFoundOut by the same test: it can fail.
func TestANodeThatForgetsRequestIDsIsFoundOut(t *testing.T) {
	const file, old, forgetful = "../apply/rows.go", "	if id == \"\" {\n", "	if true {\n"
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(source), old) != 1 {
		t.Fatalf("%s has changed: say anew what makes it forget", file)
	}
	dir := t.TempDir()
	changed, overlay, path := filepath.Join(dir, "rows.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "sheaf")
	original, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{changed: []byte(strings.Replace(string(source), old, forgetful, 1)), overlay: replace} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", path, "github.com/sheafdb/sheaf/cmd/sheaf").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	wrong, _ := writeOverABadLine(t, path, badLineBatches/5)
	twice := 0
	for _, what := range wrong {
		if strings.Contains(what, "times") {
			twice++
		}
	}
	if twice == 0 {
		t.Error("no batch was applied twice, or nobody noticed")
	}
	t.Logf("%d batches were applied more than once", twice)
}
