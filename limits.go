package sheaf

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound what one request may carry and what a node holds at once. Each
// is enforced before work is done for the request.
type Limits struct {
	// BatchEntries is the largest number of entries of a batch or keys of a read.
	BatchEntries int
	// BatchBytes is the largest encoded batch, and the largest answer to a read.
	BatchBytes int
	// KeyBytes is the longest key.
	KeyBytes int
	// ValueBytes is the largest value.
	ValueBytes int
	// InFlightBytes bounds the batches a node holds in memory, of all callers.
	InFlightBytes int64
	// StreamsPerConnection bounds the concurrent calls of one connection.
	StreamsPerConnection int
	// RequestIDRetention is how long an answered request ID is remembered.
	RequestIDRetention time.Duration
	// RequestIDs is how many young request IDs one group remembers before it
	// refuses the oldest.
	RequestIDs int
}

// MaxRequestIDBytes is the longest request ID.
const MaxRequestIDBytes = 128

// MaxTTL is the longest time to live an entry may ask for: 100 years, so that
// an expiry is always a valid time in milliseconds.
const MaxTTL = 100 * 365 * 24 * time.Hour

// DefaultLimits returns the limits that a node has unless configured otherwise.
func DefaultLimits() Limits {
	return Limits{
		BatchEntries:         100_000,
		BatchBytes:           64 << 20,
		KeyBytes:             4 << 10,
		ValueBytes:           16 << 20,
		InFlightBytes:        512 << 20,
		StreamsPerConnection: 1_000,
		RequestIDRetention:   10 * time.Minute,
		RequestIDs:           1_000_000,
	}
}

// Validate says which limit makes no sense, and why.
func (l Limits) Validate() error {
	var errs []error
	atLeast := func(name string, value, least int64) {
		if value < least {
			errs = append(errs, fmt.Errorf("%s is %d: it must be at least %d", name, value, least))
		}
	}
	atMost := func(name string, value, most int64) {
		if value > most {
			errs = append(errs, fmt.Errorf("%s is %d: it must be at most %d", name, value, most))
		}
	}
	atLeast("batch entries", int64(l.BatchEntries), 1)
	atMost("batch entries", int64(l.BatchEntries), 1_000_000)
	atLeast("batch bytes", int64(l.BatchBytes), 1<<10)
	atMost("batch bytes", int64(l.BatchBytes), 64<<20)
	atLeast("key bytes", int64(l.KeyBytes), 1)
	atMost("key bytes", int64(l.KeyBytes), 4<<10)
	atLeast("value bytes", int64(l.ValueBytes), 1)
	atMost("value bytes", int64(l.ValueBytes), int64(l.BatchBytes))
	atLeast("bytes in flight", l.InFlightBytes, 4*int64(l.BatchBytes))
	atLeast("streams per connection", int64(l.StreamsPerConnection), 1)
	atLeast("request ID retention in milliseconds", l.RequestIDRetention.Milliseconds(), 1000)
	atLeast("request IDs", int64(l.RequestIDs), 1)
	return errors.Join(errs...)
}
