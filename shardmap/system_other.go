//go:build !unix

package shardmap

// mapSystem returns zeroed memory, here from the garbage-collected heap: it is not
// scanned, but it counts for when the collector runs.
func mapSystem(n int) []byte { return make([]byte, n) }

// unmapSystem leaves it to the collector.
func unmapSystem([]byte) {}

// returnSystem cannot give back a part.
func returnSystem([]byte) bool { return false }
