// Package contest gives several ways of writing batches the same work, in turns,
// and reads what each turn cost.
//
// It holds what the commands of this module share: the work, one contestant's
// turn, the meters of /proc, the processes of servers, and the reduction of many
// turns to one row. It runs on Linux. It decides nothing about which contestants
// there are, in which order they take turns, or how the outcome is shown.
package contest

import (
	"context"
	"math/rand/v2"

	"github.com/sheafdb/sheaf"
)

// Contestant is one way to write a batch.
type Contestant interface {
	// Write returns when the batch is as safe as the contestant promises, and how
	// often it had to be sent again. Many callers write at once; the entries are
	// theirs again afterwards.
	Write(entries []sheaf.Entry) (retries int, err error)
	// PIDs are the processes whose CPU time and bytes are the contestant's price.
	PIDs() []int
	// Close ends it. Its directory is removed afterwards.
	Close() error
}

// Led is a contestant of several servers whose callers talk to the one that leads.
type Led interface {
	// FindLeader waits for a leader, if there is none, and makes the callers talk to
	// it. It is called between turns: nobody writes meanwhile.
	FindLeader(ctx context.Context) error
}

// Arena is what all contestants share.
type Arena struct {
	Dir    string // on the disk that is measured
	Server string // path of the Sheaf server's program, "" if nobody needs it
	Device Device
	Load   *Workload
}

// Start begins a contestant on a directory of its own. The context ends it.
type Start func(ctx context.Context, a *Arena, dir string) (Contestant, error)

// Draw fills a batch. It is called by one caller at a time with that caller's
// own random numbers.
type Draw func(entries []sheaf.Entry, rng *rand.Rand)
