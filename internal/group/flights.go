package group

import (
	"context"
	"sync"
)

// flights makes attempts with the same request ID take turns: the second waits
// for the first and then finds its row, instead of logging the batch again.
// Apply alone would be enough for correctness.
type flights struct {
	mu sync.Mutex
	// current has the IDs at work. The first who waits for one makes the channel, which
	// is closed when it is over.
	current map[string]chan struct{}
}

// enter waits until no other attempt with this ID is at work. After it returned nil the
// caller must call leave when its own is over.
func (f *flights) enter(ctx context.Context, id string) error {
	for {
		f.mu.Lock()
		over, busy := f.current[id]
		if !busy {
			if f.current == nil {
				f.current = make(map[string]chan struct{})
			}
			f.current[id] = nil
			f.mu.Unlock()
			return nil
		}
		if over == nil {
			over = make(chan struct{})
			f.current[id] = over
		}
		f.mu.Unlock()
		select {
		case <-over:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *flights) leave(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if over := f.current[id]; over != nil {
		close(over)
	}
	delete(f.current, id)
}
