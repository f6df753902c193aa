package contract

import (
	"slices"
	"strconv"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sheafdb/sheaf"
)

// grpcRefusal reads a status and holds it against its row of the table. Every
// refusal has an ErrorInfo; a BadRequest and a PreconditionFailure stand where the
// table says and nowhere else.
func grpcRefusal(t testing.TB, err error) *refusal {
	t.Helper()
	st := status.Convert(err)
	var got refusal
	var info *errdetails.ErrorInfo
	var bad *errdetails.BadRequest
	var failed *errdetails.PreconditionFailure
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.RetryInfo:
			got.retryAfter = d.RetryDelay.AsDuration()
		case *errdetails.BadRequest:
			bad = d
		case *errdetails.PreconditionFailure:
			failed = d
		default:
			t.Errorf("the status has a detail that the contract does not know: %T", detail)
		}
	}
	if info == nil {
		t.Fatalf("the status has no ErrorInfo: %s: %s", st.Code(), st.Message())
	}
	got.token = info.Metadata["token"]
	got.code, got.detail, got.currentETag = sheaf.Code(info.Reason), st.Message(), info.Metadata["current_etag"]
	note("grpc", got.code)
	for _, v := range bad.GetFieldViolations() {
		got.fields = append(got.fields, v.Field)
		if v.Description == "" {
			t.Errorf("%s: the field %s is not told what is wrong with it", got.code, v.Field)
		}
	}
	for _, v := range failed.GetViolations() {
		if v.Type != info.Reason || v.Description == "" {
			t.Errorf("%s: a violation has type %q and description %q", got.code, v.Type, v.Description)
		}
		if key, err := strconv.Unquote(v.Subject); err == nil {
			got.keys = append(got.keys, key)
		}
	}

	want, known := rows[got.code]
	if !known {
		t.Fatalf("reason %q is not in the table", info.Reason)
	}
	if st.Code() != codes.Code(want.grpc) {
		t.Errorf("%s: the code is %s, not %s", got.code, st.Code(), want.grpc)
	}
	if info.Domain != "sheaf" || info.Metadata["outcome"] != string(want.outcome) || info.Metadata["retry"] != string(want.retry) {
		t.Errorf("%s: ErrorInfo is %v: it must have domain sheaf, outcome %q and retry %q", got.code, info, want.outcome, want.retry)
	}
	if (len(got.fields) > 0) != (got.code == sheaf.InvalidBatch) {
		t.Errorf("%s: BadRequest names %q: %s", got.code, got.fields, got.detail)
	}
	mismatch := got.code == sheaf.ETagMismatch || got.code == sheaf.VersionMismatch
	if (len(failed.GetViolations()) > 0) != mismatch {
		t.Errorf("%s: PreconditionFailure is %v", got.code, failed)
	}
	checkRefusal(t, &got)
	return &got
}

// checkRefusal holds what both faces say against what every refusal must say.
func checkRefusal(t testing.TB, got *refusal) {
	t.Helper()
	want := rows[got.code]
	if got.detail == "" {
		t.Errorf("%s: says nothing of this case", got.code)
	}
	if slices.Contains(named, got.code) && got.retryAfter <= 0 {
		t.Errorf("%s: does not say how long to wait", got.code)
	}
	if got.retryAfter > 0 && (want.retry == sheaf.RetryNever || want.retry == sheaf.RetryReread) {
		t.Errorf("%s: asks to wait %s, but the same call must not be sent again", got.code, got.retryAfter)
	}
	if len(got.keys) > sheaf.MaxErrorKeys {
		t.Errorf("%s: names %d keys", got.code, len(got.keys))
	}
}
