package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// views are what one look after the other shows; the last of them again and again.
type views struct {
	errs []error
	seen int
}

func (v *views) Cluster(context.Context) (*sheafv1.GetClusterResponse, error) {
	at := min(v.seen, len(v.errs)-1)
	v.seen++
	return &sheafv1.GetClusterResponse{}, v.errs[at]
}

// TestAWaitGoesOnUntilItsTimeIsOver, whatever one look comes to, and then says what goes on.
func TestAWaitGoesOnUntilItsTimeIsOver(t *testing.T) {
	away := errors.New("away")
	for _, test := range []struct {
		name string
		errs []error
		done int // the look at which it is
		code int
	}{
		{"a look fails and the next does not", []error{away, nil, nil}, 3, exitDone},
		{"it is never done", []error{nil}, -1, exitUnknown},
		{"nobody answers", []error{away}, -1, exitUnreachable},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				v := &views{errs: test.errs}
				a := &app{stderr: new(bytes.Buffer)}
				err := a.untilCluster(ctx, v, goesOn, func(*sheafv1.GetClusterResponse) (string, bool) { return "waiting", v.seen == test.done })
				if code := exitCode(err); code != test.code {
					t.Errorf("exit code %d, want %d: %v", code, test.code, err)
				}
				var end *exitError
				if errors.As(err, &end) && !strings.Contains(end.next, "goes on by itself") {
					t.Errorf("next: %s", end.next)
				}
			})
		})
	}
}

// TestAnInterruptedWaitIsNoTimeout.
func TestAnInterruptedWaitIsNoTimeout(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := notYet(ctx, "n4 learns", goesOn, nil)
	if exitCode(err) != exitInterrupted || !strings.HasPrefix(err.Error(), "interrupted: n4 learns") {
		t.Errorf("%d: %v", exitCode(err), err)
	}
}
