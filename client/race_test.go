//go:build race

package client

// The race detector drops what a sync.Pool holds at random.
func init() { raceDetector = true }
