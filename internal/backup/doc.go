// Package backup is the file that a cluster is backed up to: its bytes, and nothing of how the
// state of a cluster is found or where it goes. A [Writer] makes one from a stream of records, a
// [Reader] checks one and hands its records out; neither needs more memory than the largest
// record, and neither seeks, so that a pipe will do.
//
// Numbers are little endian unless they are varints.
//
//	file    = magic (8 bytes) version (4 bytes) frame...
//	frame   = kind (1 byte) length (4 bytes) payload (length bytes) sum (4 bytes)
//	sum     = CRC-32C of all bytes of the file before it
//
//	kind 1  header: JSON, see Header; the first frame
//	kind 2  a section begins: the group's number (4 bytes), its store.Meta: the fields in
//	        their order, 8 bytes each. Sections are by ascending group, one for each
//	kind 3  records: space (1 byte) key length, value length (uvarints) key value
//	kind 4  the section ends: how many records of Data, Rows and Due it has (8 bytes
//	        each), and the sum of their hashes (16 bytes, see Sum)
//	kind 5  the end: SHA-256 of all bytes of the file before this frame (32 bytes)
//
// Every byte is covered three times: by the sum of its frame, which says where the damage is
// as soon as it is read, by the SHA-256 at the end, which nobody can make fit by accident or
// by cutting frames out, and, as a record, by the sum of its section, which does not depend
// on the order of records and so can be compared with what a store has after a restore.
//
// Of the state only what outlives a cluster is in it: keys, request IDs and what is due. What
// a group keeps of itself (its replicas, the members, who holds keys) is left out. The records
// are as the state machine encodes them, which StateFormat numbers, the same in every kind of
// store.
package backup
