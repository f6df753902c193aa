package peer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// piecesOf returns the next of SendState for so many pieces, and what they are.
func piecesOf(count, size int) (next func() ([]byte, error), all []byte) {
	all = randomBytes(count * size)
	rest := all
	return func() ([]byte, error) {
		if len(rest) == 0 {
			return nil, nil
		}
		piece := rest[:size]
		rest = rest[size:]
		return piece, nil
	}, all
}

// takeAll is a State that takes everything, and says what, and how it ended.
func takeAll(into *bytes.Buffer, ended chan<- error) func(context.Context, uint64, func() ([]byte, error)) error {
	return func(_ context.Context, _ uint64, next func() ([]byte, error)) error {
		for {
			piece, err := next()
			if err != nil {
				ended <- err
				if errors.Is(err, io.EOF) {
					return nil
				}
				return err
			}
			into.Write(piece)
		}
	}
}

func TestAStateArrivesWhole(t *testing.T) {
	var got bytes.Buffer
	ended := make(chan error, 1)
	p := newPair(t, &fakeHandler{state: takeAll(&got, ended)}, nil, nil)
	next, all := piecesOf(100, 160_000)
	if err := p.client.SendState(p.ctx(), 2, next); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != io.EOF { //nolint:errorlint // as it is promised
		t.Errorf("it ended with %v", err)
	}
	if !bytes.Equal(got.Bytes(), all) {
		t.Errorf("%d bytes of %d arrived, or others", got.Len(), len(all))
	}
}

// TestARefusedStateSaysWhy: before the first piece, in the middle, with much on its way, and
// at the end.
func TestARefusedStateSaysWhy(t *testing.T) {
	for name, after := range map[string]int{"at once": 0, "in the middle": 3, "at the end": 65} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, &fakeHandler{state: func(_ context.Context, _ uint64, next func() ([]byte, error)) error {
				for range after {
					if _, err := next(); err != nil && !errors.Is(err, io.EOF) {
						return err
					}
				}
				return errors.New("no room for it")
			}}, nil, nil)
			pieces, _ := piecesOf(64, 1<<20)
			if err := p.client.SendState(p.ctx(), 2, pieces); err == nil || err.Error() != "no room for it" {
				t.Errorf("the sender is told %v", err)
			}
		})
	}
}

// TestASenderWhoListensLateIsToldWhy: what he sends meanwhile does not cost him the answer.
func TestASenderWhoListensLateIsToldWhy(t *testing.T) {
	p := newPair(t, &fakeHandler{state: func(context.Context, uint64, func() ([]byte, error)) error {
		return errors.New("no room for it")
	}}, nil, nil)
	c := enterTCP(t, p.addr, forState)
	for range 32 { // more than the ways between hold
		if err := c.send(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.hear(); err == nil || err.Error() != "no room for it" {
		t.Errorf("he is told %v", err)
	}
}

// TestASenderStopsWhenItIsRefused: nobody would take the rest.
func TestASenderStopsWhenItIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := newPairInMemory(t, &fakeHandler{state: func(context.Context, uint64, func() ([]byte, error)) error {
			return errors.New("no room for it")
		}})
		pieces := 0
		err := p.client.SendState(t.Context(), 2, func() ([]byte, error) {
			pieces++
			time.Sleep(100 * time.Millisecond)
			return []byte("piece"), nil
		})
		if err == nil || err.Error() != "no room for it" || pieces > 2 {
			t.Errorf("after %d pieces the sender is told %v", pieces, err)
		}
	})
}

// TestHalfAStateIsNotTakenForAll: whatever ends it, it is not io.EOF.
func TestHalfAStateIsNotTakenForAll(t *testing.T) {
	broken := errors.New("the disk is broken")
	for _, test := range []struct {
		name string
		end  func(cancel func(), p *pair) error
		want error
	}{
		{"the sender cannot read it", func(func(), *pair) error { return broken }, broken},
		{"the sender gives up", func(cancel func(), _ *pair) error { cancel(); return nil }, context.Canceled},
		{"the sender is closed", func(_ func(), p *pair) error { p.client.Close(); return nil }, context.Canceled},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got bytes.Buffer
			ended := make(chan error, 1)
			p := newPair(t, &fakeHandler{state: takeAll(&got, ended)}, nil, nil)
			ctx, cancel := context.WithCancel(p.ctx())
			defer cancel()
			sent := 0
			err := p.client.SendState(ctx, 2, func() ([]byte, error) {
				if sent++; sent > 5 {
					if err := test.end(cancel, p); err != nil {
						return nil, err
					}
				}
				return make([]byte, 1000), nil
			})
			if !errors.Is(err, test.want) {
				t.Errorf("the sender is told %v", err)
			}
			if err := get(t, "the receiver is told", ended); errors.Is(err, io.EOF) {
				t.Error("the receiver takes it for whole")
			}
		})
	}
}

// TestAReceiverThatStopsEndsTheState: the sender does not go on for nobody.
func TestAReceiverThatStopsEndsTheState(t *testing.T) {
	began := make(chan bool, 1)
	p := newPair(t, &fakeHandler{state: func(ctx context.Context, _ uint64, next func() ([]byte, error)) error {
		if _, err := next(); err != nil {
			return err
		}
		began <- true
		<-ctx.Done()
		return ctx.Err()
	}}, nil, nil)
	failed := make(chan error, 1)
	go func() {
		failed <- p.client.SendState(p.ctx(), 2, func() ([]byte, error) { return make([]byte, 1000), nil })
	}()
	get(t, "the first piece", began)
	p.server.Stop()
	if err := get(t, "the end", failed); err == nil {
		t.Error("the state was sent")
	}
}

// TestAStateThatGoesOnIsNotTaken: the handler had all that it wanted, and more came.
func TestAStateThatGoesOnIsNotTaken(t *testing.T) {
	p := newPair(t, &fakeHandler{state: func(_ context.Context, _ uint64, next func() ([]byte, error)) error {
		_, err := next()
		return err
	}}, nil, nil)
	for count, good := range map[int]bool{1: true, 2: false, 64: false} {
		next, _ := piecesOf(count, 1<<20)
		if err := p.client.SendState(p.ctx(), 2, next); (err == nil) != good {
			t.Errorf("%d pieces: %v", count, err)
		}
	}
}
