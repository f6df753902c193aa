package shardmap

import "sync"

// order is a batch sorted by shard: a counting sort, two passes over the hashes.
type order struct {
	hashes []uint64
	// sorted has the positions of the batch's entries, those of shard s from
	// ends[s-1] to ends[s].
	sorted []uint32
	ends   []uint32
}

// orders keeps the memory of batches. An order belongs to whoever got it, until put.
var orders = sync.Pool{New: func() any { return new(order) }}

// maxKeptEntries bounds the memory that is kept: half a MiB.
const maxKeptEntries = 32 << 10

func newOrder(entries, shards int) *order {
	o := orders.Get().(*order)
	if cap(o.hashes) < entries {
		o.hashes, o.sorted = make([]uint64, entries), make([]uint32, entries)
	}
	if cap(o.ends) < shards {
		o.ends = make([]uint32, shards)
	}
	o.hashes, o.sorted, o.ends = o.hashes[:entries], o.sorted[:entries], o.ends[:shards]
	clear(o.ends)
	return o
}

func (o *order) free() {
	if cap(o.hashes) <= maxKeptEntries {
		orders.Put(o)
	}
}

// sort fills sorted and ends; shift takes a hash to its shard. Within a shard entries
// keep their order, so that of two entries of one key the later is written last.
func (o *order) sort(shift uint) {
	for _, hash := range o.hashes {
		o.ends[hash>>shift]++
	}
	sum := uint32(0)
	for s, count := range o.ends {
		o.ends[s] = sum
		sum += count
	}
	for i, hash := range o.hashes {
		s := hash >> shift
		o.sorted[o.ends[s]] = uint32(i)
		o.ends[s]++
	}
}

// of returns the positions of a shard's entries, in the order of the batch.
func (o *order) of(shard int) []uint32 {
	begin := uint32(0)
	if shard > 0 {
		begin = o.ends[shard-1]
	}
	return o.sorted[begin:o.ends[shard]]
}
