package group

import (
	"time"

	"github.com/sheafdb/sheaf"
)

// drainPatience is how long a group that stops waits for what is on its way: a leader
// without a quorum would wait for ever.
const drainPatience = 5 * time.Second

// drained says that the loop may end: nothing new comes, and all that came has its answer.
func (g *Group) drained() bool {
	l := &g.loop
	if !l.news.closed {
		return false
	}
	if l.closing.IsZero() {
		l.closing = time.Now()
	}
	if !g.inbox.idle() || l.appends+l.applies > 0 && time.Since(l.closing) < drainPatience {
		return false
	}
	if len(l.waiters) > 0 && time.Since(l.closing) < drainPatience {
		return false
	}
	var left []waiter
	for token, w := range l.waiters {
		left = append(left, w)
		delete(l.waiters, token)
	}
	if len(left) > 0 {
		g.tasks.put(task{unknown: left})
	}
	for token, r := range l.readers {
		r.fail(sheaf.Errorf(sheaf.Draining, "the node is shutting down"))
		delete(l.readers, token)
	}
	return true
}

// idle says that nothing waits.
func (in *inbox) idle() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.proposals)+len(in.news.logged)+len(in.news.applied) == 0
}
