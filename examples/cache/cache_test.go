package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client/clienttest"
)

func TestOneOfManyWhoMissAsksTheOrigin(t *testing.T) {
	node := clienttest.Start(t, clienttest.WithGroups(4))
	for _, want := range []string{"asked 1 times\n", "asked 0 times\n"} { // the second time it is cached
		var out strings.Builder
		if err := play(t.Context(), node.Addr(), "front-page", time.Hour, 100*time.Millisecond, 50, &out); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out.String(), "50 callers were given \"made at ") || !strings.HasSuffix(out.String(), want) {
			t.Error(out.String())
		}
	}
}

func TestValueIsFetchedAgainWhenItsTimeIsOver(t *testing.T) {
	cache := Cache{Client: clienttest.New(t), TTL: time.Millisecond, Lease: time.Minute}
	asked := 0
	for asked < 2 { // or until the test is ended
		if _, err := cache.Get(t.Context(), "a", func(context.Context) ([]byte, error) { asked++; return []byte("v"), nil }); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFetchThatFailsLeavesTheTurnToAnother(t *testing.T) {
	cache := Cache{Client: clienttest.New(t), TTL: time.Hour, Lease: time.Hour}
	var asked atomic.Int64
	fetch := func(context.Context) ([]byte, error) {
		if asked.Add(1) <= 3 {
			return nil, errors.New("the origin is down")
		}
		return []byte("good"), nil
	}
	var good atomic.Int64
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if value, err := cache.Get(t.Context(), "a", fetch); err == nil && string(value) == "good" {
				good.Add(1)
			}
		})
	}
	wait.Wait()
	if good.Load() != 17 || asked.Load() != 4 {
		t.Errorf("%d callers were given the value, and the origin was asked %d times", good.Load(), asked.Load())
	}
}

func TestWhoLosesTheLeaseDoesNotOverwrite(t *testing.T) {
	c := clienttest.New(t)
	slow := Cache{Client: c, TTL: time.Hour, Lease: 50 * time.Millisecond}
	quick := Cache{Client: c, TTL: time.Hour, Lease: time.Hour}
	value, err := slow.Get(t.Context(), "a", func(ctx context.Context) ([]byte, error) {
		// The other waits for the lease to end, and is faster then.
		_, err := quick.Get(ctx, "a", func(context.Context) ([]byte, error) { return []byte("quick"), nil })
		return []byte("slow"), err
	})
	if err != nil || string(value) != "slow" {
		t.Fatalf("%s, %v", value, err)
	}
	value, err = quick.Get(t.Context(), "a", nil)
	if err != nil || string(value) != "quick" {
		t.Errorf("the cache has %s, %v", value, err)
	}
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	c := clienttest.New(t)
	if _, err := c.PutAll(t.Context(), []sheaf.Entry{sheaf.Put("cache/{a}/lease", "")}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	cache := Cache{Client: c, TTL: time.Hour, Lease: time.Hour}
	if _, err := cache.Get(ctx, "a", nil); err == nil || ctx.Err() == nil {
		t.Errorf("it ended with %v", err)
	}
}
