//go:build !unix

package peer

import "syscall"

// writeNow writes nothing: the lane's goroutine does.
func writeNow(syscall.RawConn, []byte) int { return 0 }
