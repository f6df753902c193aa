package node

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// staringFS says how large its disk is only when it is not held.
type staringFS struct {
	vfs.FS
	free atomic.Uint64
	mu   sync.Mutex // held: the disk does not answer
	asks atomic.Int64
}

// GetDiskUsage is that of a large disk.
func (fs *staringFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	fs.asks.Add(1)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	const total = 1 << 40
	free := fs.free.Load()
	return vfs.DiskUsage{AvailBytes: free, TotalBytes: total, UsedBytes: total - free}, nil
}

func startOn(t *testing.T, fs vfs.FS, lowWater int64) (*Node, *client.Client) {
	t.Helper()
	cfg := testConfig(t.TempDir())
	cfg.Disk.LowWaterBytes, cfg.Disk.BallastBytes = lowWater, 1<<20
	n, err := Start(t.Context(), cfg, Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	addr, _, _ := n.Addrs()
	c, err := client.New(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), n.Stop(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return n, c
}

// TestADiskThatIsSlowToAnswerHoldsUpNoWrites: how much is free is asked beside them.
func TestADiskThatIsSlowToAnswerHoldsUpNoWrites(t *testing.T) {
	fs := &staringFS{FS: vfs.Default}
	fs.free.Store(1 << 39)
	_, c := startOn(t, fs, 0)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for asked := fs.asks.Load(); fs.asks.Load() == asked; { // the watch waits in it
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := c.PutAll(ctx, []sheaf.Entry{sheaf.Put("a", "1")}); err != nil {
		t.Error(err)
	}
}

// TestAFastWriterDoesNotOutrunTheWatch: between two looks at the disk no more is written than it
// may have room for.
func TestAFastWriterDoesNotOutrunTheWatch(t *testing.T) {
	const spare, each = 8 << 20, 256 << 10
	fs := &staringFS{FS: vfs.Default}
	fs.free.Store(1 << 39)
	n, c := startOn(t, fs, 64<<20)
	if _, err := c.PutAll(t.Context(), []sheaf.Entry{sheaf.Put("a", "1")}); err != nil {
		t.Fatal(err)
	}
	fs.free.Store(uint64(64<<20 + n.disk.need() + spare))
	for n.disk.spare.Load() > spare {
		time.Sleep(time.Millisecond)
	}
	fs.mu.Lock()
	held := true
	defer func() {
		if held {
			fs.mu.Unlock()
		}
	}()
	before, value := n.log.SizeBytes(), bytes.Repeat([]byte("x"), each)
	var err error
	for range 2 * spare / each {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		_, err = c.PutAll(ctx, []sheaf.Entry{sheaf.Put("a", value)})
		cancel()
		if err != nil {
			break
		}
	}
	if wrote := n.log.SizeBytes() - before; err == nil || wrote < spare/8 || wrote > spare/2 {
		t.Errorf("%d bytes were written to a disk that has %d beyond what is needed, and then: %v", wrote, spare, err)
	}
	fs.free.Store(1 << 20)
	fs.mu.Unlock()
	held = false
	for !n.gate.NoSpace() {
		time.Sleep(time.Millisecond)
	}
	fs.free.Store(1 << 39)
}
