package coordinator

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// patience bounds a request whose caller set no deadline.
const patience = 15 * time.Second

// maxFinishing bounds the batches that are resolved after their callers were answered. When
// there are more, a caller waits for that too.
const maxFinishing = 1024

// putSeveral writes a batch where there are several groups.
func (c *Coordinator) putSeveral(ctx context.Context, cmd *wire.Command, stages *telemetry.Stages) (Answer, error) {
	parts := Split(cmd.Entries, c.table.GroupOf)
	if len(parts) == 1 {
		answer, err := c.putWhole(ctx, parts[0].Group, cmd, stages)
		if err != nil || answer.Version != 0 {
			return answer, err
		}
	}
	start := time.Now()
	defer func() { stages.Since(telemetry.Log, start) }()
	if len(parts) > 1 {
		if err := name(cmd); err != nil {
			return Answer{}, err
		}
		if cmd.Level == sheaf.Sequential {
			return c.putParts(ctx, cmd, parts)
		}
	}
	return c.putAtomic(ctx, cmd, parts)
}

// name gives a batch a request ID if its caller gave none: one that is sent more than once must
// have one.
func name(cmd *wire.Command) error {
	if cmd.RequestID != "" {
		return nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return &sheaf.Error{Code: sheaf.Internal, Detail: "draw a request ID", Err: err}
	}
	cmd.RequestID = "v7-" + id.String()
	return nil
}

// putAtomic writes all parts or none. The work goes on when the caller gives up: what it has
// begun must come to an end.
func (c *Coordinator) putAtomic(ctx context.Context, cmd *wire.Command, parts []Part) (Answer, error) {
	var copied int64
	if len(parts) > 1 {
		copied = int64(len(cmd.Entries.Raw()))
	}
	if err := c.cfg.Gate.Reserve(copied); err != nil {
		return Answer{}, err
	}
	size := sizeTime(cmd.Entries)
	work, cancel := context.WithTimeout(ctx, patience+size)
	type outcome struct {
		answer Answer
		err    error
	}
	answered := make(chan outcome, 1)
	cmd.Source.Hold()
	place := c.line.join(cmd.Entries)
	var settled atomic.Bool // whether the batch begins, or its caller has gone before it could
	c.background.Go(func() {
		defer cancel()
		defer place.leave()
		batch := &Several{Command: cmd, Parts: parts, GroupOf: c.table.GroupOf}
		batch.contended = place.wait(work) != nil // then its time is over, as Run finds
		if !batch.contended && !settled.CompareAndSwap(false, true) {
			cmd.Source.Release()
			c.cfg.Gate.Release(copied)
			return
		}
		do := &driver{c: c, caller: work, callTime: callTime + size}
		answer, err := batch.Run(do)
		cmd.Source.Release()
		c.cfg.Gate.Release(copied)
		if c.finishing.Add(1) <= maxFinishing {
			answered <- outcome{answer, err}
			batch.Finish()
		} else {
			batch.Finish()
			answered <- outcome{answer, err}
		}
		c.finishing.Add(-1)
	})
	select {
	case o := <-answered:
		return o.answer, o.err
	case <-ctx.Done():
		if settled.CompareAndSwap(false, true) {
			return Answer{}, &sheaf.Error{Code: sheaf.NotProposed, Err: ctx.Err(), Detail: "nothing was written by this call: it waited for other batches of this node that write the same keys"}
		}
		return Answer{}, &sheaf.Error{Code: sheaf.OutcomeUnknown, Err: ctx.Err(), Detail: "the caller's time was over while the batch was on its way to its groups"}
	}
}

// putParts writes each part by itself. It is an error only if none was applied.
func (c *Coordinator) putParts(ctx context.Context, cmd *wire.Command, parts []Part) (Answer, error) {
	if cmd.IfMatch.Set && !cmd.IfMatch.Star || cmd.IfNoneMatch.Set && !cmd.IfNoneMatch.Star {
		return Answer{}, sheaf.Invalid("consistency", "is sequential, and the batch's keys are in %d groups that do not coordinate, so an ETag of all of them cannot be compared: use if_version, or choose linearizable", len(parts))
	}
	shares := sharesOf(cmd, parts)
	answers, errs := make([]Answer, len(shares)), make([]error, len(shares))
	done := make(chan int, len(shares))
	for i, part := range shares {
		go func() {
			answers[i], errs[i] = c.putAtomic(ctx, part.Command, []Part{{Group: part.Group, Entries: part.Command.Entries, Key: parts[i].Key}})
			done <- i
		}()
	}
	for range shares {
		<-done
	}
	return JoinParts(shares, answers, errs)
}
