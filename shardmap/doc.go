// Package shardmap has two concurrent hash maps that take whole batches fast.
//
// A batch of thousands of keys is written by hashing all of them first, sorting them by
// shard with one counting sort, and then locking each shard once: no lock, no lookup of
// a bucket list and no allocation per key.
//
//   - [Bytes] holds byte keys and byte values in arenas outside the garbage-collected
//     heap. Gigabytes of them cost the collector nothing, overwriting a value of the
//     same size happens in place, and the space of dead records is taken back: records
//     stay within 1.5 times their live bytes, and all memory within twice in a steady
//     state. It can be walked as of one instant while writers go on ([Bytes.Snapshot]).
//   - [Map] holds values of any type under string keys.
//
// Both are safe for concurrent use. Batches are written one after the other. A batch
// becomes visible key by key to Get and Range; GetAll sees every PutAll whole or not at
// all.
//
// When not to use it: for a few keys at a time sync.Map and a plain map behind a lock are
// as good and simpler. The package knows no expiry, no eviction and no order of keys.
package shardmap
