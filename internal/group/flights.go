package group

import (
	"context"
	"sync"
)

// flights makes attempts with the same request ID take turns: the second waits
// for the first and then finds its row, instead of logging the batch again.
// Apply alone would be enough for correctness.
type flights struct {
	mu      sync.Mutex
	current map[string]chan struct{}
}

// enter waits until no other attempt with this ID is at work. The caller must
// call leave when its own is over.
func (f *flights) enter(ctx context.Context, id string) (leave func(), err error) {
	for {
		f.mu.Lock()
		other, busy := f.current[id]
		if !busy {
			if f.current == nil {
				f.current = make(map[string]chan struct{})
			}
			mine := make(chan struct{})
			f.current[id] = mine
			f.mu.Unlock()
			return func() {
				f.mu.Lock()
				delete(f.current, id)
				f.mu.Unlock()
				close(mine)
			}, nil
		}
		f.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
