// Package freeport finds ports for tests whose processes must know an address before
// anything listens there.
//
// A port that the kernel gives and that is closed again is soon the near end of somebody's
// connection, and then cannot be listened on. So ports come from below those that the kernel
// gives to connections (32768 and up on Linux, 49152 elsewhere). Tests of several packages run
// side by side, and a port is free while its node is restarted: so each process has a block of
// ports for itself, and takes those in turn.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

const (
	first  = 20000
	size   = 600 // of a block
	blocks = 20
)

// mark listens on the first port of the process's block until the process ends, which says to the
// others whose it is.
var mark net.Listener

// block is the first port of the process's block.
var block = sync.OnceValues(func() (int, error) {
	for i, begin := 0, rand.IntN(blocks); i < blocks; i++ {
		port := first + (begin+i)%blocks*size
		if l, err := net.Listen("tcp", addr(port)); err == nil {
			mark = l
			return port, nil
		}
	}
	return 0, fmt.Errorf("%d processes have all the ports from %d to %d", blocks, first, first+blocks*size-1)
})

var taken atomic.Uint32

// Addr returns an address on loopback that nobody listens on.
func Addr(t testing.TB) string {
	t.Helper()
	mine, err := block()
	if err != nil {
		t.Fatal(err)
	}
	for range size - 1 {
		addr := addr(mine + 1 + int(taken.Add(1)%(size-1)))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close() // it was only a question
			return addr
		}
	}
	t.Fatalf("no port from %d to %d is free", mine, mine+size-1)
	return ""
}

func addr(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
