//go:build !unix

package feed

// mapBytes returns memory, here from the garbage-collected heap.
func mapBytes(n int) []byte { return make([]byte, n) }

// unmapBytes leaves it to the collector.
func unmapBytes([]byte) {}
