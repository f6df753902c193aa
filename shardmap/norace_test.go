//go:build !race

package shardmap_test

const raceEnabled = false
