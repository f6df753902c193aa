package history

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sheafdb/sheaf"
)

// The kinds of followers.
const (
	Watch = "watch"
	Sync  = "sync"
)

// Step is what a follower has seen or done.
type Step string

// The steps. A watch begins once, and then has events, from one ask to the next; a sync has a
// picture (Restart, Items, Complete) and then events, as often as it begins anew.
const (
	// Ask: it asks a node. With a token it goes on behind that, without one it begins anew.
	Ask Step = "ask"
	// Began: a watch without a token has begun. What is called from now on is to come.
	Began Step = "began"
	// Restart: a picture begins, Items are a part of it, and with Complete it is whole.
	Restart  Step = "restart"
	Items    Step = "items"
	Complete Step = "complete"
	// Batch: a committed batch came, as far as it writes keys of the trial.
	Batch Step = "event"
	// Over: what was asked for has ended. Code says why, and is absent when the follower
	// has broken off by itself.
	Over Step = "over"
)

// Seen is a line of a follower: somebody who does not read a trial's keys, but is sent their
// changes. The lines of one follower are in the order in which things came.
type Seen struct {
	Trial string `json:"trial"`
	// Follower is its number in the trial.
	Follower int    `json:"follower"`
	Kind     string `json:"kind"`
	Step     Step   `json:"step"`
	// Node is the endpoint, or several by commas, of which the client takes one.
	Node string `json:"node"`
	// Keys are those of Items and of a Batch. Values has null for a delete; Versions are
	// those of Items, and Version that of a Batch. Expired: the keys are gone because their
	// time was over.
	Keys     []string  `json:"keys,omitempty"`
	Values   []*string `json:"values,omitempty"`
	Versions []uint64  `json:"versions,omitempty"`
	Version  uint64    `json:"version,omitempty"`
	Expired  bool      `json:"expired,omitempty"`
	// Token is that of an Ask, or of a Batch.
	Token string `json:"token,omitempty"`
	// Code and Detail are those of the error.
	Code   sheaf.Code `json:"code,omitempty"`
	Detail string     `json:"detail,omitempty"`

	// AtNS is the time of the line.
	AtNS int64 `json:"-"`
}

// Follower is all that one follower has seen.
type Follower struct {
	Number int
	Kind   string
	Seen   []*Seen
}

// Seen writes down what a follower has seen, and waits for the disk only when much is waiting.
func (r *Recorder) Seen(seen *Seen) error {
	return r.append(&Event{AtNS: r.Now(), Seen: seen}, false)
}

// seen adds a line to its follower.
func (r *reader) seen(event *Event) error {
	seen := event.Seen
	trial := r.trials[seen.Trial]
	n := len(seen.Keys)
	switch {
	case trial == nil:
		return fmt.Errorf("%w: a follower of trial %q, which is not open", errForm, seen.Trial)
	case seen.Kind != Watch && seen.Kind != Sync:
		return fmt.Errorf("%w: a follower by %q", errForm, seen.Kind)
	case len(seen.Values) != n, seen.Step == Items && len(seen.Versions) != n, seen.Step == Batch && n == 0:
		return fmt.Errorf("%w: what follower %d of trial %s has seen is not whole", errForm, seen.Follower, seen.Trial)
	}
	seen.AtNS = event.AtNS
	at := slices.IndexFunc(trial.Followers, func(f *Follower) bool { return f.Number == seen.Follower })
	if at < 0 {
		at = len(trial.Followers)
		trial.Followers = append(trial.Followers, &Follower{Number: seen.Follower, Kind: seen.Kind})
	}
	trial.Followers[at].Seen = append(trial.Followers[at].Seen, seen)
	return nil
}

// String is the line as a person reads it.
func (s *Seen) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "follower %d by %s at %s, %s: %s", s.Follower, s.Kind, s.Node, seconds(s.AtNS), s.Step)
	for i, key := range s.Keys[:min(len(s.Keys), mostKeys)] {
		fmt.Fprintf(&b, " %s=%s", key, text(s.Values[i]))
		if s.Step == Items {
			fmt.Fprintf(&b, "@%d", s.Versions[i])
		}
	}
	if more := len(s.Keys) - mostKeys; more > 0 {
		fmt.Fprintf(&b, " and %d more keys", more)
	}
	switch {
	case s.Expired:
		b.WriteString(" expired")
	case s.Step == Batch:
		fmt.Fprintf(&b, " version %d", s.Version)
	case s.Code != "":
		fmt.Fprintf(&b, " (%s)", s.Code)
	}
	return b.String()
}
