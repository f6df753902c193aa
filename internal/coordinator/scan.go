package coordinator

import (
	"context"
	"errors"
	"strconv"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// Scan walks the live keys of a prefix, of all groups, in the order of their bytes. It is not
// safe for concurrent use and must be closed.
type Scan struct {
	merge Merge[*group.Scanner]
}

// Scan begins a scan, which may go on for longer than ctx. Errors are *sheaf.Error.
func (c *Coordinator) Scan(ctx context.Context, prefix, start []byte) (*Scan, error) {
	if err := c.cfg.Gate.Read(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s := &Scan{}
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
	}
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

// Token names the log position of every group at which the scan began: everything up to there
// is in it.
func (s *Scan) Token() string {
	var token []byte
	for i, scanner := range s.merge.Cursors {
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
	for _, scanner := range s.merge.Cursors {
		errs = append(errs, scanner.Close())
	}
	return errors.Join(errs...)
}
