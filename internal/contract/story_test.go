package contract

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sheafdb/sheaf"
)

// story is a sequence of calls of one caller. Every story is played on each face
// with keys and request IDs of its own, which is why they can share a node.
type story struct {
	name  string
	steps []step
	// httpOnly: its words are those of the paths of one key.
	httpOnly bool
}

// step is one call and what it must answer. Other steps are named by their
// number, from 1; 0 names none.
type step struct {
	call
	// from completes the call with what earlier steps answered.
	from func(c *call, past []answer)
	want want
}

// want is what must be true of an answer, beside what is true of all.
type want struct {
	// code is empty for a success.
	code   sheaf.Code
	fields []string // malformed, exactly these
	keys   []string // that a condition failed on, exactly these
	// currentETag: the refusal tells the ETag that this step was answered with.
	currentETag int
	// replays: the answer is that of this step again.
	replays int
	// etagOf and etagNot: the ETag is, or is not, that of this step.
	etagOf, etagNot int
	accepted        bool
	// items are what a read returns, in that order: "key=value" or "key absent".
	items []string
}

// play plays stories on both faces of the nodes named.
func play(t *testing.T, nodes []string, stories []story) {
	t.Helper()
	for _, name := range nodes {
		n := sharedNode(t, name)
		for _, f := range n.faces() {
			for _, s := range stories {
				if s.httpOnly && f.name() != "http" {
					continue
				}
				t.Run(name+"/"+f.name()+"/"+s.name, func(t *testing.T) {
					t.Parallel()
					s.play(t, f)
				})
			}
		}
	}
}

func (s story) play(t *testing.T, f face) {
	scope := t.Name() + "/"
	var past []answer
	for i, st := range s.steps {
		c := st.call
		if st.from != nil {
			st.from(&c, past)
		}
		got := unscoped(f.do(t, scoped(c, scope)), scope)
		st.want.check(t, fmt.Sprintf("step %d (%s)", i+1, c.op), c, got, past)
		if t.Failed() {
			return // what follows leans on this step
		}
		past = append(past, got)
	}
}

func (w want) check(t testing.TB, at string, c call, got answer, past []answer) {
	t.Helper()
	if w.code != "" {
		w.checkRefusal(t, at, got, past)
		return
	}
	if got.refused != nil {
		t.Errorf("%s: refused with %s: %s", at, got.refused.code, got.refused.detail)
		return
	}
	var items []string
	for _, i := range got.items {
		items = append(items, i.String())
	}
	if diff := cmp.Diff(w.items, items, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: items (-want +got):\n%s", at, diff)
	}
	isWrite := c.op != getAll && c.op != getKey && c.op != scan
	switch {
	case got.accepted != w.accepted || got.replayed != (w.replays > 0):
		t.Errorf("%s: accepted is %t and replayed %t", at, got.accepted, got.replayed)
	case w.accepted && (got.version != 0 || got.etag != ""):
		t.Errorf("%s: was only accepted, but has version %d and ETag %s", at, got.version, got.etag)
	case w.replays > 0 && !w.accepted && (got.version != past[w.replays-1].version || got.etag != past[w.replays-1].etag):
		t.Errorf("%s: is (%d, %s) but step %d was answered (%d, %s)", at,
			got.version, got.etag, w.replays, past[w.replays-1].version, past[w.replays-1].etag)
	case isWrite && !w.accepted && (got.version == 0 || !wellFormed(got.etag)):
		t.Errorf("%s: version is %d and ETag %s", at, got.version, got.etag)
	case isWrite && !w.accepted && w.replays == 0 && got.version <= c.after:
		t.Errorf("%s: version %d is not larger than after, %d", at, got.version, c.after)
	}
	if w.etagOf > 0 && got.etag != past[w.etagOf-1].etag {
		t.Errorf("%s: ETag is %s but step %d had %s", at, got.etag, w.etagOf, past[w.etagOf-1].etag)
	}
	if w.etagNot > 0 && got.etag == past[w.etagNot-1].etag {
		t.Errorf("%s: ETag is %s as in step %d: it must have changed", at, got.etag, w.etagNot)
	}
}

func (w want) checkRefusal(t testing.TB, at string, got answer, past []answer) {
	t.Helper()
	if got.refused == nil {
		t.Errorf("%s: answered (version %d, replayed %t, accepted %t): it must be refused with %s", at, got.version, got.replayed, got.accepted, w.code)
		return
	}
	if got.refused.code != w.code {
		t.Errorf("%s: refused with %s (%s), not %s", at, got.refused.code, got.refused.detail, w.code)
		return
	}
	if diff := cmp.Diff(w.fields, got.refused.fields); w.fields != nil && diff != "" {
		t.Errorf("%s: malformed fields (-want +got):\n%s", at, diff)
	}
	if diff := cmp.Diff(w.keys, got.refused.keys); w.keys != nil && diff != "" {
		t.Errorf("%s: keys of the failed condition (-want +got):\n%s", at, diff)
	}
	if w.currentETag > 0 && got.refused.currentETag != past[w.currentETag-1].etag {
		t.Errorf("%s: the current ETag is told as %s: step %d was answered %s", at,
			got.refused.currentETag, w.currentETag, past[w.currentETag-1].etag)
	}
}
