package shardmap

import (
	"sync"
	"sync/atomic"
)

// cacheLineBytes separates what different cores write. Two lines: processors fetch
// them in pairs.
const cacheLineBytes = 128

// batches orders writes, and lets a reader see every batch whole.
//
// Two batches at once could leave the map with one's value in one shard and the other's
// in another, so they take turns; hashing and sorting come before. Writes of one key need
// no turn. A reader does not hold anybody up: it looks whether a write was under way
// while it read, and reads again if so. Invariant: ended <= begun, and both are equal
// only when no write is at work.
type batches struct {
	begun atomic.Uint64
	_     [cacheLineBytes - 8]byte
	ended atomic.Uint64
	_     [cacheLineBytes - 8]byte
	// writers is held shared by writes, and alone by a reader who missed too often.
	writers sync.RWMutex
	turn    sync.Mutex
}

// begin is called before one key is written, end after.
func (b *batches) begin() {
	b.writers.RLock()
	b.begun.Add(1)
}

func (b *batches) end() {
	b.ended.Add(1)
	b.writers.RUnlock()
}

// beginBatch is called before a batch is written, endBatch after.
func (b *batches) beginBatch() {
	b.turn.Lock()
	b.begin()
}

func (b *batches) endBatch() {
	b.end()
	b.turn.Unlock()
}

// optimisticReads is how often a reader tries before it keeps batches out.
const optimisticReads = 3

// whole calls read until no batch was under way meanwhile. read may be called more
// than once and must begin anew each time.
func (b *batches) whole(read func()) {
	for range optimisticReads {
		ended := b.ended.Load()
		if b.begun.Load() != ended {
			continue
		}
		read()
		if b.begun.Load() == ended {
			return
		}
	}
	b.writers.Lock()
	defer b.writers.Unlock()
	read()
}
