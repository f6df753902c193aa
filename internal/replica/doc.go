// Package replica is one replica of a group without its surroundings: raft's state, the
// tail of its log, and who waits for what. It is a pure core. Ticks, messages, proposals
// and reads go in; work comes out: entries to make durable, entries to apply, messages to
// send, callers to answer. It reads no clock, does no I/O, starts no goroutine and takes no
// lock, so that a simulator can run the very code that serves.
//
// Consensus is go.etcd.io/raft's, with asynchronous storage writes: nothing here waits for
// a disk. One turn of a driver is
//
//	Tick, Step, Propose, Read       whatever came in
//	Work                            what there is to do, until there is nothing
//	Send                            at once
//	Append                          to the log, in order; then Logged, then Append.Replies
//	Apply                           to the state machine, in order; then Applied
//
// Append and Apply may take as long as they like, on goroutines of their own; Logged and
// Applied bring the news back.
//
// Invariants:
//   - Replies leave only after what Append carries is durable: a vote or an
//     acknowledgement that a crash could take back would let two leaders disagree.
//   - Apply has only entries that are in this replica's own log on disk, so a store
//     is never ahead of the log beside it.
//   - A read is released only when a quorum has confirmed the leader after the read came
//     in, and when all that was committed by then is applied here.
//   - A caller whose proposal was in the log of a leader that lost its office is told
//     that the outcome is unknown: another leader may still commit it.
//
// The package knows neither the format of commands nor the store, and no network: a
// message is a value.
package replica
