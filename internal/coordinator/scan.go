package coordinator

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Scan walks the live keys of a prefix, of all groups, in the order of their bytes. It is not
// safe for concurrent use and must be closed.
type Scan struct {
	scanners []*group.Scanner // by group
	// ahead are those that stand at a key which was not returned yet, the one with the first
	// key on top; the top one stands at the key that Next moved to.
	ahead   ahead
	started bool
	err     error
}

// Scan begins a scan. Errors are *sheaf.Error.
func (c *Coordinator) Scan(ctx context.Context, prefix, start []byte) (*Scan, error) {
	if err := c.cfg.Gate.Read(); err != nil {
		return nil, err
	}
	s := &Scan{}
	for i, g := range c.cfg.Groups {
		var scanner *group.Scanner
		err := c.settle(ctx, uint64(i+1))
		if err == nil {
			scanner, err = g.Scan(ctx, prefix, start)
		}
		if err != nil {
			_ = s.Close() // why there is no scan is what counts
			return nil, err
		}
		s.scanners = append(s.scanners, scanner)
	}
	return s, nil
}

// settle has every batch over several groups that was committed before the call resolved in a
// group: its caller may have been answered, and a scan looks at values only.
func (c *Coordinator) settle(ctx context.Context, id uint64) error {
	if c.whole() != nil {
		return nil
	}
	pending, err := c.group(id).Attempts(ctx)
	do := &driver{c: c, caller: ctx, callTime: callTime}
	for turn := 0; err == nil && len(pending) > 0; turn++ {
		if do.Over() {
			return &sheaf.Error{Code: sheaf.NotLeader, Err: ctx.Err(), Detail: "a group did not say what became of a batch on its way"}
		}
		if turn > 0 {
			do.Wait(turn)
		}
		pending = slices.DeleteFunc(pending, func(attempt wire.Holder) bool {
			result, _ := Help(do, c.table.GroupOf, attempt, []uint64{id})
			return result.Outcome == apply.Undecided // so its caller was not answered
		})
		if len(pending) > 0 {
			var still []wire.Holder
			still, err = c.group(id).Attempts(ctx)
			pending = those(pending, still)
		}
	}
	return err
}

// those returns the attempts that are still there.
func those(pending, still []wire.Holder) []wire.Holder {
	return slices.DeleteFunc(pending, func(attempt wire.Holder) bool {
		return !slices.ContainsFunc(still, func(h wire.Holder) bool { return h.RequestID == attempt.RequestID && h.Attempt == attempt.Attempt })
	})
}

// Next moves to the next live key; false at the end or on an error.
func (s *Scan) Next() bool {
	if s.err != nil {
		return false
	}
	if !s.started {
		s.started = true
		for _, scanner := range s.scanners {
			s.advance(scanner, func() { s.ahead = append(s.ahead, scanner) })
		}
		heap.Init(&s.ahead)
	} else if len(s.ahead) > 0 {
		top, more := s.ahead[0], false
		s.advance(top, func() { more = true })
		if more {
			heap.Fix(&s.ahead, 0)
		} else {
			heap.Pop(&s.ahead)
		}
	}
	return s.err == nil && len(s.ahead) > 0
}

func (s *Scan) advance(scanner *group.Scanner, more func()) {
	if scanner.Next() {
		more()
	} else if err := scanner.Err(); err != nil && s.err == nil {
		s.err = err
	}
}

// Item is the key Next moved to. Its slices are valid until Next or Close.
func (s *Scan) Item() sheaf.Item { return s.ahead[0].Item() }

// Err is the *sheaf.Error that ended the scan, or nil.
func (s *Scan) Err() error { return s.err }

// Token names the log position of every group at which the scan began: everything up to there
// is in it.
func (s *Scan) Token() string {
	var token []byte
	for i, scanner := range s.scanners {
		if i > 0 {
			token = append(token, '-')
		}
		token = strconv.AppendInt(token, int64(i+1), 10)
		token = append(token, '.')
		token = strconv.AppendUint(token, scanner.Index(), 10)
	}
	return string(token)
}

// Close releases the scan.
func (s *Scan) Close() error {
	var errs []error
	for _, scanner := range s.scanners {
		errs = append(errs, scanner.Close())
	}
	return errors.Join(errs...)
}

// ahead is a heap by key. No key is in two groups.
type ahead []*group.Scanner

func (a ahead) Len() int           { return len(a) }
func (a ahead) Less(i, j int) bool { return bytes.Compare(a[i].Item().Key, a[j].Item().Key) < 0 }
func (a ahead) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }

// Push is part of heap.Interface, and not used.
func (a *ahead) Push(x any) { *a = append(*a, x.(*group.Scanner)) }

// Pop is part of heap.Interface.
func (a *ahead) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}
