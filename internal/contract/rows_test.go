package contract

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
)

// row is the contract's own copy of the error table. That it repeats
// sheaf.Table is its purpose: a changed row is a broken promise until it is
// changed here too.
type row struct {
	grpc    sheaf.GRPCCode
	http    int
	outcome sheaf.Outcome
	retry   sheaf.Retry
}

var rows = map[sheaf.Code]row{
	sheaf.RequestIDRequired:    {sheaf.GRPCInvalidArgument, 400, sheaf.NotApplied, sheaf.RetryNever},
	sheaf.InvalidBatch:         {sheaf.GRPCInvalidArgument, 400, sheaf.NotApplied, sheaf.RetryNever},
	sheaf.BatchTooLarge:        {sheaf.GRPCInvalidArgument, 413, sheaf.NotApplied, sheaf.RetryNever},
	sheaf.ETagRequired:         {sheaf.GRPCInvalidArgument, 428, sheaf.NotApplied, sheaf.RetryNever},
	sheaf.ETagMismatch:         {sheaf.GRPCFailedPrecondition, 412, sheaf.NotApplied, sheaf.RetryReread},
	sheaf.VersionMismatch:      {sheaf.GRPCFailedPrecondition, 412, sheaf.NotApplied, sheaf.RetryReread},
	sheaf.RequestIDReused:      {sheaf.GRPCInvalidArgument, 422, sheaf.CallDidNothing, sheaf.RetryNever},
	sheaf.RequestIDExpired:     {sheaf.GRPCFailedPrecondition, 409, sheaf.Unknown, sheaf.RetryNever},
	sheaf.RateLimited:          {sheaf.GRPCResourceExhausted, 429, sheaf.CallDidNothing, sheaf.RetrySameID},
	sheaf.NoSpace:              {sheaf.GRPCResourceExhausted, 507, sheaf.CallDidNothing, sheaf.RetryAfterSpace},
	sheaf.NotLeader:            {sheaf.GRPCUnavailable, 503, sheaf.CallDidNothing, sheaf.RetrySameID},
	sheaf.Draining:             {sheaf.GRPCUnavailable, 503, sheaf.CallDidNothing, sheaf.RetrySameID},
	sheaf.OutcomeUnknown:       {sheaf.GRPCUnavailable, 503, sheaf.Unknown, sheaf.RetrySameID},
	sheaf.Contention:           {sheaf.GRPCAborted, 409, sheaf.CallDidNothing, sheaf.RetrySameID},
	sheaf.StaleReplica:         {sheaf.GRPCUnavailable, 503, sheaf.CallDidNothing, sheaf.RetryElsewhere},
	sheaf.Compacted:            {sheaf.GRPCOutOfRange, 410, sheaf.CallDidNothing, sheaf.RetryReread},
	sheaf.NotFound:             {sheaf.GRPCNotFound, 404, sheaf.CallDidNothing, sheaf.RetryNever},
	sheaf.MethodNotAllowed:     {sheaf.GRPCUnimplemented, 405, sheaf.CallDidNothing, sheaf.RetryNever},
	sheaf.UnsupportedMediaType: {sheaf.GRPCInvalidArgument, 415, sheaf.NotApplied, sheaf.RetryNever},
	sheaf.NotProposed:          {sheaf.GRPCDeadlineExceeded, 504, sheaf.CallDidNothing, sheaf.RetrySameID},
	sheaf.Internal:             {sheaf.GRPCInternal, 500, sheaf.Unknown, sheaf.RetryNever},
	sheaf.Unauthenticated:      {sheaf.GRPCUnauthenticated, 401, sheaf.CallDidNothing, sheaf.RetryNever},
	sheaf.PermissionDenied:     {sheaf.GRPCPermissionDenied, 403, sheaf.CallDidNothing, sheaf.RetryNever},
	sheaf.Corruption:           {sheaf.GRPCDataLoss, 500, sheaf.Unknown, sheaf.RetryNever},
}

// named are the codes that name the wait before the next attempt.
var named = []sheaf.Code{sheaf.RateLimited, sheaf.Draining, sheaf.Contention}

func TestTheErrorTableIsTheContract(t *testing.T) {
	table := make(map[sheaf.Code]row)
	for _, r := range sheaf.Table {
		table[r.Code] = row{r.GRPC, r.HTTP, r.Outcome, r.Retry}
	}
	if diff := cmp.Diff(rows, table, cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("sheaf.Table (-contract +table):\n%s", diff)
	}
}

// produced are the rows that real requests were refused with, by face.
var produced = struct {
	sync.Mutex
	codes map[string]map[sheaf.Code]bool
}{codes: map[string]map[sheaf.Code]bool{"grpc": {}, "http": {}}}

func note(face string, code sheaf.Code) {
	produced.Lock()
	defer produced.Unlock()
	produced.codes[face][code] = true
}

const (
	later   = "belongs to a later feature"
	cluster = "needs more than one node"
	defect  = "no request should be able to"
)

// unproduced says why no request of this suite gets a row, by face.
var unproduced = map[string]map[sheaf.Code]string{
	"http": {
		sheaf.NotLeader: cluster, sheaf.Contention: cluster,
		sheaf.Unauthenticated: later, sheaf.PermissionDenied: later, sheaf.Internal: defect,
	},
	"grpc": {
		sheaf.NotLeader: cluster, sheaf.Contention: cluster,
		sheaf.Unauthenticated: later, sheaf.PermissionDenied: later, sheaf.Internal: defect,
		sheaf.NotFound:             "a read of a missing key answers found=false; there are no paths",
		sheaf.MethodNotAllowed:     "there are no HTTP methods",
		sheaf.UnsupportedMediaType: "there is one media type",
		sheaf.NotProposed:          "grpc-go closes the stream at the caller's deadline: the caller's own library answers",
	},
}

// TestMain runs the suite and then asks whether it has met every row of the table:
// a row that no request produces is a promise that nobody has tried.
func TestMain(m *testing.M) {
	flag.Parse()
	if groups() > 1 {
		for _, excused := range unproduced {
			excused[sheaf.StaleReplica] = "the version may be another group's"
			excused[sheaf.Corruption] = "the test of it is for one group"
		}
	}
	code := m.Run()
	stopShared()
	whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" &&
		flag.Lookup("test.list").Value.String() == ""
	if whole && !everyRowMet() {
		code = 1
	}
	os.Exit(code)
}

func everyRowMet() bool {
	met := true
	for face, codes := range produced.codes {
		for _, code := range slices.Sorted(maps.Keys(rows)) {
			switch reason, excused := unproduced[face][code]; {
			case codes[code] && excused:
				fmt.Printf("%s: %s was produced, although it is excused: %s\n", face, code, reason)
				met = false
			case !codes[code] && !excused:
				fmt.Printf("%s: no request was refused with %s\n", face, code)
				met = false
			}
		}
	}
	return met
}
