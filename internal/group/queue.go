package group

import "sync"

// queue is a list that one goroutine takes from, all at once. What is in it is bounded by
// those who put.
type queue[T any] struct {
	mu     sync.Mutex
	items  []T
	closed bool
	signal chan struct{} // holds one token when items may not be empty
}

func newQueue[T any]() *queue[T] { return &queue[T]{signal: make(chan struct{}, 1)} }

func (q *queue[T]) put(item T) {
	q.mu.Lock()
	q.items = append(q.items, item)
	q.mu.Unlock()
	q.wake()
}

func (q *queue[T]) wake() {
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// take waits for items and returns all there are; it swaps in spare as the next list. ok is
// false when the queue is closed and empty.
func (q *queue[T]) take(spare []T) (items []T, ok bool) {
	clear(spare)
	for {
		q.mu.Lock()
		if len(q.items) > 0 {
			items, q.items = q.items, spare[:0]
			q.mu.Unlock()
			return items, true
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return nil, false
		}
		<-q.signal
	}
}

func (q *queue[T]) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items) == 0
}

func (q *queue[T]) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake()
}
