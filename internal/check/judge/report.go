package judge

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sheafdb/sheaf/internal/check/history"
)

// Verdict is what a report comes to.
type Verdict string

// The verdicts.
const (
	Holds        Verdict = "HOLDS"
	Violated     Verdict = "VIOLATED"
	Inconclusive Verdict = "INCONCLUSIVE"
)

// Bounds of what a report keeps: beyond them it only counts.
const (
	mostViolations = 200
	mostLost       = 100_000
)

// Report is what a history tells.
type Report struct {
	Run    history.Run
	Whole  history.Whole
	Counts map[string]*Count
	// Violations are those kept, those with the fewest operations first.
	Violations []Violation
	// Unsure are the reasons why a verdict is not possible.
	Unsure []string
	// Lost are the batches that were accepted at EVENTUAL and are not there.
	Lost []*history.Op
	// Searched is how many searches for one order there were, Undecided how many did not
	// end in time.
	Searched, Undecided int
	// Quiet trials ended in a comparison of the nodes; Compared are those where all of
	// them answered.
	Quiet, Compared int
	// Followers were to be sent all changes of a trial; Unfinished ones did not come to its
	// last batch, and Compacted is how often one was told that something is not kept.
	Followers, Unfinished, Compacted int
	// Open trials did not come to their end; Unread ones could not be read there.
	Open, Unread int

	options Options
	reasons map[Reason]int
	lives   lives
}

// Verdict is what it comes to. What is violated is so, however little else is known.
func (r *Report) Verdict() Verdict {
	switch {
	case len(r.Violations) > 0:
		return Violated
	case len(r.Unsure) > 0:
		return Inconclusive
	}
	return Holds
}

// Has reports whether something was violated for this reason.
func (r *Report) Has(reason Reason) bool { return r.reasons[reason] > 0 }

func (r *Report) violate(v Violation) {
	r.reasons[v.Reason]++
	if len(r.Violations) < mostViolations {
		r.Violations = append(r.Violations, v)
	}
}

func (r *Report) lose(op *history.Op) {
	if len(r.Lost) < mostLost {
		r.Lost = append(r.Lost, op)
	}
}

// mostShown is how many violations are shown with their operations.
const mostShown = 3

// Write prints the report. What is violated comes first, and of that what is shortest;
// otherwise the verdict comes last, where a terminal shows it.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	if r.Verdict() == Violated {
		fmt.Fprintf(&b, "%s: %s\n", Violated, r.reasonsText())
		r.writeViolations(&b)
	}
	total := r.writeCounts(&b)
	if r.Searched > 0 {
		fmt.Fprintf(&b, "searched for an order %d times, in %d of them without a result\n", r.Searched, r.Undecided)
	}
	if r.Quiet > 0 {
		fmt.Fprintf(&b, "compared all nodes at the end of %d of %d trials of eventual\n", r.Compared, r.Quiet)
	}
	if r.Followers > 0 {
		fmt.Fprintf(&b, "%d of %d followers came to the last batch of their trial; told COMPACTED: %d\n", r.Followers-r.Unfinished, r.Followers, r.Compacted)
	}
	r.writeEnd(&b)
	r.writeLost(&b)
	for _, why := range r.Unsure {
		fmt.Fprintf(&b, "not found out: %s\n", why)
	}
	switch r.Verdict() {
	case Inconclusive:
		fmt.Fprintf(&b, "%s: nothing is known to be wrong, and that is no pass\n", Inconclusive)
	case Holds:
		fmt.Fprintf(&b, "%s: %d operations agree with what is promised\n", Holds, total)
	case Violated: // said at the beginning
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) writeCounts(b *strings.Builder) (total int) {
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "workload\ttrials\toperations\tok\trefused\tfailed\tunknown\t")
	for _, name := range r.Run.Workloads {
		c := r.Counts[name]
		if c == nil {
			c = new(Count)
		}
		total += c.all()
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", name, c.Trials, c.all(), c.OK, c.Refused, c.Failed, c.Unknown)
	}
	_ = table.Flush() // into memory
	return total
}

func (r *Report) writeEnd(b *strings.Builder) {
	switch {
	case r.Whole.Torn:
		fmt.Fprintf(b, "the last line is not whole: its call counts as unknown\n")
	case r.Whole.Interrupted:
		fmt.Fprintf(b, "the run was stopped before its time\n")
	}
	if !r.Whole.Ended {
		fmt.Fprintf(b, "the run did not come to its end: %d trials were not read a last time\n", r.Open)
	}
}

func (r *Report) writeViolations(b *strings.Builder) {
	for i := range r.Violations {
		v := &r.Violations[i]
		if i == mostShown {
			fmt.Fprintf(b, "and %d more:\n", len(r.Violations)-i)
		}
		fmt.Fprintf(b, "%s\n", v)
		if i >= mostShown {
			continue
		}
		for _, op := range v.Ops {
			fmt.Fprintf(b, "    %s\n", op)
		}
		for _, s := range v.Seen {
			fmt.Fprintf(b, "    %s\n", s)
		}
	}
}

func (r *Report) reasonsText() string {
	var parts []string
	for reason, n := range r.reasons {
		parts = append(parts, fmt.Sprintf("%s (%d)", reason, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
