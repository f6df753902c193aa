package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/store"
)

// TestEveryReasonHasItsExitCode is the contract with scripts: a row of the error
// table that is not here needs a decision, and a number never changes.
func TestEveryReasonHasItsExitCode(t *testing.T) {
	want := map[sheaf.Code]int{
		sheaf.RequestIDRequired: 2, sheaf.InvalidBatch: 2, sheaf.BatchTooLarge: 2, sheaf.ETagRequired: 2,
		sheaf.ETagMismatch: 4, sheaf.VersionMismatch: 4,
		sheaf.RequestIDReused: 2, sheaf.RequestIDExpired: 3,
		sheaf.RateLimited: 2, sheaf.NoSpace: 2, sheaf.NotLeader: 2, sheaf.Draining: 2,
		sheaf.OutcomeUnknown: 3, sheaf.Contention: 2, sheaf.StaleReplica: 2, sheaf.Compacted: 2,
		sheaf.NotFound: 5, sheaf.MethodNotAllowed: 2, sheaf.UnsupportedMediaType: 2, sheaf.NotProposed: 2,
		sheaf.Internal: 7, sheaf.Unauthenticated: 2, sheaf.PermissionDenied: 2, sheaf.Corruption: 7,
	}
	got := make(map[sheaf.Code]int)
	for _, row := range sheaf.Table {
		got[row.Code] = exitCode(fmt.Errorf("put: %w", &sheaf.Error{Code: row.Code}))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExitCodeOfOtherErrors(t *testing.T) {
	refused := status.Error(codes.Unavailable, "connection refused")
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"none", nil, exitDone},
		{"a local mistake", errors.New("no such file"), exitUsage},
		{"never connected", &sheaf.Error{Code: sheaf.NotProposed, Err: refused}, exitUnreachable},
		{"never connected until the deadline", &sheaf.Error{Code: sheaf.NotProposed, Err: fmt.Errorf("%w (last attempt: %w)",
			context.DeadlineExceeded, &sheaf.Error{Code: sheaf.NotProposed, Err: refused})}, exitUnreachable},
		{"connected once, and lost", &sheaf.Error{Code: sheaf.OutcomeUnknown, Err: refused}, exitUnknown},
		{"the deadline", &sheaf.Error{Code: sheaf.NotProposed, Err: context.DeadlineExceeded}, exitNotApplied},
		{"a signal", &sheaf.Error{Code: sheaf.NotProposed, Err: context.Canceled}, exitInterrupted},
		{"a signal after sending", &sheaf.Error{Code: sheaf.OutcomeUnknown, Err: context.Canceled}, exitUnknown},
		{"our own", fmt.Errorf("import: %w", &exitError{code: exitPrecondition, err: errors.New("x")}), exitPrecondition},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}

// TestAFailedNodeIsStartedAgainOnlyOnGoodFiles.
func TestAFailedNodeIsStartedAgainOnlyOnGoodFiles(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.New("the disk hangs"), "start it again when"},
		{store.Corruptf("log", "older than what was promised"), "do not start it again"},
	} {
		var end *exitError
		if err := hasFailed(test.err); !errors.As(err, &end) || end.code != exitDamaged || !strings.Contains(end.next, test.want) {
			t.Errorf("%v: %+v", test.err, end)
		}
	}
}

// TestASignalIsNoTimeout, and does not hide that a batch may be applied.
func TestASignalIsNoTimeout(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	command := &cobra.Command{Use: "sheaf"}
	command.SetContext(ctx)
	for code, want := range map[sheaf.Code]failure{
		sheaf.NotProposed:    {Exit: exitInterrupted, Next: "run it again"},
		sheaf.OutcomeUnknown: {Exit: exitUnknown, Reason: sheaf.OutcomeUnknown, Next: "Send the same call"},
	} {
		f := describe(command, &sheaf.Error{Code: code, Detail: "the caller gave up after 2 attempts", Err: context.Canceled})
		if f.Exit != want.Exit || f.Reason != want.Reason || !strings.HasPrefix(f.Next, want.Next) || !strings.HasPrefix(f.Detail, "interrupted: the caller gave up") {
			t.Errorf("%s: %+v", code, f)
		}
	}
}
