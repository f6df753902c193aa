package sim

import (
	"flag"
	"testing"
	"testing/cryptotest"
	"time"
)

var (
	seed  = flag.Uint64("sim.seed", 0, "run only this seed, and say what it was made of")
	seeds = flag.Uint64("sim.seeds", 120, "how many seeds to run")
	first = flag.Uint64("sim.first", 1, "the first of them")
)

// run runs one seed. raft draws its election timeouts from the system's randomness, which
// is therefore seeded too.
func run(t *testing.T, seed uint64, mutant Mutant) (Stats, error) {
	cryptotest.SetGlobalRandom(t, seed)
	return Run(Config{
		Seed: seed, Groups: 1 + int(seed%3), Replicas: 1 + 2*int(seed%2), Clients: 5, Operations: 60,
		Mixed: mixed(seed, mutant), Faulty: 20 * time.Second, Mutant: mutant,
	})
}

// mixed says whether a world has all levels. A mutant is looked for where it shows the most.
func mixed(seed uint64, mutant Mutant) bool {
	if mutant == None {
		return seed/6%2 == 1 // whatever its size
	}
	return mutant >= firstOfLevels
}

// TestClusterKeepsItsPromises runs worlds with all faults.
func TestClusterKeepsItsPromises(t *testing.T) {
	from, to := *first, *first+*seeds
	if *seed != 0 {
		from, to = *seed, *seed+1
	}
	var sum Stats
	for s := from; s < to; s++ {
		stats, err := run(t, s, None)
		if err != nil {
			t.Fatalf("seed %d: %v\nagain: go test ./internal/sim -run %s -sim.seed %d", s, err, t.Name(), s)
		}
		sum.add(stats)
		if done := s - from + 1; done%1000 == 0 {
			t.Logf("%d seeds hold", done)
		}
		if stats.Answered < 200 || stats.kinds() < 5 {
			t.Errorf("%d operations were answered and there were %d kinds of faults with seed %d, which proves little", stats.Answered, stats.kinds(), s)
		}
	}
	t.Logf("%+v", sum)
}

// TestSameSeedIsTheSameWorld: otherwise a failure could not be looked into.
func TestSameSeedIsTheSameWorld(t *testing.T) {
	for s := uint64(1); s < 4; s++ {
		one, err := run(t, s, None)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := run(t, s, None); err != nil || one != other {
			t.Errorf("seed %d: %+v and %+v, %v", s, one, other, err)
		}
	}
}

// likely are seeds that have found the rarer mutants: they are tried first.
var likely = map[Mutant]uint64{ReplyBeforeSync: 55, LoseVote: 541, StatusByWallClock: 103}

// TestMutantsAreFound: a driver that is broken in one way is found out within some seeds.
func TestMutantsAreFound(t *testing.T) {
	const most = 1500
	for mutant := None + 1; mutant < mutants; mutant++ {
		t.Run(mutant.String(), func(t *testing.T) {
			for n := range uint64(most + 1) {
				s := n
				if n == 0 {
					s = max(likely[mutant], 1)
				}
				if _, err := run(t, s, mutant); err != nil {
					t.Logf("seed %d: %v", s, err)
					return
				}
			}
			t.Errorf("not found in %d seeds", most)
		})
	}
}

// kinds is how many kinds of faults there were.
func (s *Stats) kinds() (n int) {
	for _, times := range []int{s.Crashes, s.Cuts, s.Pauses, s.ClockJumps, s.Transfers, s.Changes, s.Dropped, s.Doubled, s.Coordinators} {
		n += min(times, 1)
	}
	return n
}

func (s *Stats) add(o Stats) {
	s.Operations += o.Operations
	s.Answered += o.Answered
	s.Crashes += o.Crashes
	s.Cuts += o.Cuts
	s.Pauses += o.Pauses
	s.ClockJumps += o.ClockJumps
	s.Transfers += o.Transfers
	s.Changes += o.Changes
	s.Snapshots += o.Snapshots
	s.Dropped += o.Dropped
	s.Doubled += o.Doubled
	s.Coordinators += o.Coordinators
	s.PutBack += o.PutBack
	s.Lost += o.Lost
	s.Entries += o.Entries
	s.Images += o.Images
}
