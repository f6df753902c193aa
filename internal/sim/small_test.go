package sim

import (
	"flag"
	"testing"
	"time"
)

var (
	smallLarge  = flag.Bool("sim.small.large", false, "tell the stories of small worlds that take minutes too")
	smallStates = flag.Int("sim.small.states", 5_000_000, "the most states of one story")
)

// The batches and the reader of the stories. The first two have the same keys, and the same
// home; the third shares one key with them and has the other group as its home.
var (
	keys   = []int{0, 1}
	batchA = act{id: "a", keys: keys, calls: 5}
	batchB = act{id: "b", keys: keys, calls: 8}
	batchC = act{id: "c", keys: []int{1, 2}, calls: 6}
	reader = act{keys: keys, calls: 5}
	// onlyOnce may be sent twice, beside itself: its retry must not be refused by its own
	// success.
	onlyOnce = act{id: "a", keys: keys, onlyNew: true, calls: 4}
	// later begins when the act before has come to an end.
	later = act{keys: keys, calls: 4, after: 1}
)

// stories are as large as some seconds allow, all together; largeStories take minutes each.
var (
	stories = []story{
		{name: "the same keys, and one dies", deaths: 1, acts: []act{batchA, batchB}},
		{name: "two homes, and one dies", deaths: 1, acts: []act{batchA, batchC}},
		{name: "two homes, and a message is lost or doubled", faults: 1, acts: []act{batchA, batchC}},
		{name: "sent twice, and one dies", deaths: 1, acts: []act{onlyOnce, onlyOnce}},
		{name: "sent twice, and a message is lost or doubled", faults: 1, acts: []act{onlyOnce, onlyOnce}},
		{name: "a reader beside a batch that dies", deaths: 1, acts: []act{batchA, reader}},
		{name: "a reader beside a batch that is late", jumps: 1, acts: []act{batchA, reader}},
		{name: "a reader, and a message is lost or doubled", faults: 1, acts: []act{batchA, reader}},
		{name: "a reader after one of two batches", acts: []act{batchA, batchC, later}},
	}
	largeStories = []story{
		{name: "a reader beside two batches", acts: []act{batchA, batchC, reader}},
		{name: "the same keys, one dies, one is late", deaths: 1, jumps: 1, acts: []act{batchA, batchB}},
		{name: "two homes, one dies, one is late, and a message is lost or doubled", faults: 1, deaths: 1, jumps: 1, acts: []act{batchA, batchC}},
		{name: "a reader after one of two batches, one dies", deaths: 1, acts: []act{batchA, batchC, later}},
	}
)

// TestWhateverHappensInASmallWorldIsRight tries all that can happen in each story, in every
// order.
func TestWhateverHappensInASmallWorldIsRight(t *testing.T) {
	told := stories
	if *smallLarge {
		told = append(told[:len(told):len(told)], largeStories...)
	}
	for _, st := range told {
		t.Run(st.name, func(t *testing.T) {
			began := time.Now()
			e, err := explore(&st, *smallStates)
			if err != nil {
				t.Fatalf("story %q: %v", st.name, err)
			}
			t.Logf("%d states, %d ends, %d moves, %v", e.states, e.ends, e.moves, time.Since(began).Round(time.Millisecond))
		})
	}
}
