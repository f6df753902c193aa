package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sheafdb/sheaf/internal/check/history"
)

// lives are the signs of life of each node.
type lives map[string][]pulse

// pulse says that a process that had been running at sinceNS was still there at atNS.
type pulse struct{ sinceNS, atNS int64 }

// add keeps a pulse. The process began at its uptime before the answer was made, which was at
// the latest when it came.
func (l lives) add(atNS int64, p *history.Pulse) {
	since := atNS - p.UptimeMS*1e6
	pulses := l[p.Node]
	// Of one process only the last is of interest.
	if n := len(pulses); n > 0 && pulses[n-1].sinceNS >= p.SentNS-p.UptimeMS*1e6-pulseRoundingNS {
		pulses[n-1].sinceNS = min(pulses[n-1].sinceNS, since)
		pulses[n-1].atNS = p.SentNS
		return
	}
	l[p.Node] = append(pulses, pulse{since, p.SentNS})
}

const (
	// pulseRoundingNS: an uptime is told in whole milliseconds.
	pulseRoundingNS = 2_000_000
	// deathNS is how long after it had accepted a batch a process must have died to be
	// excused. The window of EVENTUAL is far shorter, but a batch may be on its way.
	deathNS = 2_000_000_000
)

// ranOn reports whether the process that ran on a node at a time was there much later.
func (l lives) ranOn(node string, atNS int64) bool {
	return slices.ContainsFunc(l[node], func(p pulse) bool { return p.sinceNS <= atNS && p.atNS > atNS+deathNS })
}

// accepted is the attempt that accepted a lost batch.
func accepted(op *history.Op) *history.Attempt {
	for i := range op.Attempts {
		if a := &op.Attempts[i]; a.Accepted {
			return a
		}
	}
	return nil
}

// blame says which of the lost batches nothing excuses. When nodes are killed, the end of the
// process that had accepted a batch does.
func (r *Report) blame() {
	var blamed []*history.Op
	for _, op := range r.Lost {
		if a := accepted(op); !*r.options.Killed || r.lives.ranOn(a.Node, a.EndNS) {
			blamed = append(blamed, op)
		}
	}
	if len(blamed) <= *r.options.LostOK {
		return
	}
	why := "and the run does not say that nodes were killed (--killed, --lost-ok)"
	if *r.options.Killed {
		why = "and the nodes that had accepted them ran on"
	}
	r.reasons[LostAccepted]++
	r.Violations = append(r.Violations, Violation{
		Reason: LostAccepted, Trial: blamed[0].Trial,
		Text: fmt.Sprintf("%d batches that were accepted at EVENTUAL are gone, %s", len(blamed), why),
		Ops:  blamed[:min(len(blamed), mostOfAKind)],
	})
}

// loss is batches that one node had accepted shortly after each other.
type loss struct {
	node            string
	batches         int
	firstNS, lastNS int64
	ranOn           bool
}

// lossGapNS is how far apart two crashes of one node are at least.
const lossGapNS = 250_000_000

func (r *Report) losses() (all []loss) {
	each := make([]loss, 0, len(r.Lost))
	for _, op := range r.Lost {
		a := accepted(op)
		each = append(each, loss{a.Node, 1, a.EndNS, a.EndNS, r.lives.ranOn(a.Node, a.EndNS)})
	}
	slices.SortFunc(each, func(a, b loss) int {
		return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.lastNS, b.lastNS))
	})
	for _, l := range each {
		if n := len(all); n > 0 && all[n-1].node == l.node && l.lastNS-all[n-1].lastNS < lossGapNS {
			all[n-1].batches++
			all[n-1].lastNS = l.lastNS
			all[n-1].ranOn = all[n-1].ranOn || l.ranOn
			continue
		}
		all = append(all, l)
	}
	return all
}

// writeLost tells where and when lost batches had been accepted: a crash may only take what
// was accepted in the last moment before it.
func (r *Report) writeLost(b *strings.Builder) {
	if len(r.Lost) == 0 {
		return
	}
	fmt.Fprintf(b, "%d batches that were accepted at EVENTUAL are gone:\n", len(r.Lost))
	for _, l := range r.losses() {
		what := "whose process ended"
		if l.ranOn {
			what = "whose process ran on"
		} else if len(r.lives[l.node]) == 0 {
			what = "which gave no sign of life"
		}
		fmt.Fprintf(b, "  %d accepted by %s, %s, within %.1f ms, until %.3f s\n", l.batches, l.node, what, float64(l.lastNS-l.firstNS)/1e6, float64(l.lastNS)/1e9)
	}
}
