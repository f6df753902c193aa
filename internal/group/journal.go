package group

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/wal"
)

// Journal writes the log of a node for all its groups: whatever is ready while one fsync
// runs shares the next.
type Journal struct {
	log    *wal.Log
	logger *slog.Logger
	queue  *queue[writing]
	done   chan struct{}
	ending atomic.Bool
	// groups are all that write: what keeps a segment of the log may be another group's
	// than that whose write fills it.
	mu     sync.Mutex
	groups []*Group
	// bound of the log is that of the group with the largest state.
	bound atomic.Int64
	// writing is when the write under way began, in nanoseconds; 0 is none.
	writing atomic.Int64

	entries []wal.Entry
	states  []wal.HardState
}

// writing is one group's Append on its way to the disk.
type writing struct {
	group *Group
	write *replica.Append
}

// maxWriteBytes bounds what one write of the log takes, but for a single larger Append.
const maxWriteBytes = 256 << 20

// NewJournal starts to write to a log. When that fails, the groups do that have something
// to write, and nothing that was not written is told to anybody.
func NewJournal(log *wal.Log, logger *slog.Logger) *Journal {
	j := &Journal{log: log, logger: logger, queue: newQueue[writing](), done: make(chan struct{})}
	go j.run()
	return j
}

// Close returns when all is written that was given. It does not close the log.
func (j *Journal) Close() {
	j.ending.Store(true)
	j.queue.close()
	<-j.done
}

// Watch returns an error when one write of the log takes longer than limit, and nil when ctx
// ends. A leader whose disk hangs still answers the others, and so would lead for ever without
// acknowledging anything: who has others ends instead.
func (j *Journal) Watch(ctx context.Context, limit time.Duration) error {
	ticker := time.NewTicker(limit / 10)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if began := j.writing.Load(); began != 0 {
			if took := time.Since(time.Unix(0, began)); took > limit {
				return fmt.Errorf("one write of the log has taken %s: the disk of %s hangs", took.Round(time.Millisecond), j.log.Dir())
			}
		}
	}
}

// join adds a group to those that write.
func (j *Journal) join(g *Group) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.groups = append(j.groups, g)
}

// cut lets every group look whether the log is long, and says whether one is at work on it.
func (j *Journal) cut() (atWork bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	bound := int64(0)
	for _, g := range j.groups {
		bound = max(bound, g.cut.bound.Load())
	}
	j.bound.Store(bound)
	for _, g := range j.groups {
		g.cut.maybe(bound)
		atWork = atWork || g.cut.atWork()
	}
	return atWork
}

// wake lets every group look again whether the log has room.
func (j *Journal) wake() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, g := range j.groups {
		g.inbox.wake()
	}
}

func (j *Journal) write(g *Group, a *replica.Append) { j.queue.put(writing{g, a}) }

func (j *Journal) run() {
	defer close(j.done)
	var spare []writing
	var failure error
	for {
		all, ok := j.queue.take(spare)
		if !ok {
			return
		}
		if failure == nil {
			failure = j.writeAll(all)
		}
		if failure != nil {
			for _, w := range all {
				w.group.fail(failure)
			}
		}
		spare = all
	}
}

func (j *Journal) writeAll(all []writing) error {
	for len(all) > 0 {
		n := j.gather(all)
		for _, w := range all[:n] {
			if s := w.write.Snapshot; s != nil { // the log continues behind it
				if err := j.log.Cut(w.group.cfg.ID, s.GetMetadata().GetIndex()); err != nil {
					return fmt.Errorf("cut the log to a state that was taken over: %w", err)
				}
			}
		}
		if err := j.append(); err != nil {
			return fmt.Errorf("append to the log: %w", err)
		}
		for _, w := range all[:n] {
			w.group.inbox.add(func(news *news) { news.logged = append(news.logged, w.write) })
		}
		j.cut()
		all = all[n:]
	}
	if j.queue.empty() {
		if err := j.log.MarkIdle(); err != nil {
			return fmt.Errorf("mark the end of the log: %w", err)
		}
	}
	return nil
}

// gather fills entries and states from the first Appends and returns how many that were.
func (j *Journal) gather(all []writing) int {
	clear(j.entries) // do not hold on to the batches
	j.entries, j.states = j.entries[:0], j.states[:0]
	size := 0
	for n, w := range all {
		for _, e := range w.write.Entries {
			size += len(e.GetData())
		}
		if size > maxWriteBytes && n > 0 {
			return n
		}
		for _, e := range w.write.Entries {
			j.entries = append(j.entries, logEntry(w.group.cfg.ID, e))
		}
		if h := w.write.HardState; h != nil {
			j.states = append(j.states, wal.HardState{Group: w.group.cfg.ID, Term: h.GetTerm(), Vote: h.GetVote(), Commit: h.GetCommit()})
		}
	}
	return len(all)
}

// retryWrite is how long a log that has no room is not tried again.
const retryWrite = 100 * time.Millisecond

// append writes what was gathered. A full disk is waited for: what raft has decided to log
// cannot be refused any more, and reads go on.
func (j *Journal) append() error {
	if len(j.entries)+len(j.states) == 0 {
		return nil
	}
	for told := false; ; told = true {
		j.writing.Store(time.Now().UnixNano())
		err := j.log.Append(j.entries, j.states)
		j.writing.Store(0)
		if !errors.Is(err, wal.ErrNoSpace) {
			return err
		}
		if j.ending.Load() {
			return err
		}
		if !told {
			j.logger.Error("the log waits for room on the disk", "err", err)
		}
		time.Sleep(retryWrite)
	}
}

// The first byte of a log entry that is no command tells raft's own kinds apart. Commands
// begin with their wire.Kind, which is small.
const (
	markChange   = 0xc1 // pb.ConfChange
	markChangeV2 = 0xc2 // pb.ConfChangeV2
)

var marks = map[pb.EntryType][]byte{
	pb.EntryConfChange:   {markChange},
	pb.EntryConfChangeV2: {markChangeV2},
}

// logEntry is a raft entry as the log has it.
func logEntry(group uint64, e *pb.Entry) wal.Entry {
	return wal.Entry{Group: group, Term: e.GetTerm(), Index: e.GetIndex(), Head: marks[e.GetType()], Body: e.GetData()}
}

// raftEntry is the inverse of logEntry. The entry owns its bytes.
func raftEntry(e wal.Entry) *pb.Entry {
	out := &pb.Entry{Term: &e.Term, Index: &e.Index}
	data := e.Body
	if len(data) > 0 {
		switch data[0] {
		case markChange:
			out.Type, data = pb.EntryConfChange.Enum(), data[1:]
		case markChangeV2:
			out.Type, data = pb.EntryConfChangeV2.Enum(), data[1:]
		}
	}
	out.Data = append([]byte(nil), data...)
	return out
}
