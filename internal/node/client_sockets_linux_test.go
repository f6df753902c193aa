package node

import (
	"net"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNeitherEndDelaysSmallSegments: both sockets of a connection are of this process, so both
// are asked: that of the client and that of the server's face, by whatever made them.
func TestNeitherEndDelaysSmallSegments(t *testing.T) {
	n := start(t, testConfig(t.TempDir()))
	c := clientOf(t, n)
	if _, err := c.Put(t.Context(), []byte("a"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	addr, _, _ := n.Addrs()
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	servers, clients := 0, 0
	for _, entry := range open {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		peer, err := unix.Getpeername(fd)
		if err != nil {
			continue // no socket, or one without a connection
		}
		local, err := unix.Getsockname(fd)
		if err != nil {
			continue
		}
		switch port {
		case portOf(local):
			servers++
		case portOf(peer):
			clients++
		default:
			continue
		}
		if on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || on == 0 {
			t.Errorf("TCP_NODELAY of the connection from %d to %d is %d, %v", portOf(local), portOf(peer), on, err)
		}
	}
	if servers != 1 || clients != 1 {
		t.Errorf("found %d sockets of the server and %d of the client", servers, clients)
	}
}

func portOf(addr unix.Sockaddr) int {
	switch addr := addr.(type) {
	case *unix.SockaddrInet4:
		return addr.Port
	case *unix.SockaddrInet6:
		return addr.Port
	}
	return 0
}
