// Package wire holds the encodings that a batch lives in: its entries, the
// command that carries them through the log, the record of a key and the row
// of a request ID in a store, and the ETag.
//
// The entries of a batch are encoded once, by the client. Those bytes travel
// through the server, the log and the replicas unchanged and are walked in
// place; nothing on that path builds a message per entry. That works because
// they are *canonical* from the moment they are admitted: fields in ascending
// order, defaults left out, shortest varints. Any protobuf encoding is
// accepted at the door; one that is not canonical is encoded again there.
//
// The package knows formats, not meanings: what a command does is decided in
// package apply. It does no I/O.
package wire
