package node

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf"
)

// hangingFS is a file system on which every fsync waits while it hangs.
type hangingFS struct {
	vfs.FS
	hang    atomic.Bool
	release chan struct{}
}

func (fs *hangingFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, category, opts...)
	if err != nil {
		return nil, err
	}
	return &hangingFile{f, fs}, nil
}

type hangingFile struct {
	vfs.File
	fs *hangingFS
}

func (f *hangingFile) SyncData() error {
	if f.fs.hang.Load() {
		<-f.fs.release
	}
	return f.File.SyncData()
}

// TestANodeWhoseDiskHangsEnds, and the others go on.
func TestANodeWhoseDiskHangsEnds(t *testing.T) {
	t.Parallel()
	tr := prepareTrio(t, "memory", 1, 0)
	var disks [3]*hangingFS
	started := make(chan error, 3)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range tr.nodes {
		disks[i] = &hangingFS{FS: vfs.Default, release: make(chan struct{})}
		go func() {
			var err error
			tr.nodes[i], err = Start(ctx, tr.cfgs[i], Options{Logger: slog.New(slog.DiscardHandler), FS: disks[i], HungAfter: 500 * time.Millisecond})
			started <- err
		}()
	}
	for range 3 {
		if err := <-started; err != nil {
			t.Fatal(err)
		}
	}
	tr.put(0, "a", "1")
	leader := int(tr.nodes[0].hosted[0].group.Leader()) - 1
	hung, other := tr.nodes[leader], (leader+1)%3
	disks[leader].hang.Store(true)
	write, cancelWrite := context.WithTimeout(t.Context(), patience)
	defer cancelWrite()
	if _, err := tr.client(other).PutAll(write, []sheaf.Entry{sheaf.Put("a", "2")}); err != nil {
		t.Errorf("the others do not go on: %v", err)
	}
	select {
	case <-hung.Done():
		if err := hung.Err(); !strings.Contains(err.Error(), "hangs") {
			t.Errorf("it ended for another reason: %v", err)
		}
	case <-time.After(patience):
		t.Error("the node goes on")
	}
	close(disks[leader].release)
	tr.nodes[leader] = nil
	_ = hung.Stop(context.Background()) // it says again why it ended
	tr.mustHave(other, "a", "2")
}
