package group

import (
	"fmt"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/replica"
	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// task is for the applier: what is committed, and whose commands are not heard of any more. All
// answers go through it, so that a proposal gets one.
type task struct {
	apply *replica.Apply
	// waiters has one for each entry of apply; p is nil where nobody here waits.
	waiters []waiter
	// buffers have the entries' data where it was made here.
	buffers []*wire.Buffer
	unknown []waiter
	// install has a state that takes the place of the group's.
	install *replica.Append
}

// runApply applies what is committed, in order, and answers.
func (g *Group) runApply() {
	defer close(g.applyDone)
	var spare []task
	for {
		tasks, ok := g.tasks.take(spare)
		if !ok {
			return
		}
		for i := range tasks {
			if err := g.do(&tasks[i]); err != nil {
				// Nothing more is applied: what is on disk decides when the node
				// starts again.
				g.fail(err)
				return
			}
		}
		spare = tasks
	}
}

func (g *Group) do(t *task) error {
	for _, w := range t.unknown {
		w.p.settle(sheaf.Errorf(sheaf.OutcomeUnknown, "this node lost the lead of the group while the batch was on its way"))
	}
	if t.install != nil {
		return g.install(t.install)
	}
	if t.apply == nil {
		return nil
	}
	for i := range t.apply.Entries {
		e, w := &t.apply.Entries[i], t.waiters[i]
		result, err := g.applyEntry(e, w)
		if err != nil {
			return fmt.Errorf("apply log entry %d: %w", e.Index, err)
		}
		if e.Conf != nil || len(e.Data) > 0 && changesMembers(wire.Kind(e.Data[0])) {
			g.changed()
		}
		g.clock.Store(g.out.Meta.Clock)
		g.stateMS.Store(g.out.Meta.NowMS)
		g.applied.Store(e.Index)
		if w.p == nil {
			continue
		}
		w.p.results = append(w.p.results, result)
		w.p.settle(nil)
	}
	g.inbox.add(func(n *news) { n.applied = append(n.applied, *t) })
	return nil
}

// settle notes what became of one more of the proposal's commands, and answers when that
// was the last: with its results, or an error if one of them has none.
func (p *proposal) settle(err error) {
	if err != nil && len(p.cmds) > 1 {
		err = sheaf.Errorf(sheaf.OutcomeUnknown, "this node lost the lead of the group while the batches were on their way")
	}
	if err != nil {
		p.err = err
	}
	if p.settled++; p.settled == len(p.cmds) {
		p.timing.Apply = time.Since(p.committed)
		p.finish(p.err)
	}
}

// applyEntry applies one log entry. The command of a caller here need not be decoded again.
func (g *Group) applyEntry(e *replica.Committed, w waiter) (apply.Result, error) {
	if e.Conf != nil || len(e.Data) == 0 {
		// Whoever waits proposed a change of the replicas, perhaps in vain.
		err := applyOwn(g.store, e.Conf, e.Index, e.Term, &g.out)
		passed(g.cfg.Feed, e.Index)
		return apply.Result{}, err
	}
	cmd := w.commandOrNil()
	if cmd == nil {
		decoded, err := wire.DecodeCommand(e.Data)
		if err != nil {
			return apply.Result{}, err
		}
		cmd = &decoded
	}
	result, err := applyCommand(g.store, cmd, e.Index, e.Term, &g.out)
	if err == nil {
		tell(g.cfg.Feed, cmd, &result, &g.out)
	}
	return result, err
}

func changesMembers(kind wire.Kind) bool { return kind == wire.Join || kind == wire.Leave }

// changed tells the node that the cluster's members or the group's replicas may be others.
func (g *Group) changed() {
	if g.cfg.Changed != nil {
		g.cfg.Changed()
	}
}

// applyCommand decides, then writes.
func applyCommand(s store.Store, cmd *wire.Command, index, term uint64, out *store.Mutations) (apply.Result, error) {
	view := s.View()
	result, err := apply.Apply(cmd, index, term, view, out)
	if closeErr := view.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = s.Apply(out)
	}
	return result, err
}

// replicasKey is where the state has the group's replicas, a pb.ConfState.
var replicasKey = []byte("replicas")

// applyOwn moves the state to an entry that is no command; conf, if not nil, are the
// group's replicas from here on.
func applyOwn(s store.Store, conf *pb.ConfState, index, term uint64, out *store.Mutations) error {
	out.Reset()
	out.Meta = viewMeta(s)
	out.Meta.Index, out.Meta.Term = index, term
	if conf != nil {
		data, err := proto.Marshal(conf)
		if err != nil {
			return err
		}
		out.Set(store.Own, replicasKey, nil, data)
	}
	return s.Apply(out)
}
