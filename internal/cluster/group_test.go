package cluster

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/peer"
	"github.com/sheafdb/sheaf/internal/wire"
)

// TestOnlyWhatCanHaveArrivedIsUnknown: a batch whose call never reached the leader may be
// tried again even if it has no name.
func TestOnlyWhatCanHaveArrivedIsUnknown(t *testing.T) {
	for _, test := range []struct {
		err  error
		want sheaf.Code
	}{
		{&peer.NotSentError{Err: io.EOF}, sheaf.NotLeader},
		{&peer.RefusedError{Code: "admission", Detail: "another disk"}, sheaf.NotLeader},
		{io.ErrUnexpectedEOF, sheaf.OutcomeUnknown},
		{errors.New("no such group"), sheaf.OutcomeUnknown},
		{context.DeadlineExceeded, sheaf.OutcomeUnknown},
	} {
		err := callError(t.Context(), 2, test.err)
		if !errors.Is(err, test.want) || !errors.Is(err, test.err) {
			t.Errorf("%v became %v", test.err, err)
		}
		if tried := again(t.Context(), err, false); tried != (test.want == sheaf.NotLeader) {
			t.Errorf("%v: tried again without a name: %v", test.err, tried)
		}
	}
}

func TestManyBatchesGoToTheLeaderInParts(t *testing.T) {
	ofSize := func(n int) *wire.Command {
		entry := wire.Entry{Key: []byte("key"), Value: make([]byte, n)}
		return &wire.Command{Entries: wire.Canonical(wire.AppendEntry(nil, &entry))}
	}
	small, large, largest := ofSize(10), ofSize(33<<20), ofSize(65<<20)
	for _, test := range []struct {
		cmds []*wire.Command
		want int
	}{
		{[]*wire.Command{small}, 1},
		{[]*wire.Command{small, large, small}, 3},
		{[]*wire.Command{small, large, large}, 2},
		{[]*wire.Command{largest, small}, 1},
		{[]*wire.Command{small, largest}, 1},
	} {
		if got := len(fitting(test.cmds)); got != test.want {
			t.Errorf("of %d commands %d go first, want %d", len(test.cmds), got, test.want)
		}
	}
}
