package drive

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// How long a follower stays with what it has asked for.
const (
	leastStay = 50 * time.Millisecond
	mostStay  = time.Second
	// longStays are a few, so that a stream also breaks and goes on by itself.
	longStayPercent = 20
	longStay        = 10 * time.Second
	// leavePercent leave after an event, in the middle of everything.
	leavePercent = 2
)

// markEvery is the shortest that there is.
const markEvery = 100 * time.Millisecond

// follower is one who is sent the changes of a trial, and records them.
type follower struct {
	*team
	script *watch
	number int
	kind   string
	rng    *rand.Rand

	// node is who was asked last, and token where a watch goes on.
	node  *node
	token string
	// began is closed when all that is called later must come, arrived when the last
	// batch has come.
	began, arrived   chan struct{}
	beginOnce, atEnd sync.Once
	// pictured: the last batch is in the picture that is under way.
	pictured bool
}

func newFollower(t *team, s *watch, number int, kind string) *follower {
	return &follower{
		team: t, script: s, number: number, kind: kind, rng: rand.New(rand.NewPCG(t.rng.Uint64(), uint64(number))),
		began: make(chan struct{}), arrived: make(chan struct{}),
	}
}

// goOn follows to the last batch, now here and now there, or until ctx ends.
func (f *follower) goOn(ctx context.Context) {
	for ctx.Err() == nil && !f.hasArrived() {
		f.choose()
		stay, cancel := context.WithTimeout(ctx, f.stay())
		f.see(&history.Seen{Step: history.Ask, Token: f.token})
		var err error
		if f.kind == history.Watch {
			err = f.watch(stay)
		} else {
			err = f.sync(stay)
		}
		over := &history.Seen{Step: history.Over}
		failed := err != nil && stay.Err() == nil
		if failed {
			over.Code, over.Detail = sheaf.CodeOf(err), shortened(err.Error())
		}
		cancel()
		f.see(over)
		if over.Code == sheaf.Compacted {
			f.token = "" // what is missing is lost for a watch
		}
		if failed {
			pause(ctx, leastPause+time.Duration(f.rng.Int64N(int64(mostPause-leastPause))))
		}
	}
}

// choose asks one node, or all of them with one client.
func (f *follower) choose() {
	f.node = f.nodes[f.rng.IntN(len(f.nodes))]
	if f.rng.IntN(3) == 0 {
		f.node = f.everywhere
	}
}

// stay is how long to follow. In the end it is long enough for a busy machine, and short
// enough to leave a node that is away.
func (f *follower) stay() time.Duration {
	switch {
	case f.script.last.Load() != nil:
		return f.CallTimeout
	case f.rng.IntN(100) < longStayPercent:
		return longStay
	}
	return leastStay + time.Duration(f.rng.Int64N(int64(mostStay-leastStay)))
}

func (f *follower) hasArrived() bool {
	select {
	case <-f.arrived:
		return true
	default:
		return false
	}
}

// leaves reports whether to break off after an event.
func (f *follower) leaves() bool { return f.hasArrived() || f.rng.IntN(100) < leavePercent }

func (f *follower) watch(ctx context.Context) error {
	options := client.WatchOptions{Prefix: f.key(""), Token: f.token, ProgressEvery: markEvery, Progress: func(token string) {
		if f.token == "" {
			f.see(&history.Seen{Step: history.Began})
			f.beginOnce.Do(func() { close(f.began) })
		}
		f.token = token
	}}
	for event, err := range f.node.conn.Watch(ctx, options) {
		if err != nil {
			return err
		}
		f.token = event.Token
		if f.take(&event); f.leaves() {
			return nil
		}
	}
	return nil
}

func (f *follower) sync(ctx context.Context) error {
	for update, err := range f.node.conn.Sync(ctx, f.key("")) {
		if err != nil {
			return err
		}
		switch update.Step {
		case client.SyncRestart:
			f.pictured = false
			f.see(&history.Seen{Step: history.Restart})
		case client.SyncItems:
			f.items(update.Items)
		case client.SyncComplete:
			f.see(&history.Seen{Step: history.Complete})
			f.beginOnce.Do(func() { close(f.began) })
			if f.pictured {
				f.atEnd.Do(func() { close(f.arrived) })
				return nil
			}
		case client.SyncEvent:
			if f.take(&update.Event); f.leaves() {
				return nil
			}
		}
	}
	return nil
}

func (f *follower) items(items []sheaf.Item) {
	seen := &history.Seen{Step: history.Items}
	for _, item := range items {
		key, value := f.name(item.Key), string(item.Value)
		seen.Keys, seen.Values, seen.Versions = append(seen.Keys, key), append(seen.Values, &value), append(seen.Versions, item.Version)
		f.pictured = f.pictured || f.script.isLast(key, &value)
	}
	f.see(seen)
}

func (f *follower) take(event *client.Event) {
	seen := &history.Seen{Step: history.Batch, Version: event.Version, Token: event.Token}
	last := false
	for i := range event.Changes {
		change := &event.Changes[i]
		key := f.name(change.Key)
		var value *string
		if !change.Delete {
			text := string(change.Value)
			value = &text
		}
		seen.Keys, seen.Values = append(seen.Keys, key), append(seen.Values, value)
		seen.Expired = seen.Expired || change.Expired
		last = last || f.script.isLast(key, value)
	}
	f.see(seen)
	if last {
		f.atEnd.Do(func() { close(f.arrived) })
	}
}

// see records what was seen. When that cannot be written, the run ends.
func (f *follower) see(seen *history.Seen) {
	seen.Trial, seen.Follower, seen.Kind, seen.Node = f.trial, f.number, f.kind, f.node.addr
	if err := f.recorder.Seen(seen); err != nil {
		f.fail(err)
	}
}

// name is the short name of a key. One of somebody else keeps its own, which no call has.
func (f *follower) name(key []byte) string {
	return strings.TrimPrefix(string(key), string(f.key("")))
}
