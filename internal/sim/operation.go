package sim

import (
	"fmt"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/wire"
)

// operation is one batch, read or scan, with all its attempts.
type operation struct {
	client       int
	kind         kind
	level        sheaf.Consistency
	began, ended time.Duration
	set          int
	outcome      outcome
	attempts     int
	// after is the version that a batch or a SEQUENTIAL read comes after; session is what
	// its client had seen of the keys by then.
	after   uint64
	session [keysPerKeyset]uint64

	// Of a read and a scan, and of a condition.
	asked  [keysPerKeyset]bool
	values [keysPerKeyset]value

	// Of a batch.
	id      string // the value of its keys
	writes  [keysPerKeyset]write
	command *wire.Command
	onlyIf  *operation // the condition: everything is as this read saw it
	onlyNew bool       // the condition: none of the keys is there
	version uint64
	parts   [maxGroups]part // of a SEQUENTIAL batch, by group - 1

	// each is an entry of a bundle: a batch of its own, without a command.
	each []*operation
}

type kind byte

const (
	batch kind = iota
	readKeys
	scanKeys
	bundle
)

// write is what a batch does to a key.
type write byte

const (
	leave write = iota
	put
	remove
)

// value is what a key had: the batch that wrote it, or nothing.
type value struct {
	batch   string
	version uint64
}

// part is what a client was told of a group's part of its batch.
type part struct {
	outcome outcome
	version uint64
}

type outcome int

const (
	pending   outcome = iota
	committed         // at version
	refused           // by its condition
	accepted
	read
)

func (o *operation) String() string {
	what := ""
	switch o.kind {
	case readKeys:
		what = fmt.Sprintf("%s read of set %d after %d: %v of %v", levelName(o.level), o.set, o.after, o.values, o.asked)
	case scanKeys:
		what = fmt.Sprintf("scan of set %d: %v", o.set, o.values)
	case bundle:
		what = fmt.Sprintf("bundle %s of set %d after %d", o.id, o.set, o.after)
		for _, one := range o.each {
			what += fmt.Sprintf(", %s at %d: %v", one.outcome, one.version, one.writes)
		}
	case batch:
		what = fmt.Sprintf("%s batch %s of set %d after %d: %v", levelName(o.level), o.id, o.set, o.after, o.writes)
		if o.onlyIf != nil {
			what += fmt.Sprintf(", if %v", o.onlyIf.values)
		}
		if o.onlyNew {
			what += ", if none is there"
		}
		if o.level == sheaf.Sequential {
			what += fmt.Sprintf(", parts %v", o.parts)
		}
	}
	return fmt.Sprintf("%s: %s at %d (client %d, %v to %v, %d attempts)", what, o.outcome, o.version, o.client, o.began, o.ended, o.attempts)
}

func levelName(level sheaf.Consistency) string {
	switch level {
	case sheaf.Sequential:
		return "SEQUENTIAL"
	case sheaf.Eventual:
		return "EVENTUAL"
	default:
		return "LINEARIZABLE"
	}
}

func (o outcome) String() string {
	return [...]string{"pending", "committed", "refused", "accepted", "read"}[o]
}
