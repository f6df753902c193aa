package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// untilCluster looks at the cluster until done or until ctx ends, and says what it waits for when
// that changes. A look that fails is followed by another: the nodes may be on their way. next is what
// goes on after a wait that was too short.
func (a *app) untilCluster(ctx context.Context, node clusterView, next string, look func(*sheafv1.GetClusterResponse) (waiting string, done bool)) error {
	last, told := "", time.Time{}
	for {
		c, err := lookOnce(ctx, node)
		waiting, done := "", false
		if err != nil {
			waiting = "the cluster does not answer: " + err.Error()
		} else {
			waiting, done = look(c)
		}
		if done {
			return nil
		}
		if waiting != last && time.Since(told) > time.Second && ctx.Err() == nil {
			last, told = waiting, time.Now()
			fmt.Fprintln(a.stderr, waiting)
		}
		select {
		case <-time.After(clusterPoll):
		case <-ctx.Done():
			return notYet(ctx, waiting, next, err)
		}
	}
}

// joinable refuses to wait at a node that nobody can join. A look that fails says nothing yet.
func joinable(ctx context.Context, node clusterView) error {
	c, err := lookOnce(ctx, node)
	if err != nil || c.GetCluster() != "" {
		return nil //nolint:nilerr // the wait that follows looks again
	}
	return &exitError{
		code: exitNotApplied, err: errors.New("the node at --addr is alone and was started without --node, so nothing can join it"),
		next: "stop it, and start it again on the same data directory with --node NAME --peer-addr HOST:PORT",
	}
}

// clusterView is what can be looked at.
type clusterView interface {
	Cluster(ctx context.Context) (*sheafv1.GetClusterResponse, error)
}

// lookTimeout bounds one look, so that another node or moment gets its chance.
const lookTimeout = 5 * time.Second

func lookOnce(ctx context.Context, node clusterView) (*sheafv1.GetClusterResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return node.Cluster(ctx)
}

// goesOn is what follows where the nodes do by themselves what was waited for.
const goesOn = "it goes on by itself: \"sheaf cluster status\" shows how far it is; --timeout says how long to wait"

// notYet is the end of a wait.
func notYet(ctx context.Context, waiting, next string, failed error) error {
	end := &exitError{
		code: exitUnknown, err: fmt.Errorf("not done in time: %s: %w", waiting, ctx.Err()), next: next,
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		end.code, end.err = exitInterrupted, fmt.Errorf("interrupted: %s: %w", waiting, ctx.Err())
	case failed != nil:
		end.code = exitUnreachable
	}
	return end
}
