package client

import (
	"time"

	"google.golang.org/grpc/keepalive"
)

// The two ends of keepalive must agree. A server counts a strike for each ping
// that comes sooner than its enforcement policy allows, and after two strikes
// ends the connection with too_many_pings; gRPC's default policy allows one
// ping in five minutes, and none without a call in progress. These constants
// are the pair, and TestKeepaliveIsWithinTheServersPolicy holds them together.
const (
	// KeepaliveTime is how long a connection may be silent before the client
	// pings. It is shorter than the idle timeouts of the usual NATs and load
	// balancers (60 s and up), which drop a silent connection without a word.
	KeepaliveTime = 30 * time.Second
	// KeepaliveTimeout is how long the client waits for the answer to a ping,
	// or for bytes it sent to be acknowledged, before it gives the connection
	// up. With KeepaliveTime it bounds how long a dead peer goes unnoticed.
	KeepaliveTimeout = 10 * time.Second
	// KeepaliveMinTime is the MinTime that a server's enforcement policy must
	// have, with PermitWithoutStream. It is a third of KeepaliveTime, so that
	// pings which the network bunches up are no strikes. gRPC for Go never
	// pings more often than this.
	KeepaliveMinTime = 10 * time.Second
)

func keepaliveParameters() keepalive.ClientParameters {
	return keepalive.ClientParameters{
		Time:    KeepaliveTime,
		Timeout: KeepaliveTimeout,
		// Between two calls the connection should live too: otherwise the
		// first call after a pause finds out that it is dead.
		PermitWithoutStream: true,
	}
}
