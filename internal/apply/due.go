package apply

import (
	"encoding/binary"
	"time"
)

// The queue of what is due: a key of store.Due is a kind, the time (8 bytes,
// big endian, milliseconds) and a name. An element whose record, row or reservation
// has another due time by then is stale and is dropped alone, which is why nothing
// is read when a key is overwritten.
const (
	dueKey       byte = 'k' // a user's key expires
	dueRowOpaque byte = 'o' // the row of an opaque request ID is dropped
	dueRowV7     byte = 'v' // the row of a v7 request ID is dropped
	dueReserved  byte = 'r' // a reservation of a key is over

	// No Tick looks at these: see FindOverdue.

	dueAttempt    byte = 'i' // home must be asked what became of an attempt
	dueUnfinished byte = 'u' // a batch that was committed must be resolved elsewhere
)

// laterMS is how much later a Tick looks again at a key that was due while an attempt held it.
const laterMS = 1000

// keepUnfinishedMS is for how much longer a row is kept that home still needs.
const keepUnfinishedMS = 1000

// dueKinds in the order in which a Tick looks at them.
var dueKinds = [...]byte{dueKey, dueRowOpaque, dueRowV7, dueReserved}

// retryWhenFull is the wait advised to a caller whose ID finds no room.
const retryWhenFull = time.Second

func appendDue(dst []byte, kind byte, atMS uint64, name []byte) []byte {
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint64(dst, atMS)
	return append(dst, name...)
}

func splitDue(key []byte) (kind byte, atMS uint64, name []byte) {
	return key[0], binary.BigEndian.Uint64(key[1:9]), key[9:]
}

// NextDue returns the earliest time at which a Tick has something to do.
func NextDue(state State) (atMS uint64, ok bool, err error) {
	for _, kind := range dueKinds {
		err := state.DueKeys([]byte{kind}, func(key []byte) bool {
			_, at, _ := splitDue(key)
			if !ok || at < atMS {
				atMS, ok = at, true
			}
			return false
		})
		if err != nil {
			return 0, false, err
		}
	}
	return atMS, ok, nil
}
