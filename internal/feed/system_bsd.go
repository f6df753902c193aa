//go:build unix && !linux

package feed

// adviseHuge is Linux's alone.
func adviseHuge([]byte) error { return nil }
