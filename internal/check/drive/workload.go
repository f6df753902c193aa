package drive

import (
	"fmt"
	"math/rand/v2"

	"github.com/sheafdb/sheaf"
)

// workload is a kind of work.
type workload struct {
	name string
	// steps is how many a trial has; a step is one or two operations.
	steps int
	// fixed is the level, for those that have no other; nil where Config.Level counts.
	fixed *sheaf.Consistency
	// script begins a trial.
	script func(*team) script
}

// script is what is done in one trial.
type script interface {
	// keys are those to read in the end.
	keys() []string
	// begin is called once before the steps; if it returns false there are none.
	begin(*caller) bool
	// step is one thing that one client does; it is called by all clients side by side.
	step(*caller)
	// finish is called once, when nothing is unknown any more that could be settled.
	finish(*caller)
}

// plain is a script without a beginning and an end of its own.
type plain struct{}

func (plain) begin(*caller) bool { return true }
func (plain) finish(*caller)     {}

var workloads []*workload

func init() {
	linearizable, sequential, eventual := sheaf.Linearizable, sheaf.Sequential, sheaf.Eventual
	workloads = []*workload{
		{"register", 300, nil, newRegister},
		{"batches", 300, nil, newBatches},
		{"bank", 400, &linearizable, newBank},
		{"stamps", 150, &linearizable, newStamps},
		{"append", 250, &linearizable, newAppend},
		{"sessions", 300, &sequential, newSessions},
		{"eventual", 250, &eventual, newEventual},
		{"watch", 250, &linearizable, newWatch},
	}
}

// has reports whether the workload can be had in a run of this level. At SEQUENTIAL there is
// nothing to be seen of what LINEARIZABLE promises of several keys.
func (w *workload) has(level sheaf.Consistency) bool {
	return level == sheaf.Linearizable || w.fixed == nil || *w.fixed != sheaf.Linearizable
}

func find(name string) *workload {
	for _, w := range workloads {
		if w.name == name {
			return w
		}
	}
	return nil
}

// named are short names of n keys. How a cluster divides keys is its own affair: names that
// differ at all are spread over its groups.
func named(kind string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s%d", kind, i)
	}
	return keys
}

// some draws at least least of the keys, in any order.
func some(rng *rand.Rand, keys []string, least, most int) []string {
	n := min(least+rng.IntN(most-least+1), len(keys))
	drawn := make([]string, n)
	for i, k := range rng.Perm(len(keys))[:n] {
		drawn[i] = keys[k]
	}
	return drawn
}

// freshFor are n values that nobody has written.
func (r *run) freshFor(n int) []*string {
	values := make([]*string, n)
	for i := range values {
		value := r.fresh()
		values[i] = &value
	}
	return values
}
