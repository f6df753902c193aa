package client

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// Backup writes a copy of all groups of the node's cluster to to, in the form that
// `sheaf restore` takes, and returns how many bytes it has. It has everything that was
// acknowledged before the call, and every LINEARIZABLE batch whole or not at all.
//
// Only ctx bounds it. After an error what was written is of no use: a copy cannot be resumed.
// That the bytes arrived whole is for the caller to find out (`sheaf backup verify`). Errors of to are
// returned as they are; all others are *sheaf.Error. A node that makes one already answers
// RATE_LIMITED, at once.
func (c *Client) Backup(ctx context.Context, to io.Writer) (bytes int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream
	call := c.newCall("backup")
	for {
		call.node, call.at = c.nodes.pick(call.route)
		n, local, err := receiveBackup(ctx, call.node.conn, to)
		switch {
		case err == nil || local:
			return n, err
		case n > 0:
			return n, call.understand(err, true)
		}
		if e := call.understand(err, true); errors.Is(e, sheaf.RateLimited) || errors.Is(e, sheaf.Contention) {
			return 0, e // the node has tried for long, or will be busy for long
		}
		if end := c.again(ctx, call, err, true); end != nil {
			return 0, end
		}
	}
}

// receiveBackup writes what one stream brings. local: the error is of to.
func receiveBackup(ctx context.Context, conn grpc.ClientConnInterface, to io.Writer) (n int64, local bool, err error) {
	stream, err := sheafv1.NewClusterServiceClient(conn).Backup(ctx, &sheafv1.BackupRequest{})
	if err != nil {
		return 0, false, err
	}
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return n, false, nil
		}
		if err != nil {
			return n, false, err
		}
		written, err := to.Write(piece.GetData())
		if n += int64(written); err != nil {
			return n, true, err
		}
	}
}
