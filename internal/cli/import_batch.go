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
	memory  []byte       // of their keys and values
	keys    *wire.KeySet // nil before the first entry and after release
	count   int          // of the entries, once they are sent
	bytes   int          // encoded, about
	payload int64        // of keys and values
	read    int64        // of the source
	before  int          // records before the first of this batch
	err     error        // what became of it
}

// maxKeptMemory bounds the memory that the next batch gets.
const maxKeptMemory = 8 << 20

// take adds an entry, with a copy of its key and value, unless its key is there already. The
// first one says where the batch begins in the source.
func (b *batch) take(e *sheaf.Entry, most, before int) bool {
	if b.keys == nil {
		b.keys, b.before = wire.NewKeySet(most), before
	}
	end := len(b.memory)
	key := b.copy(e.Key)
	if _, dup := b.keys.Add(key); dup {
		b.memory = b.memory[:end]
		return false
	}
	b.entries = append(b.entries, *e)
	own := &b.entries[len(b.entries)-1]
	own.Key, own.Value = key, b.copy(e.Value)
	return true
}

func (b *batch) copy(data []byte) []byte {
	at := len(b.memory)
	b.memory = append(b.memory, data...) // where it moves, what is there stays as it is
	return b.memory[at:len(b.memory):len(b.memory)]
}

// release lets go of the entries, and returns a batch that has their memory.
func (b *batch) release() (next batch) {
	if b.keys != nil {
		b.keys.Release()
	}
	clear(b.entries)
	next.entries = b.entries[:0]
	if cap(b.memory) <= maxKeptMemory {
		next.memory = b.memory[:0]
	}
	b.keys, b.entries, b.memory = nil, nil, nil
	return next
}

// beforeOr is where the records of a batch that is not sent begin.
func (b *batch) beforeOr(records int) int {
	if len(b.entries) > 0 {
		return b.before
	}
	return records
}
