package client

import (
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"

	"github.com/sheafdb/sheaf"
)

// serverTimeKey is the trailer of every answer, errors too: the server's clock
// as it answered, in milliseconds since the Unix epoch, decimal.
const serverTimeKey = "sheaf-time-ms"

// minClockCorrection is the smallest difference between the clocks that is
// corrected. The server tolerates far more; less is the noise of the network.
const minClockCorrection = time.Second

// serverClock estimates how far the server's clock is ahead of ours, because
// the age of a request ID is judged by the server's.
//
// An answer's round trip bounds its error: the server read its clock between
// our sending and our receiving, so the truth is within half of the round trip
// of the midpoint (Cristian's algorithm). The tightest sample is kept until one
// comes along that cannot also be true, which means that a clock was set.
type serverClock struct {
	mu    sync.Mutex
	known bool
	// ahead is server minus client; the truth is within ahead ± margin.
	ahead, margin time.Duration
}

// observe takes the time out of an answer's trailer, if it has one.
func (c *serverClock) observe(trailer metadata.MD, start time.Time, roundTrip time.Duration) {
	values := trailer.Get(serverTimeKey)
	if len(values) == 0 {
		return
	}
	ms, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil {
		return
	}
	ahead := time.UnixMilli(ms).Sub(start.Round(0).Add(roundTrip / 2))
	margin := roundTrip/2 + time.Millisecond // the trailer is in whole milliseconds

	c.mu.Lock()
	defer c.mu.Unlock()
	contradicts := (ahead - c.ahead).Abs() > margin+c.margin
	if !c.known || contradicts || margin < c.margin {
		c.known, c.ahead, c.margin = true, ahead, margin
	}
}

// correction is what to add to our clock to have the server's; 0 when they
// agree well enough.
func (c *serverClock) correction() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ahead.Abs() <= minClockCorrection {
		return 0
	}
	return c.ahead
}

// newRequestID returns a fresh ID whose issue time is our clock plus correction.
func newRequestID(correction time.Duration) (sheaf.RequestID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	// Written also when the correction is 0: to be monotonic, the package uuid
	// goes on counting from a time in the future after our clock was set back.
	// The IDs stay unique by their 62 random bits.
	ms := time.Now().Add(correction).UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return sheaf.RequestID("v7-" + id.String()), nil
}
