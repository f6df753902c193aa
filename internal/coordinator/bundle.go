package coordinator

import (
	"bytes"
	"context"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// BundleAnswer has what became of each entry of a bundle, in their order.
type BundleAnswer struct {
	Outcomes []EntryOutcome
	// Replayed: some group had answered this request ID before.
	Replayed bool
	// Groups and Forwarded are as in Answer.
	Groups    int
	Forwarded bool
}

// EntryOutcome is what became of one entry.
type EntryOutcome struct {
	// Version is 0 if the entry was refused.
	Version uint64
	ETag    wire.ETagSum
	// Refused is the error that a PutAll of this entry alone would have ended with. That of a
	// group that did not take its share is one for all of the group's entries.
	Refused *sheaf.Error
}

// PutBundle writes many independent batches of one entry each. Each group gets its share as a
// bundle of its own, under the same request ID and side by side with the others. It is an error
// only if no group has answered; otherwise entries of a group that has not have its error. Who
// holds what, and for how long, is as for PutAll.
func (c *Coordinator) PutBundle(ctx context.Context, req *wire.PutAll, stages *telemetry.Stages) (BundleAnswer, error) {
	start := time.Now()
	if req.Consistency == sheaf.Eventual {
		return BundleAnswer{}, sheaf.Invalid("consistency", "is eventual, at which nothing is known of the entries of a bundle when it is answered: choose another level")
	}
	cmd, err := c.command(ctx, req)
	if err != nil {
		return BundleAnswer{}, err
	}
	cmd.Kind, cmd.Fingerprint = wire.Bundle, wire.BundleFingerprint(req.Entries, req.Consistency)
	if err := c.cfg.Gate.Write(); err != nil {
		return BundleAnswer{}, err
	}
	start = stages.Since(telemetry.Route, start)
	parts := Split(cmd.Entries, c.table.GroupOf)
	if len(parts) == 1 {
		answer, err := c.putShare(ctx, parts[0], cmd, stages)
		if err != nil {
			return BundleAnswer{}, err
		}
		return c.joinBundle(cmd, parts, []Answer{answer}, []error{nil})
	}
	if err := name(cmd); err != nil {
		return BundleAnswer{}, err
	}
	copied := int64(len(cmd.Entries.Raw()))
	if err := c.cfg.Gate.Reserve(copied); err != nil {
		return BundleAnswer{}, err
	}
	defer c.cfg.Gate.Release(copied)
	answers, errs := make([]Answer, len(parts)), make([]error, len(parts))
	done := make(chan struct{}, len(parts))
	for i, share := range sharesOf(cmd, parts) {
		go func() {
			answers[i], errs[i] = c.putShare(ctx, parts[i], share.Command, nil)
			done <- struct{}{}
		}()
	}
	for range parts {
		<-done
	}
	stages.Since(telemetry.Log, start)
	return c.joinBundle(cmd, parts, answers, errs)
}

// putShare writes what one group has of a bundle. Where another batch holds a key, that one is
// helped to its end and the share tried again, until the caller's time is over.
func (c *Coordinator) putShare(ctx context.Context, part Part, cmd *wire.Command, stages *telemetry.Stages) (Answer, error) {
	to := c.group(part.Group)
	led := to.Leads()
	result, timing, err := to.Propose(ctx, cmd)
	switch {
	case err != nil:
		return Answer{}, err
	case result.Outcome == apply.Conflict:
		return c.putAtomic(ctx, cmd, []Part{part})
	case result.Refused != nil:
		return Answer{}, result.Refused
	}
	observe(stages, timing)
	return Answer{Version: result.Version, Replayed: result.Replayed, Without: result.Without, Forwarded: !led}, nil
}

func (c *Coordinator) joinBundle(cmd *wire.Command, parts []Part, answers []Answer, errs []error) (BundleAnswer, error) {
	all, err := JoinBundle(cmd, parts, c.table.GroupOf, answers, errs)
	all.Groups = len(c.cfg.Groups)
	return all, err
}

// JoinBundle tells each entry's outcome from those of the groups. It is an error only if no
// group has answered.
func JoinBundle(cmd *wire.Command, parts []Part, groupOf func(key []byte) uint64, answers []Answer, errs []error) (BundleAnswer, error) {
	all := BundleAnswer{Outcomes: make([]EntryOutcome, 0, cmd.Entries.Len())}
	failures := make([]*sheaf.Error, len(parts))
	answered := false
	for i := range parts {
		failures[i] = sheaf.AsError(errs[i])
		answered = answered || errs[i] == nil
		all.Replayed = all.Replayed || answers[i].Replayed
		all.Forwarded = all.Forwarded || len(parts) == 1 && answers[i].Forwarded
	}
	if !answered {
		return BundleAnswer{}, noShare(failures)
	}
	positions, versions := make([]int, len(parts)), make([]uint64, len(parts)) // the next of each share
	for _, entry := range cmd.Entries.All() {
		at := 0
		if len(parts) > 1 {
			for group := groupOf(entry.Key); parts[at].Group != group; at++ {
			}
		}
		var outcome EntryOutcome
		switch {
		case failures[at] != nil:
			outcome.Refused = failures[at]
		case answers[at].Without.Has(positions[at]):
			outcome.Refused = refusedEntry(cmd, entry.Key, answers[at].Replayed)
		default:
			outcome.Version = answers[at].Version + versions[at]
			versions[at]++
			if !entry.Delete {
				outcome.ETag.AddKey(entry.Key, outcome.Version)
			}
		}
		positions[at]++
		all.Outcomes = append(all.Outcomes, outcome)
	}
	return all, nil
}

// noShare is the error of a bundle of which no group has answered.
func noShare(failures []*sheaf.Error) *sheaf.Error {
	for _, e := range failures {
		if row, _ := e.Code.Row(); row.Outcome == sheaf.Unknown {
			return e
		}
	}
	return failures[0]
}

// refusedEntry is the refusal of one entry by its condition. The key is copied, because the
// request's bytes are let go first.
func refusedEntry(cmd *wire.Command, key []byte, replayed bool) *sheaf.Error {
	if replayed {
		return sheaf.Errorf(sheaf.VersionMismatch, "request ID %q was refused under this condition before: read again and use a new one", cmd.RequestID)
	}
	return &sheaf.Error{
		Code: sheaf.VersionMismatch, Keys: [][]byte{bytes.Clone(key)},
		Detail: "keys that do not have the version that if_version asks for: 1",
	}
}
