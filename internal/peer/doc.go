// Package peer carries bytes between the nodes of a cluster: frames one way, calls with an
// answer, and states, which are large and come in pieces. It knows who the nodes are and
// lets nobody else in; what the bytes mean it does not know.
//
// # Connections
//
// Each node dials every other, over TCP, or TLS 1.3 over TCP. A connection begins with a
// greeting, which says who dials, whom he means and what for; the other side admits him or
// says why not. What follows depends on the purpose:
//
//	urgent, bulk   lanes: frames one way, in order. A large log entry does not hold up a
//	               heartbeat, since it goes by the other lane
//	call           a request and its answer, one at a time; connections are used again
//	state          pieces, an empty frame, and the verdict of the receiver
//	meet           one request and its answer, while the cluster is being formed
//
// # Invariants
//
//   - The handler sees a frame whole, with the right checksum, from a node that was admitted,
//     or not at all. Whatever is wrong with a frame ends its connection.
//   - Frames of a lane arrive in order. The end of a connection loses those on their way, and
//     the sender is told that some may be lost.
//   - Before a caller is admitted he costs a bounded number of bytes, for a bounded time, on
//     a bounded number of connections.
//   - A length that was announced is not memory: it is taken as the bytes arrive.
//   - Everything that waits is bounded: a lane by its bytes, a call by its context.
//
// A node that is gone without a word is noticed by its lanes: each is asked for a sign of
// life every second. The loss of the urgent one ends the calls to that node too.
//
// Nothing here tries again but the dialing of lanes.
package peer
