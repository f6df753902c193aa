package client

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sheafdb/sheaf"
)

func TestErrorCarriesAllThatTheServerTold(t *testing.T) {
	keys := [][]byte{[]byte("plain"), {0, 0xff, '"', '\n'}, []byte("grüße")}
	failure := &errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{Subject: "etag"}}}
	for _, key := range keys {
		failure.Violations = append(failure.Violations, &errdetails.PreconditionFailure_Violation{Subject: strconv.Quote(string(key))})
	}
	st, err := status.New(codes.FailedPrecondition, "the keys changed").WithDetails(
		&errdetails.ErrorInfo{Reason: "ETAG_MISMATCH", Domain: "sheaf", Metadata: map[string]string{"current_etag": `"cafe"`}},
		retryInfo(3*time.Second),
		failure,
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "entries[3].key", Description: "is empty"}}},
	)
	if err != nil {
		t.Fatal(err)
	}
	got := (&call{op: "putall", id: "x"}).understand(st.Err(), true)
	want := &sheaf.Error{
		Code: sheaf.ETagMismatch, Op: "putall", Detail: "the keys changed", CurrentETag: `"cafe"`,
		RetryAfter: 3 * time.Second, Keys: keys,
		Fields: []sheaf.FieldViolation{{Field: "entries[3].key", Problem: "is empty"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !errors.Is(got, sheaf.ETagMismatch) {
		t.Errorf("%v is not ETAG_MISMATCH", got)
	}
}

func TestStatusWithoutDetailsTellsOfTheConnectionOnly(t *testing.T) {
	for _, test := range []struct {
		code              codes.Code
		write, sent, read sheaf.Code
	}{
		{codes.Unavailable, sheaf.NotProposed, sheaf.OutcomeUnknown, sheaf.NotProposed},
		{codes.Internal, sheaf.NotProposed, sheaf.OutcomeUnknown, sheaf.NotProposed},
		{codes.Unknown, sheaf.NotProposed, sheaf.OutcomeUnknown, sheaf.NotProposed},
		{codes.Canceled, sheaf.NotProposed, sheaf.OutcomeUnknown, sheaf.NotProposed},
		{codes.ResourceExhausted, sheaf.NotProposed, sheaf.OutcomeUnknown, sheaf.BatchTooLarge},
		{codes.Unimplemented, sheaf.MethodNotAllowed, sheaf.MethodNotAllowed, sheaf.MethodNotAllowed},
		{codes.Unauthenticated, sheaf.Unauthenticated, sheaf.Unauthenticated, sheaf.Unauthenticated},
		{codes.PermissionDenied, sheaf.PermissionDenied, sheaf.PermissionDenied, sheaf.PermissionDenied},
	} {
		err := status.Error(test.code, "bare")
		write, read := &call{op: "putall", id: "x"}, &call{op: "getall"}
		got := []sheaf.Code{write.understand(err, false).Code, write.understand(err, true).Code, read.understand(err, true).Code}
		if diff := cmp.Diff([]sheaf.Code{test.write, test.sent, test.read}, got); diff != "" {
			t.Errorf("%v: %s", test.code, diff)
		}
	}
}

// TestAnotherServerIsNamed: a gRPC server that is no node of Sheaf's.
func TestAnotherServerIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stranger := grpc.NewServer()
	ended := make(chan error, 1)
	go func() { ended <- stranger.Serve(l) }()
	c, err := New(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, write := c.Put(t.Context(), []byte("k"), []byte("v"))
	_, read := c.Get(t.Context(), []byte("k"))
	for _, err := range []error{write, read} {
		want := "the server at " + l.Addr().String() + " does not know this call of Sheaf's service"
		if e := sheaf.AsError(err); e == nil || e.Code != sheaf.MethodNotAllowed || !strings.HasPrefix(e.Detail, want) {
			t.Errorf("%v; want METHOD_NOT_ALLOWED: %s", err, want)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	stranger.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestReasonOfAnotherDomainIsNotOurs(t *testing.T) {
	st, err := status.New(codes.Unavailable, "proxy").WithDetails(&errdetails.ErrorInfo{Reason: "NOT_APPLIED", Domain: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	got := (&call{op: "putall", id: "x"}).understand(st.Err(), true)
	want := &sheaf.Error{Code: sheaf.OutcomeUnknown, Op: "putall", Detail: "no answer came"}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(sheaf.Error{}, "Err")); diff != "" {
		t.Error(diff)
	}
}

func TestReasonOfANewerServerIsUnknownAndNotRetried(t *testing.T) {
	code := sheaf.Code("FROM_THE_FUTURE")
	if sendAgain(code) || certain.after(code).to != unsure {
		t.Error("a code without a row must count as unknown and not be sent again")
	}
}
