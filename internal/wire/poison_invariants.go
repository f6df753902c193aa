//go:build invariants

package wire

// Poisoned says that released buffers are overwritten.
const Poisoned = true

// poisonByte is no tag of an entry, so a batch read from poisoned memory is malformed.
const poisonByte = 0xdb

func poison(data []byte) {
	for i := range data {
		data[i] = poisonByte
	}
}
