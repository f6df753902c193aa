package client

import (
	"sync"

	"google.golang.org/grpc/mem"
)

// requestBuffers are used again for the requests of writes. gRPC counts who still reads
// a buffer: the call holds one reference for its attempts, gRPC one for every attempt
// until the bytes are on their way, also after the call has returned.
type requestBuffers struct{ pool sync.Pool } // of *[]byte

var requests requestBuffers

// maxKeptRequestBytes bounds a buffer that is kept.
const maxKeptRequestBytes = 4 << 20

// Get returns a slice of length n, with anything in it.
func (p *requestBuffers) Get(n int) *[]byte {
	if b, _ := p.pool.Get().(*[]byte); b != nil && cap(*b) >= n {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n)
	return &b
}

// Put is called by gRPC when nobody reads the buffer any more.
func (p *requestBuffers) Put(b *[]byte) {
	if cap(*b) <= maxKeptRequestBytes {
		p.pool.Put(b)
	}
}

// asBuffer gives a slice from Get, as it is now, to gRPC's counting, with one reference.
func (p *requestBuffers) asBuffer(b *[]byte) mem.Buffer { return mem.NewBuffer(b, p) }
