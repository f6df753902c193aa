package cli

import (
	"fmt"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/wire"
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
	keys    *wire.KeySet // nil before the first entry and after release
	count   int          // of the entries, once they are sent
	bytes   int          // encoded, about
	payload int64        // of keys and values
	read    int64        // of the source
	before  int          // records before the first of this batch
	err     error        // what became of it
}

// has adds a key, unless it is there.
func (b *batch) has(key []byte) bool {
	if b.keys == nil {
		return false
	}
	_, dup := b.keys.Add(key)
	return dup
}

// release lets go of the entries.
func (b *batch) release() {
	if b.keys != nil {
		b.keys.Release()
	}
	b.keys, b.entries = nil, nil
}

// beforeOr is where the records of a batch that is not sent begin.
func (b *batch) beforeOr(records int) int {
	if len(b.entries) > 0 {
		return b.before
	}
	return records
}
