package judge

import (
	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// view is what a follower has seen without a gap: all of a watch between two COMPACTED, or one
// picture of a sync and what came after it.
type view struct {
	follower *history.Follower
	// fromNS is when it began: what was called later must come. It is Forever until then.
	fromNS int64
	// asOfNS is a moment before the picture was taken; a watch has none.
	asOfNS   int64
	picture  map[string]*pictured
	complete *history.Seen // that it is whole
	came     []*arrival
	// first is the event of each batch that came, and highest the one of each key with the
	// largest version.
	first   map[*history.Op]*arrival
	highest map[string]*arrival
}

// pictured is a key in a picture.
type pictured struct {
	value   string
	version uint64
	seen    *history.Seen
}

// arrival is an event, and the batch that it is; nil when deletes alone do not tell.
type arrival struct {
	seen *history.Seen
	op   *history.Op
}

func newView(f *history.Follower) *view {
	return &view{
		follower: f, fromNS: history.Forever, picture: make(map[string]*pictured),
		first: make(map[*history.Op]*arrival), highest: make(map[string]*arrival),
	}
}

func (v *view) isSync() bool { return v.follower.Kind == history.Sync }

// views divides what a follower has seen, and counts how often it was told, or has shown, that
// what it had not seen was not kept.
func (t *trial) views(f *history.Follower) (views []*view) {
	v := newView(f)
	views = append(views, v)
	again := func() {
		v = newView(f)
		views = append(views, v)
	}
	var before int64
	for _, s := range f.Seen {
		switch s.Step {
		case history.Ask:
			if s.Token == "" && v.fromNS != history.Forever {
				again()
			}
		case history.Restart:
			if v.fromNS != history.Forever { // a whole picture is not given up for less
				t.compacted++
				again()
			}
			v.picture, v.asOfNS = make(map[string]*pictured), before
		case history.Items:
			for i, key := range s.Keys {
				if value := s.Values[i]; value != nil {
					v.picture[key] = &pictured{*value, s.Versions[i], s}
				}
			}
		case history.Began:
			v.fromNS = min(v.fromNS, s.AtNS)
		case history.Complete:
			v.fromNS, v.complete = s.AtNS, s
		case history.Batch:
			v.came = append(v.came, &arrival{seen: s})
		case history.Over:
			if s.Code == sheaf.Compacted {
				t.compacted++
			}
		}
		before = s.AtNS
	}
	return views
}

// has reports whether the picture shows a write, or something later of its key.
func (v *view) has(k *key, w *write) bool {
	if !v.isSync() || w.op.StartNS > v.fromNS {
		return false
	}
	if p := v.picture[k.name]; p != nil {
		return p.version >= w.version
	}
	return w.value == nil || k.mayBeGone(w.version, v.fromNS)
}

// owes reports whether a batch had to come because of one of its writes.
func (v *view) owes(k *key, w *write) bool {
	if v.isSync() {
		return v.fromNS != history.Forever && !v.has(k, w)
	}
	return w.op.StartNS > v.fromNS
}
