package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/peer"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Group is a group as the coordinator of any node sees it: reads are of the replica here,
// writes go to the leader, wherever it is.
type Group struct {
	*group.Group
	id     uint64
	bridge *Bridge
}

// NewGroup returns the group of a replica that is attached to the bridge.
func NewGroup(id uint64, here *group.Group, b *Bridge) *Group {
	return &Group{Group: here, id: id, bridge: b}
}

// patience bounds how long a write looks for a leader. One whose caller's time is over before gives
// up a little earlier, so that the caller hears why.
const patience = 10 * time.Second

// Propose is group.Propose at the leader.
func (g *Group) Propose(ctx context.Context, cmd *wire.Command) (apply.Result, group.Timing, error) {
	unknown := false
	if g.Leads() {
		result, timing, err := g.Group.Propose(ctx, cmd)
		if err == nil || !again(ctx, err, cmd.RequestID != "") {
			return result, timing, err
		}
		unknown = errors.Is(err, sheaf.OutcomeUnknown)
	}
	var result apply.Result
	var timing group.Timing
	err := g.untilDone(ctx, cmd.RequestID != "", unknown, func(ctx context.Context, leader uint64) error {
		// An attempt that is given up may still be on its way: each has its own.
		attempt := *cmd
		if g.bridge.is(leader) {
			var err error
			result, timing, err = g.Group.Propose(ctx, &attempt)
			return err
		}
		results, at, err := g.bring(ctx, leader, []*wire.Command{&attempt})
		if err == nil {
			result, timing = results[0], at
		}
		return err
	})
	return result, timing, err
}

// ProposeAll is group.ProposeAll at the leader.
func (g *Group) ProposeAll(ctx context.Context, cmds []*wire.Command, logged chan<- struct{}) ([]apply.Result, error) {
	if g.Leads() {
		return g.Group.ProposeAll(ctx, cmds, logged)
	}
	named := true
	for _, cmd := range cmds {
		named = named && cmd.RequestID != ""
	}
	var results []apply.Result // of those that are done
	err := g.untilDone(ctx, named, false, func(ctx context.Context, leader uint64) error {
		for len(results) < len(cmds) {
			some := fitting(cmds[len(results):])
			more, err := g.proposeAllAt(ctx, leader, some)
			if err != nil {
				return err
			}
			results = append(results, more...)
		}
		return nil
	})
	if err != nil && len(results) > 0 {
		return nil, &sheaf.Error{Code: sheaf.OutcomeUnknown, Err: err, Detail: fmt.Sprintf("%d of %d batches were written", len(results), len(cmds))}
	}
	if err == nil && logged != nil {
		close(logged)
	}
	return results, err
}

// callBytes bounds the commands that go to the leader at a time, but for a single larger
// one; headerBytes is what a command has beside its entries, at most.
const (
	callBytes   = 64 << 20
	headerBytes = 256
)

// fitting returns the first commands, as many as go to the leader at a time.
func fitting(cmds []*wire.Command) []*wire.Command {
	size := 0
	for n, cmd := range cmds {
		if size += headerBytes + len(cmd.Entries.Raw()); size > callBytes && n > 0 {
			return cmds[:n]
		}
	}
	return cmds
}

// proposeAllAt is one attempt, each with commands of its own: one that is given up may still
// be on its way.
func (g *Group) proposeAllAt(ctx context.Context, leader uint64, cmds []*wire.Command) ([]apply.Result, error) {
	attempts := make([]*wire.Command, len(cmds))
	for i, cmd := range cmds {
		attempt := *cmd
		attempts[i] = &attempt
	}
	if g.bridge.is(leader) {
		return g.Group.ProposeAll(ctx, attempts, nil)
	}
	results, _, err := g.bring(ctx, leader, attempts)
	return results, err
}

// bring takes commands to the leader.
func (g *Group) bring(ctx context.Context, leader uint64, cmds []*wire.Command) ([]apply.Result, group.Timing, error) {
	data, err := g.bridge.client.Call(ctx, leader, encodeCall(g.id, cmds)...)
	if err != nil {
		return nil, group.Timing{}, callError(ctx, leader, err)
	}
	results, timing, err := decodeReply(data)
	if err == nil && len(results) != len(cmds) {
		err = sheaf.Errorf(sheaf.OutcomeUnknown, "node %d answered %d of %d batches", leader, len(results), len(cmds))
	}
	return results, timing, err
}

// callError is what a call that failed says of its commands: they may have been done, unless
// the node got none of them.
func callError(ctx context.Context, leader uint64, err error) error {
	var refused *peer.RefusedError
	var notSent *peer.NotSentError
	switch {
	case errors.As(err, &refused):
		return &sheaf.Error{Code: sheaf.NotLeader, Err: err, Detail: fmt.Sprintf("node %d does not take this node's calls; nothing was written", leader)}
	case errors.As(err, &notSent):
		return &sheaf.Error{Code: sheaf.NotLeader, Err: err, Detail: fmt.Sprintf("node %d, the leader, was not reached; nothing was written", leader)}
	}
	e := &sheaf.Error{Code: sheaf.OutcomeUnknown, Err: err, Detail: fmt.Sprintf("node %d, the leader, was not heard of again", leader)}
	if ctx.Err() != nil {
		e.Err = ctx.Err()
	}
	return e
}

// again says whether an attempt that failed may be followed by another: when it did nothing,
// or when its batch has a name by which it is applied once.
func again(ctx context.Context, err error, named bool) bool {
	return ctx.Err() == nil && (errors.Is(err, sheaf.NotLeader) || named && errors.Is(err, sheaf.OutcomeUnknown))
}

// untilDone looks for the leader and tries, until the caller's time is over. unknown: an
// attempt before may have been done.
func (g *Group) untilDone(ctx context.Context, named, unknown bool, try func(ctx context.Context, leader uint64) error) error {
	ctx, cancel := context.WithTimeout(ctx, group.InTime(ctx, patience))
	defer cancel()
	err := g.noLeader()
	for turn := 0; ; turn++ {
		if leader := g.Leader(); leader != 0 {
			if err = try(ctx, leader); err == nil {
				return nil
			}
			unknown = unknown || errors.Is(err, sheaf.OutcomeUnknown)
			if !again(ctx, err, named) {
				break
			}
		}
		if !pause(ctx, turn) {
			break
		}
	}
	return ended(err, unknown)
}

// ended is the error of attempts of which the last failed with err. When one before it may have
// been done, it is no comfort that the last did nothing, for whatever reason.
func ended(err error, unknown bool) error {
	row, _ := sheaf.CodeOf(err).Row()
	if unknown && row.Outcome == sheaf.CallDidNothing {
		return &sheaf.Error{Code: sheaf.OutcomeUnknown, Err: err, Detail: "an attempt was not answered, and the last was not taken"}
	}
	return err
}

func (g *Group) noLeader() error {
	return &sheaf.Error{
		Code: sheaf.NotLeader, RetryAfter: 100 * time.Millisecond,
		Detail: "the group has no leader that this node knows of; nothing was written",
	}
}

// The pauses between two looks for a leader.
const (
	firstPause = 5 * time.Millisecond
	maxPause   = 100 * time.Millisecond
)

// pause waits, false when the caller's time is over.
func pause(ctx context.Context, turn int) bool {
	d := min(firstPause<<min(turn, 10), maxPause)
	select {
	case <-time.After(d/2 + rand.N(d)): //nolint:gosec // to keep callers apart
		return true
	case <-ctx.Done():
		return false
	}
}

func appendUvarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }
