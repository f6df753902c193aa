// Package coordinator takes one request of the API through the groups that hold
// its keys. Both faces, rpc and web, call it and nothing below it; it knows
// neither of them.
//
// It owns the order of checks that the contract promises: shape first, then
// admission, then (in the group) the request ID, then the conditions, then the
// write.
package coordinator

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/feed"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/router"
	"github.com/sheafdb/sheaf/internal/telemetry"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Group is a replica group as the coordinator sees it, wherever its replicas
// are. See group.Group for what each method promises.
type Group interface {
	Propose(ctx context.Context, cmd *wire.Command) (apply.Result, group.Timing, error)
	ProposeAll(ctx context.Context, cmds []*wire.Command, logged chan<- struct{}) ([]apply.Result, error)
	Check(cmd *wire.Command) (apply.Result, bool, error)
	Read(ctx context.Context, req group.ReadRequest) (group.ReadResult, error)
	Scan(ctx context.Context, prefix, start []byte) (*group.Scanner, error)
	Collect(ctx context.Context, req group.CollectRequest) (seen []apply.Seen, reserved int64, err error)
	Verdict(ctx context.Context, holder wire.Holder) (result apply.Result, late bool, err error)
	Overdue(most int) (apply.Overdue, error)
	Attempts(ctx context.Context) ([]wire.Holder, error)
	Image() (*group.Image, error)
	Leads() bool
	Current(ctx context.Context) error
	Applied() uint64
}

// Config is what a coordinator needs.
type Config struct {
	// Groups are all groups of the cluster: group n is Groups[n-1].
	Groups []Group
	// Feed has what the groups of this node have committed lately; nil is one that nobody tells
	// of anything.
	Feed   *feed.Feed
	Gate   *admission.Gate
	Limits sheaf.Limits
	// RequireETag refuses writes without If-Match or If-None-Match.
	RequireETag bool
	// EventualBytes bounds the queue of accepted EVENTUAL batches.
	EventualBytes int
	// EventualWindow bounds the acceptance time that a crash can lose.
	EventualWindow time.Duration
	Logger         *slog.Logger
}

// Coordinator carries requests. Its methods may be called from any goroutine.
type Coordinator struct {
	cfg      Config
	table    router.Table
	eventual *queue
	line     *line
	later    []*later // of each group
	// life ends with Close; background has what goes on when its caller was answered.
	life       context.Context
	end        context.CancelFunc
	background sync.WaitGroup
	finishing  atomic.Int64 // batches that are being resolved
}

// New returns a coordinator, which must be closed.
func New(cfg Config) *Coordinator {
	c := &Coordinator{cfg: cfg, table: router.Equal(len(cfg.Groups)), line: newLine()}
	if cfg.Feed == nil {
		c.cfg.Feed = feed.New(feed.Config{Groups: len(cfg.Groups), GroupOf: c.table.GroupOf, Tag: "none"})
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.eventual = newQueue(cfg, func(ctx context.Context, met []Met) {
		HelpAll(&driver{c: c, caller: ctx, callTime: callTime}, c.table.GroupOf, met)
	})
	if len(cfg.Groups) > 1 {
		for i, g := range cfg.Groups {
			later := newLater(g)
			c.later = append(c.later, later)
			c.background.Go(func() { c.tidy(uint64(i+1), g) })
			c.background.Go(func() { later.run(c.life) })
		}
	}
	return c
}

// Close writes what the EVENTUAL queue has accepted, and returns when it has or
// when ctx ends; what is lost then is logged. What is yet to be resolved of batches over
// several groups is left to the groups' leaders. It must be called once.
func (c *Coordinator) Close(ctx context.Context) {
	defer context.AfterFunc(ctx, c.end)() // nothing may wait longer
	c.eventual.close(ctx)
	c.end()
	c.background.Wait()
}

// Groups is how many groups there are.
func (c *Coordinator) Groups() int { return len(c.cfg.Groups) }

// whole is the one group, or nil when there are several.
func (c *Coordinator) whole() Group {
	if len(c.cfg.Groups) == 1 {
		return c.cfg.Groups[0]
	}
	return nil
}

func (c *Coordinator) group(id uint64) Group { return c.cfg.Groups[id-1] }

// Answer is what a write answers.
type Answer struct {
	// Version and ETag are zero when Accepted.
	Version  uint64
	ETag     sheaf.ETag
	Replayed bool
	// Accepted: at EVENTUAL, in the queue and not yet durable.
	Accepted bool
	// Groups is how many the cluster has, and Forwarded says that another node led that of all
	// the batch's keys: who brings such batches there saves a step.
	Groups    int
	Forwarded bool
	// Parts are what became of a SEQUENTIAL batch in each of its groups, if they are
	// several. Version is then the largest, and ETag empty unless all were applied.
	Parts []PartAnswer

	// Without are the entries of one group's share of a bundle that were refused. Version is
	// then the first that was given.
	Without wire.Positions
}

// PutAll writes one batch. The caller holds req.Source until PutAll returns; who reads
// the entries longer, because they are still on their way to the disk when the caller
// gives up or was told "accepted", holds it too. Entries without a Source must stay
// unchanged for good. stages may be nil. Errors are *sheaf.Error.
func (c *Coordinator) PutAll(ctx context.Context, req *wire.PutAll, stages *telemetry.Stages) (Answer, error) {
	start := time.Now()
	cmd, err := c.command(ctx, req)
	if err != nil {
		return Answer{}, err
	}
	if err := c.cfg.Gate.Write(); err != nil {
		return Answer{}, err
	}
	cmd.Fingerprint = wire.FingerprintOf(req.Entries, req.Consistency)
	stages.Since(telemetry.Route, start)
	if req.Consistency == sheaf.Eventual {
		return c.accept(ctx, cmd)
	}
	if c.whole() == nil {
		return c.putSeveral(ctx, cmd, stages)
	}
	return c.putWhole(ctx, 1, cmd, stages)
}

// putWhole writes a batch whose keys are all in one group, unless another batch holds one:
// then the answer is empty, and nothing was done.
func (c *Coordinator) putWhole(ctx context.Context, group uint64, cmd *wire.Command, stages *telemetry.Stages) (Answer, error) {
	to := c.group(group)
	led := to.Leads()
	result, timing, err := to.Propose(ctx, cmd)
	if err != nil || result.Outcome == apply.Conflict {
		return Answer{}, err
	}
	observe(stages, timing)
	answer, err := answerOf(result)
	answer.Groups, answer.Forwarded = len(c.cfg.Groups), !led
	return answer, err
}

func observe(stages *telemetry.Stages, timing group.Timing) {
	if timing.Log > 0 { // a replay does not touch the log
		stages.Add(telemetry.Log, timing.Log)
		stages.Add(telemetry.Apply, timing.Apply)
	}
}

func answerOf(result apply.Result) (Answer, error) {
	if result.Refused != nil {
		return Answer{}, result.Refused
	}
	return Answer{Version: result.Version, ETag: result.ETag.ETag(), Replayed: result.Replayed}, nil
}

func (c *Coordinator) accept(ctx context.Context, cmd *wire.Command) (Answer, error) {
	if err := name(cmd); err != nil {
		return Answer{}, err
	}
	parts := c.split(cmd)
	known, err := Known(parts, func(part Share) (apply.Result, bool, error) { return c.group(part.Group).Check(part.Command) })
	switch {
	case err != nil:
		return Answer{}, err
	case known:
		return Answer{Accepted: true, Replayed: true}, nil
	}
	if err := c.eventual.put(ctx, parts); err != nil {
		return Answer{}, err
	}
	return Answer{Accepted: true}, nil
}

// split is Shares, and no look at the keys where there is one group.
func (c *Coordinator) split(cmd *wire.Command) []Share {
	if c.whole() != nil {
		return []Share{{1, cmd}}
	}
	return Shares(cmd, c.table.GroupOf)
}

// command checks the shape of what is around the entries and builds the command, but for its
// fingerprint.
func (c *Coordinator) command(ctx context.Context, req *wire.PutAll) (*wire.Command, error) {
	if req.RequestID != "" {
		if err := sheaf.RequestID(req.RequestID).Validate(); err != nil {
			return nil, sheaf.Invalid("request_id", "%s", err)
		}
	}
	cmd := &wire.Command{
		Kind: wire.Fast, After: req.After, RequestID: req.RequestID,
		Level: req.Consistency, Entries: req.Entries, Source: req.Source,
	}
	var err error
	if cmd.IfMatch, err = wire.ParseMatch("if_match", req.IfMatch); err != nil {
		return nil, err
	}
	if cmd.IfNoneMatch, err = wire.ParseMatch("if_none_match", req.IfNoneMatch); err != nil {
		return nil, err
	}
	conditional := cmd.IfMatch.Set || cmd.IfNoneMatch.Set
	if req.Consistency == sheaf.Eventual && (conditional || req.Entries.Conditional()) {
		return nil, sheaf.Invalid("consistency", "is eventual, which takes no conditions: leave out if_match, if_none_match and if_version, or choose another level")
	}
	if c.cfg.RequireETag && !conditional {
		return nil, sheaf.Errorf(sheaf.ETagRequired, "send if_match with the keys' ETag, or if_none_match * for new keys")
	}
	if deadline, ok := ctx.Deadline(); ok {
		// A far deadline would keep the row for as long: bound it.
		latest := time.Now().Add(c.cfg.Limits.RequestIDRetention)
		if deadline.After(latest) {
			deadline = latest
		}
		cmd.DeadlineMS = uint64(deadline.UnixMilli())
	}
	return cmd, nil
}
