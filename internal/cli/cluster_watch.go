package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// untilCluster looks at the cluster until done or until ctx ends, and says what it waits for when
// that changes. A look that fails is followed by another: the nodes may be on their way.
func (a *app) untilCluster(ctx context.Context, node clusterView, look func(*sheafv1.GetClusterResponse) (waiting string, done bool)) error {
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
			return notYet(ctx, waiting, err)
		}
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

// notYet is the end of a wait. What was waited for goes on: the nodes do it by themselves.
func notYet(ctx context.Context, waiting string, failed error) error {
	end := &exitError{
		code: exitUnknown, err: fmt.Errorf("not done in time: %s: %w", waiting, ctx.Err()),
		next: "it goes on by itself: \"sheaf cluster status\" shows how far it is; --timeout says how long to wait",
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		end.code = exitInterrupted
	case failed != nil:
		end.code = exitUnreachable
	}
	return end
}
