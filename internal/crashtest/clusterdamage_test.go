package crashtest

import (
	"testing"
)

// cutOff leaves a cluster of three where the second node's log has lost its tail, and the third
// has never heard of the last batches: what those two agree upon would be without them.
func cutOff(t *testing.T, store string, size func(records []record, segment []byte) int64) (*testCluster, *history) {
	t.Helper()
	c, h := newCluster(t, 3, store), newHistory()
	writeInTurn(t, c.everybody(), h, 4, 200, oneGroup)
	c.kill(2)
	writeInTurn(t, c.everybody(), h, 12, 200, oneGroup)
	c.kill(0)
	c.kill(1)
	names := segments(t, c.dirs[1])
	last := names[len(names)-1]
	data := mustRead(t, last)
	mustWrite(t, last, data[:size(recordsOf(data), data)])
	return c, h
}

// TestALogThatWasCutOffIsNotForgotten: a node whose log has lost what it acknowledged does not
// start, because with the one that never had it, it would be a majority without it.
func TestALogThatWasCutOffIsNotForgotten(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, store string) {
		t.Parallel()
		c, h := cutOff(t, store, func(records []record, _ []byte) int64 { return records[len(records)/3].offset })
		c.launch(1)
		c.launch(2)
		within(t, c.proc(1).ready, "the ready line or the end of the process")
		if c.proc(1).addr == "" {
			c.proc(1).mustEnd(t, "is damaged at offset", "sheaf cluster replace n2")
			c.launch(0)
			c.proc(0).mustBeReady(t)
			c.proc(2).mustBeReady(t)
			c.links.pids[1].Store(0)
			c.replace(1)
		} else {
			c.proc(2).mustBeReady(t)
		}
		for i := range c.nodes {
			if !c.proc(i).ended() {
				h.verify(t, c.addrs[i], newRand(t))
			}
		}
	})
}
