package wal

import "fmt"

// apply puts a record into the index. An error says that the records, though
// each is sound, do not make a log.
func (r *recovery) apply(rec *record) error {
	x := r.index
	switch rec.kind {
	case kindEntry:
		g := x.group(rec.group)
		r.batch++
		if _, err := x.check(g, r.batch, rec.index); err != nil {
			return err
		}
		x.publish(g)
		if g.lowest != 0 {
			r.runsOf(g.id).add(position{r.loaded, rec.offset}, rec.index)
		}
	case kindHardState:
		x.group(rec.group).state = HardState{
			Group: rec.group, Term: rec.term, Vote: le.Uint64(rec.payload), Commit: rec.index,
		}
	case kindCut:
		r.cut(x.group(rec.group), rec.index)
	case kindGroup:
		return r.applyGroup(rec)
	}
	return nil
}

// applyGroup puts a preamble record into the index. In the first live segment
// it is all that is known of the group; later it must agree with what was read.
func (r *recovery) applyGroup(rec *record) error {
	g := r.index.group(rec.group)
	g.state = HardState{Group: rec.group, Term: rec.term, Vote: le.Uint64(rec.payload), Commit: rec.index}
	last := le.Uint64(rec.payload[16:])
	r.cut(g, le.Uint64(rec.payload[8:]))
	if len(r.index.segments) == 1 {
		g.last = max(last, g.cut)
	}
	if last > g.last {
		return fmt.Errorf("group %d: the preamble says that entry %d came before, and the last that did is %d", g.id, last, g.last)
	}
	return nil
}

func (r *recovery) cut(g *group, entry uint64) {
	r.index.cutTo(g, entry)
	g.savedCut = g.cut
	r.index.unsaved = r.index.unsaved[:0]
}

func (r *recovery) runsOf(group uint64) *liveRuns {
	runs := r.runs[group]
	if runs == nil {
		runs = &liveRuns{}
		r.runs[group] = runs
	}
	return runs
}

// replay visits the entries of a log that was checked, from the files again:
// only now is it known which of them were cut or replaced.
func (r *recovery) replay(visit func(Entry) error) error {
	for _, s := range r.index.segments {
		if err := r.load(s.seq); err != nil {
			return err
		}
		_, err := r.image.walk(func(rec *record) error {
			if rec.kind != kindEntry || rec.index <= r.index.groups[rec.group].cut ||
				!r.runsOf(rec.group).live(position{s.seq, rec.offset}, rec.index) {
				return nil
			}
			return visit(Entry{Group: rec.group, Term: rec.term, Index: rec.index, Body: rec.payload})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// position is where a record is.
type position struct {
	seq    uint64
	offset int64
}

func (p position) before(q position) bool {
	return p.seq < q.seq || p.seq == q.seq && p.offset < q.offset
}

// liveRun is a run of entries of one group that were appended in a row and not
// replaced. Between its start and the start of the next run, each of its
// indexes occurs once.
type liveRun struct {
	start       position
	first, last uint64
}

// liveRuns has the runs of one group by ascending start, and so by ascending
// index. They take memory by the number of replacements, not of entries.
type liveRuns struct {
	runs   []liveRun
	cursor int // of live
}

// add notes an entry, which comes after all that were added.
func (l *liveRuns) add(at position, index uint64) {
	n := len(l.runs)
	if n > 0 && l.runs[n-1].last+1 == index {
		l.runs[n-1].last = index
		return
	}
	for n > 0 && l.runs[n-1].first >= index {
		n--
	}
	l.runs = l.runs[:n]
	if n > 0 && l.runs[n-1].last >= index {
		l.runs[n-1].last = index - 1
	}
	l.runs = append(l.runs, liveRun{start: at, first: index, last: index})
}

// live says whether the entry at a position is still the one with its index. It
// is asked for ascending positions.
func (l *liveRuns) live(at position, index uint64) bool {
	for l.cursor+1 < len(l.runs) && !at.before(l.runs[l.cursor+1].start) {
		l.cursor++
	}
	if len(l.runs) == 0 {
		return false
	}
	r := l.runs[l.cursor]
	return !at.before(r.start) && r.first <= index && index <= r.last
}
