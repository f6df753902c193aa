package group

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/raft/v3/raftpb"
)

// slowLogFS is a file system whose fsyncs are counted, and wait while it is held.
type slowLogFS struct {
	vfs.FS
	held  atomic.Bool
	free  chan struct{}
	syncs atomic.Int64
}

func (fs *slowLogFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, category, opts...)
	if err != nil {
		return nil, err
	}
	return &slowLogFile{f, fs}, nil
}

type slowLogFile struct {
	vfs.File
	fs *slowLogFS
}

func (f *slowLogFile) SyncData() error {
	f.fs.syncs.Add(1)
	if f.fs.held.Load() {
		<-f.fs.free
	}
	return f.File.SyncData()
}

// TestAFollowerWhoseDiskIsSlowTakesNoMoreThanItsBound, and catches up when it is fast again.
func TestAFollowerWhoseDiskIsSlowTakesNoMoreThanItsBound(t *testing.T) {
	const each, bound = 64 << 10, 512 << 10
	tr := &trio{t: t, kind: "memory", tailBytes: 64 << 20, receive: bound}
	disks := [3]*slowLogFS{}
	tr.logFS = func(m *member) vfs.FS {
		disks[m.id-1] = &slowLogFS{FS: m.rig.fs, free: make(chan struct{})}
		return disks[m.id-1]
	}
	startTrio(t, tr)
	tr.put("a", "0")
	leader := tr.leader(nil)
	slow := tr.members[leader.id%3]
	disk := disks[slow.id-1]
	disk.held.Store(true)
	g := slow.group()
	value := strings.Repeat("x", each)
	for i := range 4 * bound / each {
		tr.put(fmt.Sprint(i), value)
		g.inbox.mu.Lock()
		waits := g.inbox.news.bytes + g.backlog.Load()
		g.inbox.mu.Unlock()
		if waits > 2*bound { // read in two steps: what has just been taken counts twice
			t.Fatalf("%d bytes wait for its disk", waits)
		}
	}
	answer := make(chan int64, 1)
	if appending, err := askLoop(t.Context(), g, answer, func() { answer <- g.loop.appending }); err != nil || appending > bound || appending == 0 {
		t.Errorf("%d bytes are on their way to its disk, %v", appending, err)
	}
	disk.held.Store(false)
	close(disk.free)
	slow.mustHave("31", value)
	waitUntil(t, "nothing waits any more", func() bool { return g.backlog.Load() == 0 })
}

// TestAMessageLargerThanTheBoundIsTaken when nothing else waits: it could never come.
func TestAMessageLargerThanTheBoundIsTaken(t *testing.T) {
	g := &Group{cfg: Config{ReceiveBytes: 1000}}
	g.inbox.signal = make(chan struct{}, 1)
	m := &pb.Message{Type: pb.MsgApp.Enum(), Entries: []*pb.Entry{{Data: make([]byte, 2000)}}}
	g.Receive([]*pb.Message{m, proto.CloneOf(m), {Type: pb.MsgHeartbeat.Enum()}})
	if n := len(g.inbox.news.messages); n != 2 {
		t.Errorf("%d messages were taken, want the first and the heartbeat", n)
	}
}
