package node

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// shears passes connections on and can cut all that there are.
type shears struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	conns    []net.Conn
	passing  sync.WaitGroup
}

func newShears(t *testing.T, to string) *shears {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &shears{listener: l, to: to}
	s.passing.Go(s.accept)
	t.Cleanup(func() {
		_ = l.Close()
		s.cut()
		s.passing.Wait()
	})
	return s
}

func (s *shears) accept() {
	for {
		in, err := s.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", s.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		s.mu.Lock()
		s.conns = append(s.conns, in, out)
		s.mu.Unlock()
		for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
			s.passing.Go(func() {
				_, _ = io.Copy(way[0], way[1]) // until it is cut
				_, _ = way[0].Close(), way[1].Close()
			})
		}
	}
}

func (s *shears) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		_ = conn.Close()
	}
	s.conns = nil
}

// TestAStreamThatIsCutLosesAndDoublesNothing: every batch has a key of its own, which must
// have the version that was answered, and one that all have, which must have the last's.
func TestAStreamThatIsCutLosesAndDoublesNothing(t *testing.T) {
	for _, groups := range []int{1, 3} {
		t.Run(fmt.Sprint("groups=", groups), func(t *testing.T) {
			cfg := testConfig(t.TempDir())
			cfg.Groups = groups
			n := start(t, cfg)
			addr, _, _ := n.Addrs()
			way := newShears(t, addr)
			c, err := client.New(way.listener.Addr().String(), client.WithRetry(client.RetryPolicy{BaseDelay: time.Millisecond}))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close() //nolint:errcheck // all calls are over
			s, err := c.PutStream(t.Context(), client.WithStreamWindow(16<<10))
			if err != nil {
				t.Fatal(err)
			}
			const batches = 400
			var pending []*client.Pending
			for i := range batches {
				p, err := s.Put(t.Context(), numberedBatch(i))
				if err != nil {
					t.Fatal(err)
				}
				if pending = append(pending, p); i%40 == 39 {
					way.cut()
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			var last uint64
			again := 0
			for i, p := range pending {
				got, err := p.Wait(t.Context())
				if err != nil {
					t.Fatalf("batch %d: %v", i, err)
				}
				if got.Attempts > 1 {
					again++
				}
				item, err := c.Get(t.Context(), numberedBatch(i)[0].Key)
				if err != nil || item.Version != got.Version {
					t.Fatalf("batch %d was answered with version %d and has %d (%v)", i, got.Version, item.Version, err)
				}
				if got.Version <= last {
					t.Errorf("batch %d has version %d, that before it %d", i, got.Version, last)
				}
				last = got.Version
			}
			if item, err := c.Get(t.Context(), []byte("shared")); err != nil || string(item.Value) != fmt.Sprint(batches-1) {
				t.Errorf("the key that all have is %q, %v", item.Value, err)
			}
			t.Logf("%d of %d batches were sent more than once", again, batches)
			if again == 0 {
				t.Error("nothing was on its way when the connection was cut")
			}
		})
	}
}

// numberedBatch has a key of its own and one that all have.
func numberedBatch(i int) []sheaf.Entry {
	return []sheaf.Entry{sheaf.Put(fmt.Sprint("own-", i), strings.Repeat("x", 1000)), sheaf.Put("shared", fmt.Sprint(i))}
}

// TestAStreamMovesToAnotherNode: the node that it writes to is stopped in the middle.
func TestAStreamMovesToAnotherNode(t *testing.T) {
	tr := newTrio(t, "memory", 0)
	tr.put(0, "warm", "1")
	var addrs []string
	for _, n := range tr.nodes {
		addr, _, _ := n.Addrs()
		addrs = append(addrs, addr)
	}
	c, err := client.New(strings.Join(addrs, ","), client.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // all calls are over
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := c.PutStream(ctx, client.WithStreamWindow(64<<10))
	if err != nil {
		t.Fatal(err)
	}
	leader := 0
	for i, n := range tr.nodes {
		if n.sample().Groups[0].Leads {
			leader = i
		}
	}
	stopped := make(chan struct{})
	for i := range 300 {
		if i == 100 {
			go func() {
				defer close(stopped)
				tr.stop(leader)
			}()
		}
		if _, err := s.Put(ctx, numberedBatch(i)); err != nil {
			t.Fatal(err)
		}
	}
	err = s.Close()
	<-stopped
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		if _, err := c.Get(ctx, numberedBatch(i)[0].Key); err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
	}
	if item, err := c.Get(ctx, []byte("shared")); err != nil || string(item.Value) != "299" {
		t.Errorf("the key that all have is %q, %v", item.Value, err)
	}
}
