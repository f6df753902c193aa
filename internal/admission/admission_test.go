package admission

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
)

func TestReservationsStayWithinTheLimit(t *testing.T) {
	g := NewGate(100)
	if err := g.Reserve(60); err != nil {
		t.Fatal(err)
	}
	err := g.Reserve(41)
	if e := sheaf.AsError(err); !errors.Is(err, sheaf.RateLimited) || e.RetryAfter == 0 {
		t.Fatalf("beyond the limit: %v", err)
	}
	if err := g.Reserve(40); err != nil {
		t.Fatal(err)
	}
	g.Release(60)
	if now, limit := g.InFlight(); now != 40 || limit != 100 {
		t.Errorf("in flight: %d of %d", now, limit)
	}
}

func TestAWaitingReservationIsLetInByARelease(t *testing.T) {
	g := NewGate(100)
	if err := g.Reserve(100); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := g.ReserveWait(context.Background(), 50); err != nil {
				t.Error(err)
				return
			}
			if now, _ := g.InFlight(); now > 100 {
				t.Errorf("%d bytes in flight", now)
			}
			g.Release(50)
		})
	}
	g.Release(100)
	wg.Wait()
	if now, _ := g.InFlight(); now != 0 {
		t.Errorf("%d bytes are left", now)
	}
}

func TestAWaitingReservationEndsWithItsContext(t *testing.T) {
	g := NewGate(1)
	if err := g.Reserve(1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := g.ReserveWait(ctx, 1); !errors.Is(err, sheaf.RateLimited) {
		t.Error(err)
	}
}

func TestWhatIsHeldCountsBeyondTheLimit(t *testing.T) {
	g := NewGate(10)
	g.Hold(15)
	if err := g.Reserve(1); !errors.Is(err, sheaf.RateLimited) {
		t.Error(err)
	}
	g.Release(15)
	if err := g.Reserve(10); err != nil {
		t.Error(err)
	}
}

func TestAGateThatIsShutSaysWhy(t *testing.T) {
	g := NewGate(1)
	g.Shut("removed")
	for _, err := range []error{g.Write(), g.Read()} {
		if !errors.Is(err, sheaf.Draining) || sheaf.AsError(err).Detail != "removed" {
			t.Error(err)
		}
	}
}

func TestAFullDiskStopsWritesOnly(t *testing.T) {
	g := NewGate(1)
	g.SetNoSpace("no room")
	if err := g.Write(); !errors.Is(err, sheaf.NoSpace) || sheaf.AsError(err).Detail != "no room" {
		t.Error(err)
	}
	if err := g.Read(); err != nil {
		t.Error(err)
	}
	g.SetNoSpace("")
	if err := g.Write(); err != nil {
		t.Error(err)
	}
	g.Drain()
	for _, err := range []error{g.Write(), g.Read()} {
		if !errors.Is(err, sheaf.Draining) {
			t.Error(err)
		}
	}
}

// TestANodeThatNeverServesAgainSaysSo: by a wait that nobody has, while one that drains may be back.
func TestANodeThatNeverServesAgainSaysSo(t *testing.T) {
	for _, test := range []struct {
		close func(*Gate)
		want  time.Duration
	}{
		{(*Gate).Drain, busyRetry},
		{func(g *Gate) { g.Shut("removed") }, shutRetry},
	} {
		g := NewGate(1)
		test.close(g)
		if err := g.Write(); !errors.Is(err, sheaf.Draining) || sheaf.AsError(err).RetryAfter != test.want {
			t.Errorf("%v, want the advice to wait %v", err, test.want)
		}
	}
}
