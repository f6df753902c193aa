package replica

import (
	"slices"
	"testing"
)

// TestAReplicaThatAnswersIsNeverAway, at whatever tick one looks, and one that is silent is, soon.
func TestAReplicaThatAnswersIsNeverAway(t *testing.T) {
	s := newSeveral(t, 1, 2, 3)
	away := func() (ids []uint64) {
		for _, one := range s.cores[1].Report().Others {
			if !one.Active {
				ids = append(ids, one.ID)
			}
		}
		return ids
	}
	for n := range 50 {
		s.cores[1].Tick()
		if ids := away(); ids != nil {
			t.Fatalf("at tick %d, before its heartbeat is answered, %v are away", n, ids)
		}
		s.settle()
	}
	s.deaf = 3
	for range 25 {
		s.tick()
	}
	if ids := away(); !slices.Equal(ids, []uint64{3}) {
		t.Errorf("%v are away, want 3 alone", ids)
	}
}
