//go:build !linux

package pebble

func adviseHuge([]byte) {}
