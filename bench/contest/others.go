package contest

import (
	"os"
	"slices"
)

// Others watches what processes use that have no part in a contest.
type Others struct {
	pids   []int
	before spent
}

// WatchOthers begins to watch those that are neither these nor this one.
func WatchOthers(pids []int) (*Others, error) {
	before, err := readSpent(pids, "")
	return &Others{pids, before}, err
}

// Cores is how many cores they used since then.
func (o *Others) Cores() (float64, error) {
	after, err := readSpent(o.pids, "")
	return after.others(o.before, !inProcess(o.pids)), err
}

// others is how many cores neither side of the contest used since before. When the
// contestant is apart from this process, both are sides.
func (after spent) others(before spent, apart bool) float64 {
	sides := after.own.CPU - before.own.CPU
	if apart {
		sides += after.contestant.CPU - before.contestant.CPU
	}
	return max(0, (after.machine-before.machine-sides).Seconds()/after.at.Sub(before.at).Seconds())
}

// inProcess says whether a contestant works in this process.
func inProcess(pids []int) bool { return slices.Contains(pids, os.Getpid()) }
