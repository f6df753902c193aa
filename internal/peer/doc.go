// Package peer carries bytes between the nodes of a cluster: frames one way, calls with an
// answer, and states, which are large and come in pieces. It knows who the nodes are and
// lets nobody else in; what the bytes mean it does not know.
//
// The transport is gRPC with a codec that leaves bytes alone. Each node dials every other.
// There are two lanes of frames to each, so that a large log entry does not hold up a
// heartbeat. Frames of a lane arrive in order or not at all; the end of a connection loses
// those on their way.
//
// Everything that waits is bounded: a lane by its bytes, a call by its context. Nothing here
// tries again but the dialing.
package peer
