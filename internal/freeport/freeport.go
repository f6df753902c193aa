// Package freeport finds ports for tests whose processes must know an address before
// anything listens there.
//
// A port that the kernel gives and that is closed again is soon the near end of somebody's
// connection, and then cannot be listened on. So ports come from below those that the kernel
// gives to connections (32768 and up on Linux, 49152 elsewhere), and each is found once in a
// process.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
)

const (
	first = 20000
	count = 12000
)

// next begins somewhere else in every process: tests of several run side by side.
var next atomic.Uint32

func init() { next.Store(rand.Uint32N(count)) }

// Addr returns an address on loopback that nobody listens on.
func Addr(t testing.TB) string {
	t.Helper()
	for range count {
		addr := fmt.Sprintf("127.0.0.1:%d", first+next.Add(1)%count)
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close() // it was only a question
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}
