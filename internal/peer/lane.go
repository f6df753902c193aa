package peer

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// lane is what waits to be sent to one node.
type lane struct {
	mu     sync.Mutex
	frames [][][]byte
	bytes  int
	signal chan struct{} // holds one token when frames may not be empty
}

func newLane() *lane { return &lane{signal: make(chan struct{}, 1)} }

// put adds a frame, false if there is no room.
func (l *lane) put(parts [][]byte) bool {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bytes > 0 && l.bytes+size > laneBytes {
		return false
	}
	l.frames = append(l.frames, parts)
	l.bytes += size
	select {
	case l.signal <- struct{}{}:
	default:
	}
	return true
}

func (l *lane) take() [][][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	frames := l.frames
	l.frames, l.bytes = nil, 0
	return frames
}

// redialEvery is how long a lane waits before it opens its stream again.
const redialEvery = 50 * time.Millisecond

// run sends what is put into a lane until ctx ends.
func (c *Client) run(ctx context.Context, r *remote, l *lane) {
	told := false // that the node cannot be reached
	for ctx.Err() == nil {
		if c.self().Cluster == "" { // nobody would take anything
			l.take()
			select {
			case <-ctx.Done():
			case <-time.After(redialEvery):
			}
			continue
		}
		stream, err := c.open(ctx, r)
		if err == nil {
			if told {
				c.logger.Info("node is back", "node", r.id, "addr", r.addr)
			}
			told = false
			err = l.drain(ctx, stream)
		}
		if ctx.Err() != nil {
			return
		}
		if !told {
			c.logger.Warn("node cannot be reached", "node", r.id, "addr", r.addr, "err", err)
			told = true
		}
		l.take() // what waits is old by the time that the node is back
		c.lost(r.id)
		select {
		case <-ctx.Done():
		case <-time.After(redialEvery):
		}
	}
}

func (c *Client) open(ctx context.Context, r *remote) (grpc.ClientStream, error) {
	ctx = metadata.NewOutgoingContext(ctx, c.self().metadata(r.id))
	return r.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, framesMethod)
}

// drain sends until the stream ends, and returns why.
func (l *lane) drain(ctx context.Context, stream grpc.ClientStream) error {
	ended := make(chan error, 1)
	go func() { ended <- stream.RecvMsg(&in{}) }() // nothing comes but the end
	for {
		select {
		case <-l.signal:
		case err := <-ended:
			return err
		case <-ctx.Done():
			<-ended
			return ctx.Err()
		}
		for _, parts := range l.take() {
			if err := stream.SendMsg(&out{parts}); err != nil {
				return <-ended
			}
		}
	}
}
