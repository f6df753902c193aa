package group

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// heldStore applies only when it is let.
type heldStore struct {
	store.Store
	held          atomic.Bool
	entered, free chan struct{}
}

func (s *heldStore) Apply(m *store.Mutations) error {
	if !s.held.Load() {
		return s.Store.Apply(m)
	}
	s.entered <- struct{}{}
	<-s.free
	return s.Store.Apply(m)
}

// hold starts the rig again with a store that is held from now on.
func (r *rig) hold() *heldStore {
	r.t.Helper()
	r.close()
	held := &heldStore{entered: make(chan struct{}), free: make(chan struct{})}
	r.wrap = func(s store.Store) store.Store {
		held.Store = s
		return held
	}
	r.open()
	held.held.Store(true)
	return held
}

// TestBytesOfAnAbandonedBatchStayCounted: the caller has gone, its batch is in
// memory all the same until it is applied.
func TestBytesOfAnAbandonedBatchStayCounted(t *testing.T) {
	r := newRig(t, "memory")
	held := r.hold()
	defer r.close()
	ctx, cancel := context.WithCancel(context.Background())
	answer := make(chan error)
	cmd := r.command("id", put("a", "0123456789"))
	go func() {
		_, _, err := r.group.Propose(ctx, cmd)
		answer <- err
	}()
	<-held.entered
	cancel()
	if err := <-answer; !errors.Is(err, sheaf.OutcomeUnknown) || !errors.Is(err, context.Canceled) {
		t.Fatalf("a caller who left: %v", err)
	}
	if now, _ := r.gate.InFlight(); now != int64(len(cmd.Entries.Raw())) {
		t.Errorf("%d bytes are counted, want %d", now, len(cmd.Entries.Raw()))
	}
	close(held.free)
	waitUntil(t, "the bytes are given back", func() bool { now, _ := r.gate.InFlight(); return now == 0 })
	if _, version := r.get("a"); version == 0 {
		t.Error("the batch was in the log's hands and is not there")
	}
}

// TestAnAbandonedBatchKeepsItsBytes: the caller has let go of its buffer and others use
// what is free; the batch is written as it was sent.
func TestAnAbandonedBatchKeepsItsBytes(t *testing.T) {
	r := newRig(t, "memory")
	held := r.hold()
	defer r.close()
	cmd := r.command("id", put("a", "0123456789"))
	raw := cmd.Entries.Raw()
	cmd.Source = wire.NewBuffer(len(raw))
	copy(cmd.Source.Bytes(), raw)
	var err error
	if cmd.Entries, err = wire.ParseEntries(cmd.Source.Bytes(), r.limits); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	answer := make(chan error)
	go func() {
		_, _, err := r.group.Propose(ctx, cmd)
		answer <- err
	}()
	<-held.entered
	cancel()
	<-answer
	source := cmd.Source
	source.Release()
	other := wire.NewBuffer(len(raw))
	if other == source {
		t.Error("the buffer is used again while the batch is on its way")
	}
	copy(other.Bytes(), bytes.Repeat([]byte("#"), len(raw)))
	close(held.free)
	waitUntil(t, "the bytes are given back", func() bool { now, _ := r.gate.InFlight(); return now == 0 })
	if value, _ := r.get("a"); value != "0123456789" {
		t.Errorf("a = %q", value)
	}
	other.Release()
}

// TestKeysExpireWhileTheStateStandsStill: a stalled disk keeps the state's clock
// from moving, and must not keep expired keys visible.
func TestKeysExpireWhileTheStateStandsStill(t *testing.T) {
	r := newRig(t, "memory")
	e := put("a", "1")
	e.TTLMS = 50
	r.commit(r.command("", e))
	r.group.Stop() // nothing moves the state's clock any more
	defer func() {
		r.journal.Close()
		if err := errors.Join(r.log.Close(), r.store.Close()); err != nil {
			t.Error(err)
		}
	}()
	if _, version := r.get("a"); version == 0 {
		t.Fatal("expired too early")
	}
	r.nowMS.Add(50)
	if _, version := r.get("a"); version != 0 {
		t.Error("an expired key is visible")
	}
	r.nowMS.Add(-50) // the wall clock is set back
	if _, version := r.get("a"); version != 0 {
		t.Error("an expired key came back")
	}
	scanner, err := r.group.Scan(context.Background(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer scanner.Close()
	if scanner.Next() {
		t.Errorf("a scan shows %q", scanner.Item().Key)
	}
}

// TestALearnerAndItsLeaderJudgeExpiryAlike: a leader that is the only voter has another beside
// it who serves reads too, by the state's time.
func TestALearnerAndItsLeaderJudgeExpiryAlike(t *testing.T) {
	r := newRig(t, "memory")
	learner, add := uint64(2), pb.ConfChangeAddLearnerNode
	if err := r.group.Change(t.Context(), &pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{{Type: &add, NodeId: &learner}}}); err != nil {
		t.Fatal(err)
	}
	e := put("a", "1")
	e.TTLMS = 50
	r.commit(r.command("", e))
	r.group.Stop() // nothing moves the state's clock any more
	defer func() {
		r.journal.Close()
		if err := errors.Join(r.log.Close(), r.store.Close()); err != nil {
			t.Error(err)
		}
	}()
	if !r.group.Alone() {
		t.Error("a learner counts as a voter")
	}
	r.nowMS.Add(50)
	if _, version := r.get("a"); version == 0 {
		t.Error("the key has expired at the leader, and not for the learner")
	}
}
