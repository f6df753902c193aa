package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/wire"
)

// leaderless waits for a leader for as long as it is let.
type leaderless struct{ slowGroup }

func notLed(ctx context.Context) error {
	<-ctx.Done()
	return &sheaf.Error{Code: sheaf.NotProposed, Err: ctx.Err()}
}

func (g *leaderless) Read(ctx context.Context, _ group.ReadRequest) (group.ReadResult, error) {
	return group.ReadResult{}, notLed(ctx)
}

func (g *leaderless) Scan(ctx context.Context, _, _ []byte) (*group.Scanner, error) {
	return nil, notLed(ctx)
}

func (g *leaderless) Propose(ctx context.Context, _ *wire.Command) (apply.Result, group.Timing, error) {
	return apply.Result{}, group.Timing{}, notLed(ctx)
}

func (g *leaderless) Overdue(int) (apply.Overdue, error) { return apply.Overdue{}, nil }

func TestReadsWithoutADeadlineDoNotWaitForALeaderForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCoordinator(&leaderless{}, 1<<20)
		defer c.Close(context.Background())
		for name, read := range map[string]func() error{
			"GetAll": func() error {
				_, err := c.GetAll(context.Background(), GetAll{Keys: [][]byte{[]byte("k")}})
				return err
			},
			"Scan": func() error {
				_, err := c.Scan(context.Background(), nil, nil)
				return err
			},
		} {
			began := time.Now()
			if err := read(); !errors.Is(err, sheaf.NotProposed) || time.Since(began) != patience {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
		}
	})
}

// TestABatchThatOnlyStoodInTheLineWasNotWritten: and its caller is told so.
func TestABatchThatOnlyStoodInTheLineWasNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits, g := sheaf.DefaultLimits(), &leaderless{}
		c := New(Config{
			Groups: []Group{g, g}, Gate: admission.NewGate(limits.InFlightBytes), Limits: limits,
			EventualBytes: 1 << 20, EventualWindow: time.Second, Logger: slog.New(slog.DiscardHandler),
		})
		defer c.Close(context.Background())
		entries := keysBatch("1", "2", "3", "4", "5", "6", "7", "8")
		errs := make(chan error, 1)
		put := func(wait time.Duration) error {
			ctx, cancel := context.WithTimeout(context.Background(), wait)
			defer cancel()
			_, err := c.PutAll(ctx, &wire.PutAll{Entries: entries}, nil)
			return err
		}
		go func() { errs <- put(2 * time.Second) }()
		synctest.Wait()
		if err := put(time.Second); !errors.Is(err, sheaf.NotProposed) {
			t.Errorf("one that stood behind another: %v", err)
		}
		if err := <-errs; !errors.Is(err, sheaf.OutcomeUnknown) {
			t.Errorf("one that was on its way: %v", err)
		}
	})
}

// stale is a replica behind a session, in a group that does not answer whether it moved its clock.
type stale struct{}

func (stale) Read(context.Context, group.ReadRequest) (group.ReadResult, error) {
	return group.ReadResult{}, &sheaf.Error{Code: sheaf.StaleReplica}
}

func (stale) Propose(context.Context, *wire.Command) (apply.Result, group.Timing, error) {
	return apply.Result{}, group.Timing{}, &sheaf.Error{Code: sheaf.OutcomeUnknown}
}

func TestAReadHasNoUnknownOutcome(t *testing.T) {
	if _, err := ReadPart(t.Context(), stale{}, group.ReadRequest{Level: sheaf.Sequential, After: 7}); sheaf.CodeOf(err) != sheaf.StaleReplica {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ReadPart(ctx, stale{}, group.ReadRequest{Level: sheaf.Sequential, After: 7}); sheaf.CodeOf(err) != sheaf.NotProposed {
		t.Error(err)
	}
}
