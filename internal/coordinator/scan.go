package coordinator

import (
	"context"
	"errors"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Scan walks the live keys of a prefix, of all groups, in the order of their bytes. It is not
// safe for concurrent use and must be closed.
type Scan struct {
	merge Merge[*group.Scanner]
	token string
}

// Scan begins a scan, which may go on for longer than ctx. Errors are *sheaf.Error.
func (c *Coordinator) Scan(ctx context.Context, prefix, start []byte) (*Scan, error) {
	if err := c.cfg.Gate.Read(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s := &Scan{}
	// What is committed up to here will have been resolved in every group before that is read, and
	// so is in the scan as a whole.
	before, read := make([]uint64, len(c.cfg.Groups)), make([]uint64, len(c.cfg.Groups))
	for i, g := range c.cfg.Groups {
		if c.whole() != nil {
			break
		}
		if err := g.Current(ctx); err != nil {
			return nil, err
		}
		before[i] = g.Applied()
	}
	for i, g := range c.cfg.Groups {
		var scanner *group.Scanner
		err := c.settle(ctx, uint64(i+1), g)
		if err == nil {
			scanner, err = g.Scan(ctx, prefix, start)
		}
		if err != nil {
			_ = s.Close() // why there is no scan is what counts
			return nil, err
		}
		s.merge.Cursors = append(s.merge.Cursors, scanner)
		read[i] = scanner.Index()
	}
	if c.whole() != nil {
		before = read
	}
	s.token = c.cfg.Feed.ScanToken(before, read)
	return s, nil
}

// settle is Settle in a node; one group alone has no such batches.
func (c *Coordinator) settle(ctx context.Context, id uint64, g Group) error {
	if c.whole() != nil {
		return nil
	}
	do := &driver{c: c, caller: ctx, callTime: callTime}
	err := Settle(do, id, c.table.GroupOf, func() ([]wire.Holder, error) { return c.group(id).Attempts(ctx) })
	if e := sheaf.AsError(err); e != nil && e.Err == nil {
		e.Err = ctx.Err()
	}
	return err
}

// Next moves to the next live key; false at the end or on an error.
func (s *Scan) Next() bool { return s.merge.Next() }

// Item is the key Next moved to. Its slices are valid until Next or Close.
func (s *Scan) Item() sheaf.Item { return s.merge.Item() }

// Err is the *sheaf.Error that ended the scan, or nil.
func (s *Scan) Err() error { return s.merge.Err() }

// Token is where a watch begins that goes on from what the scan returns, without a gap and without
// a change that is in it.
func (s *Scan) Token() string { return s.token }

// Close releases the scan.
func (s *Scan) Close() error {
	var errs []error
	for _, scanner := range s.merge.Cursors {
		errs = append(errs, scanner.Close())
	}
	return errors.Join(errs...)
}
