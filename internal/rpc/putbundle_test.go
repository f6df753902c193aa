package rpc

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/wire"
)

// TestOutcomesAreEncodedAsProtobufHasThem, and with one allocation for all that were applied.
func TestOutcomesAreEncodedAsProtobufHasThem(t *testing.T) {
	answer := coordinator.BundleAnswer{Replayed: true}
	want := &sheafv1.PutBundleResponse{Replayed: true}
	for i := range 300 {
		o := coordinator.EntryOutcome{Version: 1 << (i % 64)}
		o.ETag.AddKey(fmt.Append(nil, i), o.Version)
		answer.Outcomes = append(answer.Outcomes, o)
		want.Outcomes = append(want.Outcomes, &sheafv1.Outcome{Version: o.Version, Etag: string(o.ETag.ETag())})
	}
	check := func() {
		t.Helper()
		got := encodeOutcomes(&answer)
		var read sheafv1.PutBundleResponse
		if err := proto.Unmarshal(got, &read); err != nil || !proto.Equal(&read, want) {
			t.Errorf("%v %v, want %v", err, &read, want)
		}
	}
	check()
	allocs := testing.AllocsPerRun(100, func() { _ = encodeOutcomes(&answer) })
	if allocs > 1 && !raceDetector {
		t.Errorf("%v allocations", allocs)
	}

	refused := &sheaf.Error{Code: sheaf.VersionMismatch, Keys: [][]byte{[]byte("k")}}
	answer.Outcomes = []coordinator.EntryOutcome{{Refused: refused}, {Version: 5, ETag: wire.ETagSum{}}, {Refused: refused}}
	got := encodeOutcomes(&answer)
	var read sheafv1.PutBundleResponse
	if err := proto.Unmarshal(got, &read); err != nil || len(read.Outcomes) != 3 || len(read.Outcomes[0].Status) == 0 ||
		string(read.Outcomes[0].Status) != string(read.Outcomes[2].Status) || read.Outcomes[0].Version != 0 || read.Outcomes[1].Version != 5 || len(read.Outcomes[1].Etag) != 34 {
		t.Errorf("%v %v", err, &read)
	}
}
