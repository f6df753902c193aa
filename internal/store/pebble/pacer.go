package pebble

import "time"

// pacer holds Apply back a little, the more the fuller the stage is, so that writers
// go at the speed at which Pebble takes runs instead of racing ahead and then
// standing still for a whole run. It is a proportional controller: at the fill where
// the share is 1, bytes come in as fast as they go out.
type pacer struct {
	// bytesPerSecond is what drains have done lately, 0 before the first.
	bytesPerSecond float64
}

const (
	// Below paceFrom of the capacity nobody is held back; the share of a drain's time
	// that a log entry waits grows from 0 there to paceMost at paceTo.
	paceFrom = 0.35
	paceTo   = 0.9
	paceMost = 2.0
	// paceMemory is the weight of the past in the drain rate.
	paceMemory = 0.6
	// maxPace bounds one delay.
	maxPace = 50 * time.Millisecond
)

// drained tells of a drain.
func (p *pacer) drained(bytes int, took time.Duration) {
	rate := float64(bytes) / max(took.Seconds(), 1e-6)
	if p.bytesPerSecond == 0 {
		p.bytesPerSecond = rate
		return
	}
	p.bytesPerSecond = paceMemory*p.bytesPerSecond + (1-paceMemory)*rate
}

// delay is how long a log entry of some bytes waits, with backlog of capacity bytes
// in the stage.
func (p *pacer) delay(bytes, backlog, capacity int) time.Duration {
	fill := float64(backlog) / float64(capacity)
	if fill <= paceFrom || p.bytesPerSecond == 0 {
		return 0
	}
	share := min(paceMost, (fill-paceFrom)/(paceTo-paceFrom)*paceMost)
	return min(maxPace, time.Duration(float64(bytes)/p.bytesPerSecond*share*float64(time.Second)))
}
