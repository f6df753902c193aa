package contest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
)

// Ports come from below those that the kernel gives to connections (32768 and up
// unless the machine is set up otherwise): a port of those that was found and closed
// again is soon the near end of somebody's connection.
const (
	firstPort = 20000
	ports     = 12000
)

// nextPort begins somewhere else in every process, because children look for ports too.
var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(ports)) }

// FreePort returns a port on loopback that nobody listened on a moment ago, and
// that no call of this process had before, until all have had their turn.
func FreePort() (int, error) {
	for range ports {
		port := firstPort + int(nextPort.Add(1)%ports)
		if listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("no port is free")
}

// FreeAddr is FreePort with the address of loopback before it.
func FreeAddr() (string, error) {
	port, err := FreePort()
	return fmt.Sprintf("127.0.0.1:%d", port), err
}
