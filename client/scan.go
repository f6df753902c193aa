package client

import (
	"bytes"
	"context"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// ScanOptions name a range of keys. The zero value is all of them.
type ScanOptions struct {
	// Prefix: only keys that begin with these bytes.
	Prefix []byte
	// Start is the first key to yield, if it is there.
	Start []byte
	// Limit is the most keys to yield; 0 means no limit.
	Limit uint64
}

// Scan yields the live keys of a range in the order of their bytes, each with a
// nil error. A failure is yielded last, alone. The items belong to the caller.
//
// A stream that breaks is resumed behind the last key, so no key comes twice;
// what comes after a resumption is as new as that, so a scan is not the picture
// of one instant. Attempts are counted from the last key received, and only
// ctx bounds the whole. Each loop over the result is a new scan.
func (c *Client) Scan(ctx context.Context, o ScanOptions) iter.Seq2[sheaf.Item, error] {
	return func(yield func(sheaf.Item, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // ends the stream when the caller breaks off
		s := scan{prefix: o.Prefix, start: bytes.Clone(o.Start), left: o.Limit, limited: o.Limit > 0}
		call := c.newCall("scan")
		for {
			node, at := c.nodes.pick(call.route)
			call.node, call.at = node, at
			err := s.stream(ctx, node.conn, call, yield)
			if err == nil {
				return
			}
			if end := c.again(ctx, call, err, true); end != nil {
				yield(sheaf.Item{}, end)
				return
			}
		}
	}
}

// scan is where a Scan stands.
type scan struct {
	prefix []byte
	// start is the smallest key not yet yielded.
	start []byte
	// left is how many more keys to yield, when there is a limit.
	left    uint64
	limited bool
}

// stream yields what one stream brings. It returns nil when the scan is over.
func (s *scan) stream(ctx context.Context, conn grpc.ClientConnInterface, call *call, yield func(sheaf.Item, error) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked := time.Now()
	defer func() { call.took = time.Since(asked) }()
	stream, err := sheafv1.NewKVServiceClient(conn).Scan(ctx, &sheafv1.ScanRequest{
		Prefix: s.prefix, Start: s.start, Limit: s.left,
	})
	if err != nil {
		return err
	}
	for {
		page, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, item := range page.GetEntries() {
			if bytes.Compare(item.GetKey(), s.start) < 0 {
				continue // a node that ignores start must not make a key come twice
			}
			call.attempts = 0
			s.start = append(append(s.start[:0], item.GetKey()...), 0)
			if !yield(sheaf.Item{
				Key: item.GetKey(), Value: item.GetValue(), TypeURL: item.GetTypeUrl(),
				Version: item.GetVersion(), Found: true,
			}, nil) {
				return nil
			}
			if !s.limited {
				continue
			}
			if s.left--; s.left == 0 {
				return nil
			}
		}
		asked = time.Now()
	}
}
