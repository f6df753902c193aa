package coordinator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/sheafdb/sheaf/internal/wire"
)

func keysBatch(keys ...string) wire.Entries {
	var raw []byte
	for _, key := range keys {
		raw = wire.AppendEntry(raw, &wire.Entry{Key: []byte(key)})
	}
	return wire.Canonical(raw)
}

func TestBatchesOfTheSameKeysGoInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		a, b, c := l.join(keysBatch("1", "2")), l.join(keysBatch("2", "3")), l.join(keysBatch("9"))
		if err := c.wait(t.Context()); err != nil { // nobody has its key
			t.Error(err)
		}
		went := make(chan error, 1)
		go func() { went <- b.wait(context.Background()) }()
		synctest.Wait()
		select {
		case <-went:
			t.Error("one went past another that has its key")
		default:
		}
		a.leave()
		if err := <-went; err != nil {
			t.Error(err)
		}
		b.leave()
		c.leave()
		if len(l.last) > 0 {
			t.Errorf("%d keys are left", len(l.last))
		}
	})
}

// TestWhoGivesUpLetsNobodyPast: those behind wait for those ahead of him.
func TestWhoGivesUpLetsNobodyPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		a, b, c := l.join(keysBatch("1")), l.join(keysBatch("1", "2")), l.join(keysBatch("2", "1"))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := b.wait(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("waiting ended with %v", err)
		}
		go b.leave()
		went := make(chan error, 1)
		go func() { went <- c.wait(context.Background()) }()
		synctest.Wait()
		select {
		case <-went:
			t.Error("the last went before the first had left")
		default:
		}
		a.leave()
		if err := <-went; err != nil {
			t.Error(err)
		}
		c.leave()
	})
}

// TestNobodyWaitsInACircle, and no two have one key at a time.
func TestNobodyWaitsInACircle(t *testing.T) {
	l := newLine()
	var held [5]atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				var keys []string
				pick := rand.Perm(len(held))[:1+rand.IntN(3)]
				for _, k := range pick {
					keys = append(keys, fmt.Sprint(k))
				}
				p := l.join(keysBatch(keys...))
				if err := p.wait(t.Context()); err != nil {
					t.Error(err)
				}
				for _, k := range pick {
					if held[k].Add(1) != 1 {
						t.Error("two have one key")
					}
				}
				for _, k := range pick {
					held[k].Add(-1)
				}
				p.leave()
			}
		})
	}
	all.Wait()
}
