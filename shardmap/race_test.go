//go:build race

package shardmap_test

const raceEnabled = true
