package contract

import (
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/config"
)

// TestNoSpaceComesBetween: a full disk refuses writes after their shape was checked
// and before their request ID is looked up, and refuses no read.
func TestNoSpaceComesBetween(t *testing.T) {
	dir := t.TempDir()
	before := start(t, dir, nil, nil)
	known := call{id: "known", entries: puts("a=1")}
	wrote := must(t, httpFace{before}, known)
	before.shut()

	n := start(t, dir, nil, func(c *config.Config) { c.Disk.LowWaterBytes = 1 << 60 })
	said, err := sheafv1.NewNodeServiceClient(n.conn).GetStatus(t.Context(), &sheafv1.GetStatusRequest{})
	if err != nil || said.State != "no space" {
		t.Errorf("the node says that it is %q: %v", said.GetState(), err)
	}
	eachFace(t, n, func(t *testing.T, f face) {
		write := call{id: "R", entries: puts("b=1")}
		for _, c := range []call{
			write, known,
			{op: deleteAll, id: "D", keys: []string{"a"}},
			{op: putKey, entries: puts("b=1")},
			{op: deleteKey, keys: []string{"a"}},
			{id: "E", entries: puts("b=1"), level: sheaf.Eventual},
			{id: "stale", entries: puts("a=1"), ifMatch: `"stale"`},
			{id: "known", entries: puts("reused=1")},
		} {
			mustRefuse(t, f, c, sheaf.NoSpace)
		}
		for _, c := range []call{
			{id: "R", entries: puts("a=1", "a=2")},
			{id: "R", entries: puts("a=1"), ifMatch: "malformed"},
			{id: "R", entries: puts("a=1"), ifMatch: `"x"`, level: sheaf.Eventual},
		} {
			mustRefuse(t, f, c, sheaf.InvalidBatch)
		}
		for _, op := range []operation{getKey, getAll, scan} {
			got := must(t, f, call{op: op, keys: []string{"a"}})
			if len(got.items) != 1 || got.items[0].value != "1" || got.items[0].version != wrote.version {
				t.Errorf("%v on a full disk answers %+v", op, got.items)
			}
		}
	})
	refusedWith(t, httpFace{n}.send(t, "POST", "/v1/putall", []byte(`{"entries":[{"key":"a"}]}`)), sheaf.RequestIDRequired)
}

// fillingDisk says of itself what a test wants.
type fillingDisk struct {
	vfs.FS
	free atomic.Uint64
}

// GetDiskUsage tells the free bytes.
func (d *fillingDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	const total = 1 << 40
	free := d.free.Load()
	return vfs.DiskUsage{AvailBytes: free, TotalBytes: total, UsedBytes: total - free}, nil
}

// TestWritesResumeWhenSpaceReturns: by themselves, with the same request ID.
func TestWritesResumeWhenSpaceReturns(t *testing.T) {
	disk := &fillingDisk{FS: vfs.Default}
	disk.free.Store(1 << 39)
	n := start(t, t.TempDir(), disk, nil)
	for _, f := range n.faces() {
		before := call{id: f.name() + "before", entries: puts("a=1")}
		wrote := must(t, f, before)
		disk.free.Store(1 << 20)
		write := call{id: f.name(), entries: puts("a=2")}
		await(t, "the node has seen that its disk is full", func() bool {
			got := f.do(t, call{op: putKey, entries: puts("b=1")})
			return got.refused != nil && got.refused.code == sheaf.NoSpace
		})
		mustRefuse(t, f, write, sheaf.NoSpace)
		if got := must(t, f, call{op: getAll, keys: []string{"a"}}); got.etag != wrote.etag {
			t.Errorf("%s: a refused write changed the key: %v", f.name(), got.items)
		}
		disk.free.Store(1 << 39)
		await(t, "the node takes writes again", func() bool { return f.do(t, call{op: putKey, entries: puts("b=1")}).refused == nil })
		if got := must(t, f, write); got.replayed {
			t.Errorf("%s: the batch was applied while the disk was full", f.name())
		}
		if got := must(t, f, before); !got.replayed || got.version != wrote.version {
			t.Errorf("%s: the retry was answered %+v, the first attempt %+v", f.name(), got, wrote)
		}
	}
}
