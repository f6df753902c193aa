package client

import (
	"sync"
	"sync/atomic"
	"time"
)

// RetryBudget bounds the retries of all calls of a Client together, so that a cluster in
// trouble is not given a multiple of its load by those who wait for it. Every retry, and every
// second request of a hedged read, costs one token. When there is none, a call ends with the
// error of its last attempt, which then says so.
//
// A field that is 0 keeps its default; a very large Burst is no budget.
type RetryBudget struct {
	// Ratio is how many tokens each call earns: 0.1 adds a tenth to the load, at most.
	Ratio float64
	// PerSecond is how many tokens come with time, so that a caller who calls rarely can
	// retry too.
	PerSecond float64
	// Burst is the most tokens there are, and how many there are at first.
	Burst float64
}

// DefaultRetryBudget is a tenth of the calls and 10 a second, with 1,000 in reserve. To wait for
// a leader, one caller needs less than 2 a second after the first one, which is less than what
// comes by itself; the reserve carries sixty callers through five seconds without one.
func DefaultRetryBudget() RetryBudget {
	return RetryBudget{Ratio: 0.1, PerSecond: 10, Burst: 1000}
}

func (b RetryBudget) withDefaults() RetryBudget {
	defaults := DefaultRetryBudget()
	if b.Ratio == 0 {
		b.Ratio = defaults.Ratio
	}
	if b.PerSecond == 0 {
		b.PerSecond = defaults.PerSecond
	}
	if b.Burst == 0 {
		b.Burst = defaults.Burst
	}
	return b
}

// bucket is the tokens of a RetryBudget.
type bucket struct {
	budget RetryBudget
	// calls were begun since tokens was last looked at. A call that needs no retry touches
	// nothing else.
	calls atomic.Int64

	mu     sync.Mutex
	tokens float64
	at     time.Time // when tokens was right
}

// fill makes the bucket full; before that it gives nothing.
func (b *bucket) fill(budget RetryBudget) {
	b.budget, b.tokens, b.at = budget, budget.Burst, time.Now()
}

// earn counts the first attempt of a call.
func (b *bucket) earn() { b.calls.Add(1) }

// spend takes a token, or reports that there is none.
func (b *bucket) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	earned := b.budget.Ratio*float64(b.calls.Swap(0)) + b.budget.PerSecond*max(now.Sub(b.at), 0).Seconds()
	b.tokens, b.at = min(b.tokens+earned, b.budget.Burst), now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
