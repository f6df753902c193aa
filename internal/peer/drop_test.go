package peer

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

// TestANodeThatIsDroppedAsksAnew: what it had open ends, also the call that is at work, and it
// reads the code of the refusal.
func TestANodeThatIsDroppedAsksAnew(t *testing.T) {
	var removed atomic.Bool
	working := make(chan struct{}, 1)
	p := newPair(t, &fakeHandler{
		admit: func(from Identity, _ uint64) error {
			if from.ID == 1 && removed.Load() {
				return &RefusedError{Code: CodeRemoved, Detail: "gone"}
			}
			return nil
		},
		call: func(ctx context.Context, _ uint64, _ []byte) ([]byte, error) {
			working <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		},
	}, nil, nil)
	answered := make(chan error, 1)
	go func() {
		_, err := p.client.Call(p.ctx(), 2, []byte("x"))
		answered <- err
	}()
	get(t, "the call", working)
	p.server.Drop(3) // somebody else
	removed.Store(true)
	p.server.Drop(1)
	if err := get(t, "the end of the call", answered); err == nil {
		t.Error("the call was answered")
	}
	_, err := p.client.Call(p.ctx(), 2, []byte("x"))
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Code != CodeRemoved || refused.Detail != "gone" {
		t.Errorf("the next call: %v", err)
	}
}
