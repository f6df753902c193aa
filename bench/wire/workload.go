package main

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"

	"github.com/sheafdb/sheaf/internal/wire"
)

// The work, the same for both.
const (
	batchEntries = 1_000
	keyBytes     = 32
	valueBytes   = 128
	// requestCount is how many requests the callers go through: more bytes than
	// a core's caches hold, so that nobody meets a batch that is still in them.
	requestCount = 64
)

// newRequests encodes the batches once, with request IDs as long as the public
// client's. Keys and values are random.
func newRequests() []encoded {
	random := rand.NewChaCha8([32]byte{1})
	requests := make([]encoded, requestCount)
	var raw [keyBytes / 2]byte
	value := make([]byte, valueBytes)
	for i := range requests {
		var entries []byte
		for range batchEntries {
			_, _ = random.Read(raw[:]) // never fails
			_, _ = random.Read(value)
			entries = wire.AppendEntry(entries, &wire.Entry{Key: hex.AppendEncode(nil, raw[:]), Value: value})
		}
		id := fmt.Sprintf("wire-%034d", i)
		requests[i] = wire.AppendPutAll(nil, &wire.PutAll{RequestID: id}, entries)
	}
	return requests
}
