// Package wal is the log of a node: a sequence of segment files, appended to
// and checksummed, that holds the raft entries and hard states of every
// replica group of the node. All groups share it, so that one write and one
// fdatasync serve everything that was waiting.
//
// It does not know what an entry means, keeps no payload in memory, and reads
// the files only in Open. The applied state belongs to the store; the caller
// says with Cut which entries the store no longer needs.
//
// # What an Append costs
//
// One pwritev and one fdatasync over blocks that were written before. On the
// usual file systems a block that was never written (a growing file, or
// fallocate) makes fdatasync commit metadata as well, at about twice the
// price. So segments come from spares, which are either written through with
// zeros by a background goroutine or recycled from segments that were cut.
// Old bytes then lie where new records go. The checksum of a record is seeded
// with the log's id, the segment's sequence number, a nonce drawn for each use
// of a file, and the record's own offset: old bytes can not pass for new ones.
//
// # Torn or damaged
//
// A record that fails its checksum at the end of the log is either the trace
// of a crash, whose Append was never acknowledged and may be dropped, or
// damage to something acknowledged, which must never be dropped in silence.
// To tell them apart each record carries the offset of its segment that was
// known durable when it was written. A record further on that claims an offset
// above the bad one proves damage. So does a file that is shorter than it was before its
// first record: each has its full length from the beginning. MarkIdle writes such a claim after a burst,
// and the seal of a segment is the claim for all of it.
//
// # Changing to the next segment, in order
//
//  1. A spare gets the header and the preamble (the state of every group) of
//     segment n+1, and is synced while it is still called a spare.
//  2. It is renamed to the name of segment n+1 and the directory is synced.
//  3. The seal, which names n+1, is written at the end of segment n and synced.
//  4. Records go to n+1.
//
// So a file with a segment's name always has a whole header and preamble, a
// seal is on disk only if its successor is, and records are in n+1 only if the
// seal of n is on disk. A crash before 2 is durable leaves a spare, which is
// scrap. A crash between 2 and 3 leaves n without a seal and n+1 without
// records: Open takes n+1 away again and goes on in n. A crash after 3 leaves
// an n+1 that is simply empty. Every other picture is damage and is refused:
// a seal without a successor, records in n+1 without a seal in n, a header
// that does not read.
//
// Writing the seal first would save a sync, but then a segment that is missing
// could not be told from a crash.
//
// # An Append never spans segments
//
// A batch that does not fit goes to the next segment as a whole, which is made
// larger than usual if it must be. The price is some unused space at the end
// of a segment; the gain is that the only step that needs disk space comes
// before the first byte of the batch: ErrNoSpace means that nothing was
// written.
//
// # Locks
//
// Log.writeMu is held over whole writes with their sync, Log.mu only over
// changes of the index in memory; spares have a lock of their own. They are
// taken in that order. README.md has the format by byte.
package wal
