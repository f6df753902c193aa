//go:build unix && !linux

package shardmap

func adviseHuge([]byte) error { return nil }
