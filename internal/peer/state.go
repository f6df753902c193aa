package peer

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// SendState sends a state in the pieces that next returns until it returns none, and returns
// when the node has it.
func (c *Client) SendState(ctx context.Context, to uint64, next func() ([]byte, error)) error {
	r, err := c.node(to)
	if err != nil {
		return err
	}
	ctx, cancel := r.lasting(ctx)
	defer cancel()
	conn, err := r.dial(ctx, forState)
	if err != nil {
		return err
	}
	defer conn.close()
	defer context.AfterFunc(ctx, conn.close)()
	conn.grace = stateSilence
	// The receiver may have had enough before the end.
	heard := make(chan struct{})
	var verdict error
	go func() {
		defer close(heard)
		verdict = conn.hear()
	}()
	err = conn.sendPieces(next, heard)
	if err != nil {
		conn.close() // half a state is none
	}
	<-heard
	var failed remoteError
	switch {
	case err == nil || errors.As(verdict, &failed): // the receiver knows best
		return verdict
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}

// sendPieces sends until there are no more pieces, and then an empty frame.
func (c *conn) sendPieces(next func() ([]byte, error), heard <-chan struct{}) error {
	for {
		piece, err := next()
		if err != nil {
			return err
		}
		select {
		case <-heard:
			return errors.New("the connection ended before the state")
		default:
		}
		if len(piece) > maxFrameBytes {
			return fmt.Errorf("a piece of %d bytes is larger than %d", len(piece), maxFrameBytes)
		}
		if err := c.send(piece); err != nil {
			return err
		}
		if len(piece) == 0 {
			return c.raw.SetReadDeadline(time.Now().Add(stateSilence))
		}
	}
}

// hear receives the verdict on a state.
func (c *conn) hear() error {
	answer, err := c.receive()
	if err == nil {
		_, err = decodeAnswer(answer)
	}
	return err
}

// Meet asks a node of a cluster that is being formed.
func (c *Client) Meet(ctx context.Context, to uint64, request []byte) ([]byte, error) {
	r, err := c.node(to)
	if err != nil {
		return nil, err
	}
	ctx, cancel := r.lasting(ctx)
	defer cancel()
	conn, err := r.dial(ctx, forMeet)
	if err != nil {
		return nil, err
	}
	defer conn.close()
	defer context.AfterFunc(ctx, conn.close)()
	conn.idle = greetTime
	if err := conn.send(request); err != nil {
		return nil, err
	}
	answer, err := conn.receive()
	if err != nil {
		return nil, err
	}
	return decodeAnswer(answer)
}
