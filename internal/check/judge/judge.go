package judge

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// Options say how to judge. Where one is nil or empty, the history says what was asked for.
type Options struct {
	// SearchTime bounds the search for one order in one trial.
	SearchTime time.Duration
	MinOK      Floor
	Killed     *bool
	LostOK     *int
}

// DefaultSearchTime is for a search that takes milliseconds.
const DefaultSearchTime = 10 * time.Second

// History judges a history. An error says that it cannot be read: nothing is known then.
func History(file io.Reader, options Options) (*Report, error) {
	if options.SearchTime == 0 {
		options.SearchTime = DefaultSearchTime
	}
	r := &Report{options: options, Counts: make(map[string]*Count), reasons: make(map[Reason]int)}
	whole, err := history.Read(file, (*visitor)(r))
	if err != nil {
		return r, err
	}
	r.Whole = whole
	r.conclude()
	return r, nil
}

// visitor is a report while the history is read.
type visitor Report

// Begin takes from the run what the options leave open.
func (v *visitor) Begin(run *history.Run) error {
	r := (*Report)(v)
	r.Run = *run
	if r.options.MinOK == "" {
		r.options.MinOK = Floor(run.MinOK)
	}
	if r.options.MinOK == "" {
		r.options.MinOK = DefaultFloor
	}
	if r.options.Killed == nil {
		r.options.Killed = &r.Run.Killed
	}
	if r.options.LostOK == nil {
		r.options.LostOK = &r.Run.LostOK
	}
	return r.options.MinOK.Validate()
}

// Pulse keeps a sign of life.
func (v *visitor) Pulse(atNS int64, p *history.Pulse) {
	if v.lives == nil {
		v.lives = make(lives)
	}
	v.lives.add(atNS, p)
}

// Trial judges one trial by the rules of its workload.
func (v *visitor) Trial(h *history.Trial) error {
	r := (*Report)(v)
	r.count(h)
	t, err := newTrial(h)
	if err != nil {
		return err
	}
	t.answers()
	t.times()
	t.sessions()
	t.whole()
	t.conditions()
	switch h.Workload {
	case "register":
		for _, name := range t.names() {
			t.oneOrder([]string{name}, r.options.SearchTime)
		}
		t.cycles(t.graph(byVersion))
	case "batches":
		t.oneOrder(t.names(), r.options.SearchTime)
		t.cycles(t.graph(byVersion))
	case "bank":
		t.bank()
		t.cycles(t.graph(byVersion))
	case "stamps":
		t.stamps()
		t.cycles(t.graph(byVersion))
	case "append":
		t.cycles(t.graph(t.lists()))
	case "eventual":
		t.quiet(len(r.Run.Endpoints))
	case "watch":
		t.cycles(t.graph(byVersion))
	}
	t.followers()
	r.take(t)
	return nil
}

func (r *Report) count(h *history.Trial) {
	c := r.Counts[h.Workload]
	if c == nil {
		c = new(Count)
		r.Counts[h.Workload] = c
	}
	c.Trials++
	for _, op := range h.Ops {
		switch {
		case op.Outcome == history.OK && op.IsWrite():
			c.OK++
			c.Writes++
		case op.Outcome == history.OK:
			c.OK++
			c.Reads++
		case op.Refused():
			c.Refused++
		case op.Outcome == history.Unknown && op.IsWrite():
			c.Unknown++
		default:
			c.Failed++
		}
	}
}

// take keeps what a trial has told.
func (r *Report) take(t *trial) {
	r.Searched += t.searched
	r.Undecided += t.undecided
	for i := range t.violations {
		r.violate(t.violations[i])
	}
	for _, op := range t.lost {
		r.lose(op)
	}
	r.Followers += t.asked
	r.Unfinished += t.unfinished
	r.Compacted += t.compacted
	if t.converged != notAsked {
		r.Quiet++
		if t.converged == compared {
			r.Compared++
		}
	}
	switch {
	case !t.Closed:
		r.Open++
	case !readInTheEnd(t.Trial):
		r.Unread++
	}
}

// readInTheEnd reports whether somebody has seen what is left of a trial, if anything is.
func readInTheEnd(h *history.Trial) bool {
	written := slices.ContainsFunc(h.Ops, func(op *history.Op) bool { return op.IsWrite() && op.Outcome == history.OK })
	return !written || slices.ContainsFunc(h.Ops, func(op *history.Op) bool {
		return op.Final && !op.IsWrite() && op.Outcome == history.OK && op.Level == sheaf.Linearizable
	})
}

// conclude draws up what all trials tell together.
func (r *Report) conclude() {
	slices.SortStableFunc(r.Violations, func(a, b Violation) int { return a.size() - b.size() })
	r.blame()
	unsure := func(format string, args ...any) { r.Unsure = append(r.Unsure, fmt.Sprintf(format, args...)) }
	if r.Undecided > 0 {
		unsure("whether there is an order was not found out in %d of %d searches (--search-time)", r.Undecided, r.Searched)
	}
	if r.Unread > 0 {
		unsure("%d trials could not be read in the end, so that a lost write would not have been seen", r.Unread)
	}
	if r.Unfinished > 0 {
		unsure("%d of %d followers did not come to the last batch of their trial: what never came to them is not known (--settle)", r.Unfinished, r.Followers)
	}
	if r.Compacted > 0 && !*r.options.Killed {
		unsure("followers were told COMPACTED %d times, and the run does not say that nodes were killed (--killed)", r.Compacted)
	}
	if r.Quiet > 0 && r.Compared == 0 {
		unsure("no trial of eventual ended with all nodes there to be compared")
	}
	for _, name := range r.Run.Workloads {
		c := r.Counts[name]
		if c == nil {
			c = new(Count)
		}
		if why := r.options.MinOK.tooFew(name, c); why != "" {
			unsure("%s", why)
		}
	}
}
