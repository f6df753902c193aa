package cli

import (
	"fmt"
	"time"

	"github.com/sheafdb/sheaf"
)

// summary is what an import did.
type summary struct {
	Entries int           `json:"entries"`
	Bytes   int64         `json:"bytes"`
	Batches int           `json:"batches"`
	Skipped int           `json:"skipped"`
	Elapsed time.Duration `json:"-"`
	P50     time.Duration `json:"-"`
	P95     time.Duration `json:"-"`
	// Records is how many records of the source are dealt with: an import that
	// skips as many goes on where this one stopped.
	Records int `json:"records"`
	// Complete: the whole source was read and written.
	Complete bool `json:"complete"`
}

// String is the summary in one line.
func (s summary) String() string {
	seconds := max(s.Elapsed.Seconds(), 1e-9)
	return fmt.Sprintf("%s entries, %s in %s: %s keys/s, %s/s; %s batches, p50 %s, p95 %s",
		humanCount(int64(s.Entries)), humanBytes(s.Bytes), humanTime(s.Elapsed),
		humanCount(int64(float64(s.Entries)/seconds)), humanBytes(int64(float64(s.Bytes)/seconds)),
		humanCount(int64(s.Batches)), humanTime(s.P50), humanTime(s.P95))
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// batch is some consecutive records of the source.
type batch struct {
	entries []sheaf.Entry
	keys    map[string]struct{}
	bytes   int   // encoded, about
	read    int64 // of the source
	before  int   // records before the first of this batch
	done    chan struct{}
	err     error // set before done is closed
}

// beforeOr is where the records of a batch that is not sent begin.
func (b *batch) beforeOr(records int) int {
	if len(b.entries) > 0 {
		return b.before
	}
	return records
}

// shares reports whether a key stands in both batches.
func (b *batch) shares(other *batch) bool {
	for key := range other.keys {
		if _, ok := b.keys[key]; ok {
			return true
		}
	}
	return false
}

// payload is the bytes of the batch's keys and values.
func (b *batch) payload() (n int64) {
	for _, e := range b.entries {
		n += int64(len(e.Key) + len(e.Value))
	}
	return n
}
