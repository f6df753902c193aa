package group

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wal"
)

// trio is a group of three replicas over crashable file systems, with functions for a
// network.
type trio struct {
	t         *testing.T
	kind      string
	tailBytes int64
	members   [3]*member
	cut       [4][4]atomic.Bool // from, to
	clock     atomic.Int64
	tailMost  int64
	receive   int64
	// logFS, if not nil, puts something between a log and its disk.
	logFS func(*member) vfs.FS
	// slow, if not nil, is called before a state arrives.
	slow func()
	// adopt, if not nil, is called before a state is put in its place.
	adopt func()
	// fatal, if not nil, is told why a replica must end.
	fatal func(*member, error)
}

// member is one replica with its disk. It is its group's Place.
type member struct {
	trio *trio
	id   uint64
	rig  *rig
	mu   sync.Mutex
	// up is nil while the replica is down.
	up *Group
	// dir and adopted are on the disk of a node; a crash of these tests keeps them.
	dir     string
	adopted uint64
	dirs    int
	dead    atomic.Bool
}

func newTrio(t *testing.T, kind string, tailBytes int64) *trio {
	t.Helper()
	return startTrio(t, &trio{t: t, kind: kind, tailBytes: tailBytes})
}

func startTrio(t *testing.T, tr *trio) *trio {
	t.Helper()
	for i := range tr.members {
		m := &member{trio: tr, id: uint64(i + 1), dir: "store"}
		m.rig = &rig{t: t, fs: vfs.NewCrashableMem(), kind: tr.kind, limits: sheaf.DefaultLimits(), logMax: 256 << 20, gate: admission.NewGate(1 << 30)}
		tr.members[i] = m
	}
	for _, m := range tr.members {
		m.start()
	}
	t.Cleanup(func() {
		for _, m := range tr.members {
			if m.group() != nil {
				m.stop()
			}
		}
	})
	return tr
}

func (m *member) group() *Group {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.up
}

func (m *member) openStore(dir string) store.Store {
	s, err := m.rig.openStoreIn(dir)
	if err != nil {
		m.trio.t.Fatalf("replica %d: open store: %v", m.id, err)
	}
	return s
}

func (m *member) start() {
	t, r, logger := m.trio.t, m.rig, slog.New(slog.DiscardHandler)
	t.Helper()
	r.store = m.openStore(m.dir)
	if m.adopted == 0 {
		if err := Seed(r.store, []uint64{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
	}
	recovery := NewRecovery(1, r.store, m.trio.tailBytes, nil, logger)
	recovery.Adopted(m.adopted)
	var err error
	fs := vfs.FS(r.fs)
	if m.trio.logFS != nil {
		fs = m.trio.logFS(m)
	}
	r.log, err = wal.Open(wal.Config{FS: fs, Dir: "log", SegmentBytes: 64 << 10, Found: recovery.Found, Logger: logger}, recovery.Visit)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := recovery.Saved(r.log)
	if err != nil {
		t.Fatalf("replica %d: %v", m.id, err)
	}
	r.journal = NewJournal(r.log, logger)
	r.lives++
	g, err := Start(context.Background(), Config{
		ID: 1, Replica: m.id, Store: r.store, Log: r.log, Journal: r.journal, Saved: saved, Incarnation: r.lives,
		Send: m.send, Place: m, TailBytes: m.trio.tailBytes, TailMostBytes: m.trio.tailMost, ReceiveBytes: m.trio.receive, Limits: r.limits, LogBytes: r.logMax, Gate: r.gate,
		Room: func() error { return nil }, Free: func() int64 { return -1 },
		Now: func() time.Time { return time.Now().Add(time.Duration(m.trio.clock.Load())) },
		Fatal: func(err error) {
			if m.trio.fatal == nil {
				panic(fmt.Sprintf("replica %d failed: %v", m.id, err))
			}
			m.trio.fatal(m, err)
		},
		Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	m.up = g
	m.mu.Unlock()
}

func (m *member) stop() {
	m.trio.t.Helper()
	g := m.group()
	m.mu.Lock()
	m.up = nil
	m.mu.Unlock()
	g.Stop()
	m.rig.journal.Close()
	if err := errors.Join(m.rig.log.Close(), m.rig.store.Close()); err != nil {
		m.trio.t.Fatalf("replica %d: %v", m.id, err)
	}
}

// crash loses what was not synced. Nothing leaves the replica from before that is known.
func (m *member) crash() {
	m.dead.Store(true)
	defer m.dead.Store(false)
	clone := m.rig.fs.CrashClone(vfs.CrashCloneCfg{})
	m.stop()
	m.rig.fs = clone
}

// send carries messages, in order, unless the way is cut. The receiver gets copies, as
// from a network.
func (m *member) send(messages []*pb.Message) {
	if m.dead.Load() {
		return
	}
	for _, one := range messages {
		to := m.trio.members[one.GetTo()-1]
		if one.GetType() == pb.MsgSnap {
			go m.sendState(to, proto.CloneOf(one))
			continue
		}
		if m.trio.cut[m.id][to.id].Load() {
			continue
		}
		if g := to.group(); g != nil {
			g.Receive([]*pb.Message{proto.CloneOf(one)})
		}
	}
}

func (m *member) sendState(to *member, one *pb.Message) {
	from, g := m.group(), to.group()
	if from == nil {
		return
	}
	if m.trio.slow != nil {
		m.trio.slow()
	}
	ok := g != nil && !m.trio.cut[m.id][to.id].Load()
	if ok {
		dir := to.ForCopy()
		if err := copyDir(m.rig.fs, string(one.GetSnapshot().GetData()), to.rig.fs, dir); err != nil {
			m.trio.t.Errorf("send a state: %v", err)
		}
		received := proto.CloneOf(one)
		received.Snapshot.Data = []byte(dir)
		g.Receive([]*pb.Message{received})
	}
	from.SnapshotSent(one, ok)
}

func copyDir(from vfs.FS, fromDir string, to vfs.FS, toDir string) error {
	names, err := from.List(fromDir)
	if err != nil {
		return err
	}
	if err := to.MkdirAll(toDir, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		if name == "LOCK" {
			continue
		}
		in, err := from.Open(from.PathJoin(fromDir, name))
		if err != nil {
			return err
		}
		out, err := to.Create(to.PathJoin(toDir, name), vfs.WriteCategoryUnspecified)
		if err != nil {
			return errors.Join(err, in.Close())
		}
		_, err = io.Copy(out, in)
		if err := errors.Join(err, out.Sync(), out.Close(), in.Close()); err != nil {
			return err
		}
	}
	d, err := to.OpenDir(toDir)
	if err != nil {
		return err
	}
	root, err := to.OpenDir("")
	if err != nil {
		return errors.Join(err, d.Close())
	}
	return errors.Join(d.Sync(), d.Close(), root.Sync(), root.Close())
}

func (m *member) ForCopy() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dirs++
	return fmt.Sprintf("copy-%d", m.dirs)
}

func (m *member) Adopt(dir string, index uint64) (store.Store, error) {
	if m.trio.adopt != nil {
		m.trio.adopt()
	}
	s := m.openStore(dir)
	m.mu.Lock()
	m.dir, m.adopted, m.rig.store = dir, index, s
	m.mu.Unlock()
	return s, nil
}

func (m *member) Discard(s store.Store, dir string) {
	if s != nil {
		if err := s.Close(); err != nil {
			m.trio.t.Errorf("replica %d: close the state before: %v", m.id, err)
		}
		return
	}
	if err := m.rig.fs.RemoveAll(dir); err != nil {
		m.trio.t.Errorf("replica %d: remove %s: %v", m.id, dir, err)
	}
}

// isolate cuts a replica off, or joins it again.
func (tr *trio) isolate(m *member, cut bool) {
	for _, other := range tr.members {
		if other != m {
			tr.cut[m.id][other.id].Store(cut)
			tr.cut[other.id][m.id].Store(cut)
		}
	}
}

// leader waits for one, other than not.
func (tr *trio) leader(not *member) (leader *member) {
	tr.t.Helper()
	waitUntil(tr.t, "there is a leader", func() bool {
		for _, m := range tr.members {
			if g := m.group(); m != not && g != nil && g.office.Load().Leading {
				leader = m
				return true
			}
		}
		return false
	})
	return leader
}

// put writes one key through whoever leads, with one request ID until it is answered.
func (tr *trio) put(key, value string) {
	tr.t.Helper()
	tr.putAll(key, func(r *rig) error {
		cmd := r.command(key+"="+value, put(key, value))
		return tr.tryEach(func(g *Group) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			result, _, err := g.Propose(ctx, cmd)
			if err == nil && result.Refused != nil {
				return result.Refused
			}
			return err
		})
	})
}

func (tr *trio) putAll(what string, once func(*rig) error) {
	tr.t.Helper()
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = once(tr.members[0].rig); err == nil {
			return
		}
	}
	tr.t.Fatalf("%s: %v", what, err)
}

func (tr *trio) tryEach(do func(*Group) error) (err error) {
	err = errors.New("nobody is up")
	for _, m := range tr.members {
		if g := m.group(); g != nil {
			if err = do(g); err == nil {
				return nil
			}
		}
	}
	return err
}

// mustHave checks a key at one replica, linearizably.
func (m *member) mustHave(key, value string) {
	m.trio.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var result ReadResult
	var err error
	for again := true; again; again = errors.Is(err, sheaf.NotLeader) && ctx.Err() == nil { // busy machines look for one for long
		result, err = m.group().Read(ctx, ReadRequest{Keys: [][]byte{[]byte(key)}, Level: sheaf.Linearizable, MaxBytes: 1 << 20})
	}
	if err != nil {
		m.trio.t.Fatalf("replica %d: read %q: %v", m.id, key, err)
	}
	m.rig.gate.Release(result.Reserved)
	if got := string(result.Items[0].Value); got != value {
		m.trio.t.Fatalf("replica %d: %q is %q, want %q", m.id, key, got, value)
	}
}

func TestThreeReplicasTakeWritesAndAnyServesReads(t *testing.T) {
	for _, kind := range []string{"memory", "pebble"} {
		t.Run(kind, func(t *testing.T) {
			tr := newTrio(t, kind, 1<<20)
			for i := range 50 {
				tr.put("a", fmt.Sprint(i))
				for _, m := range tr.members {
					m.mustHave("a", fmt.Sprint(i))
				}
			}
		})
	}
}

func TestALeaderThatIsCutOffNeitherAnswersNorReads(t *testing.T) {
	tr := newTrio(t, "memory", 1<<20)
	tr.put("a", "1")
	old := tr.leader(nil)
	tr.isolate(old, true)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	cmd := old.rig.command("lost", put("a", "lost"))
	if _, _, err := old.group().Propose(ctx, cmd); !errors.Is(err, sheaf.OutcomeUnknown) {
		t.Errorf("a leader without a quorum answers %v", err)
	}
	tr.put("a", "2")
	if _, err := old.group().Read(ctx, ReadRequest{Keys: [][]byte{[]byte("a")}, Level: sheaf.Linearizable, MaxBytes: 1 << 20}); err == nil {
		t.Error("it serves a linearizable read")
	}
	tr.isolate(old, false)
	for _, m := range tr.members {
		m.mustHave("a", "2")
	}
}

func TestACrashedReplicaCatchesUp(t *testing.T) {
	for _, kind := range []string{"memory", "pebble"} {
		t.Run(kind, func(t *testing.T) {
			tr := newTrio(t, kind, 1<<20)
			for round, m := range tr.members {
				m.crash()
				for i := range 20 {
					tr.put(fmt.Sprint(i), fmt.Sprint(round))
				}
				m.start()
				for i := range 20 {
					m.mustHave(fmt.Sprint(i), fmt.Sprint(round))
				}
			}
		})
	}
}

// TestAReplicaFarBehindGetsAState: the others keep next to nothing of their logs.
func TestAReplicaFarBehindGetsAState(t *testing.T) {
	for _, kind := range []string{"memory", "pebble"} {
		t.Run(kind, func(t *testing.T) {
			tr := newTrio(t, kind, 1)
			tr.put("first", "1")
			for round := range 3 {
				behind := tr.members[round]
				behind.crash()
				for i := range 20 {
					tr.put(fmt.Sprint(i), fmt.Sprint(round))
				}
				behind.start()
				for i := range 20 {
					behind.mustHave(fmt.Sprint(i), fmt.Sprint(round))
				}
				if behind.adopted == 0 {
					t.Error("it caught up without a state")
				}
				behind.crash() // the state is there to stay
				behind.start()
				behind.mustHave("first", "1")
				behind.mustHave("7", fmt.Sprint(round))
			}
		})
	}
}

// TestAStateIsTakenOverWhileItIsReadFrom: a scan that began before goes on in the old one.
func TestAStateIsTakenOverWhileItIsReadFrom(t *testing.T) {
	tr := newTrio(t, "pebble", 1)
	for i := range 20 {
		tr.put(fmt.Sprintf("%02d", i), "before")
	}
	leader := tr.leader(nil)
	behind := tr.members[leader.id%3]
	behind.mustHave("19", "before")
	scanner, err := behind.group().Scan(context.Background(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer scanner.Close()
	tr.isolate(behind, true)
	for i := range 20 {
		tr.put(fmt.Sprintf("%02d", i), "after")
	}
	tr.isolate(behind, false)
	behind.mustHave("00", "after")
	if behind.adopted == 0 {
		t.Fatal("it caught up without a state")
	}
	n := 0
	for ; scanner.Next(); n++ {
		if got := string(scanner.Item().Value); got != "before" {
			t.Errorf("the scan shows %q", got)
		}
	}
	if err := scanner.Err(); err != nil || n != 20 {
		t.Errorf("the scan had %d keys, %v", n, err)
	}
}

// TestAnOldCopyOfADiskEndsTheReplica, in one line: the others count on what it has promised.
func TestAnOldCopyOfADiskEndsTheReplica(t *testing.T) {
	ended := make(chan error, 3)
	tr := startTrio(t, &trio{t: t, kind: "memory", tailBytes: 1 << 20, fatal: func(_ *member, err error) { ended <- err }})
	tr.put("a", "1")
	m := tr.members[tr.leader(nil).id%3]
	m.mustHave("a", "1")
	old := m.rig.fs.CrashClone(vfs.CrashCloneCfg{})
	for i := range 20 {
		tr.put("a", fmt.Sprint(i))
	}
	m.mustHave("a", "19")
	m.crash()
	m.rig.fs = old
	m.start()
	select {
	case err := <-ended:
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "older") || strings.Contains(err.Error(), "\n") {
			t.Errorf("it says: %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("it goes on with an old disk")
	}
	tr.put("b", "1") // the others go on
}

// TestAQuestionThatBreaksTheReplicaEndsIt, in whoever's hands: he who brings one takes the turn.
func TestAQuestionThatBreaksTheReplicaEndsIt(t *testing.T) {
	ended := make(chan error, 3)
	tr := startTrio(t, &trio{t: t, kind: "memory", tailBytes: 1 << 20, fatal: func(_ *member, err error) { ended <- err }})
	tr.put("a", "1")
	leader := tr.leader(nil)
	m := tr.members[leader.id%3]
	term, never := uint64(1000), uint64(1<<40)
	m.group().Receive([]*pb.Message{{
		Type: pb.MsgHeartbeat.Enum(), From: &leader.id, To: &m.id, Term: &term, Commit: &never, Context: []byte("read"),
	}})
	select {
	case err := <-ended:
		if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("it says: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it goes on")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := m.group().Current(ctx); sheaf.CodeOf(err) != sheaf.Draining {
		t.Errorf("a read of it says: %v", err)
	}
	tr.put("b", "1") // the others go on
}

// TestAFollowerSyncsOnceARound: that an entry is committed, it hears a moment later, and costs no
// fsync.
func TestAFollowerSyncsOnceARound(t *testing.T) {
	tr := &trio{t: t, kind: "memory", tailBytes: 1 << 20}
	disks := [3]*slowLogFS{}
	tr.logFS = func(m *member) vfs.FS {
		disks[m.id-1] = &slowLogFS{FS: m.rig.fs}
		return disks[m.id-1]
	}
	startTrio(t, tr)
	tr.put("a", "0")
	var before [3]int64
	for i, disk := range disks {
		before[i] = disk.syncs.Load()
	}
	const rounds = 100
	for i := range rounds {
		tr.put("a", fmt.Sprint(i))
		for _, m := range tr.members { // or one that is behind writes several rounds at once
			m.mustHave("a", fmt.Sprint(i))
		}
	}
	for i, m := range tr.members {
		if n := disks[i].syncs.Load() - before[i]; n > rounds*5/4 { // Ticks and elections take a few
			t.Errorf("replica %d synced %d times in %d rounds", m.id, n, rounds)
		}
	}
}
