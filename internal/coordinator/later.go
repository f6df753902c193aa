package coordinator

import (
	"context"
	"sync"
	"time"

	"github.com/sheafdb/sheaf/internal/failpoint"
	"github.com/sheafdb/sheaf/internal/wire"
)

// later gathers the commands to a group whose end nobody waits for, which are those that say
// that a batch is finished: many of them take one round of the log. What is lost of them is
// found by the group's leader (see Tidy).
type later struct {
	group Group

	mu      sync.Mutex
	waiting []*wire.Command
	some    chan struct{} // holds one token when there may be some
}

const (
	// gatherTime is how long commands are gathered from the first one on. Until then home
	// remembers a little more of each batch.
	gatherTime = 100 * time.Millisecond
	// maxLater bounds those that wait.
	maxLater = 1 << 12
)

func newLater(g Group) *later { return &later{group: g, some: make(chan struct{}, 1)} }

// put drops the command when there are too many.
func (l *later) put(cmd *wire.Command) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) >= maxLater {
		return
	}
	l.waiting = append(l.waiting, cmd)
	select {
	case l.some <- struct{}{}:
	default:
	}
}

func (l *later) take() []*wire.Command {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.waiting
	l.waiting = nil
	return all
}

// run proposes what was gathered, until life ends.
func (l *later) run(life context.Context) {
	for {
		select {
		case <-life.Done():
			return
		case <-l.some:
		}
		select {
		case <-life.Done():
			return
		case <-time.After(gatherTime):
		}
		if cmds := l.take(); len(cmds) > 0 {
			l.propose(life, cmds)
		}
	}
}

func (l *later) propose(life context.Context, cmds []*wire.Command) {
	if failpoint.Enabled {
		first := []Call{{Command: cmds[0]}}
		hit("before", first)
		defer hit("after", first)
	}
	ctx, cancel := context.WithTimeout(life, callTime)
	defer cancel()
	_, _ = l.group.ProposeAll(ctx, cmds, nil) // what is lost is found
}
