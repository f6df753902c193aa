package rpc

import (
	"context"
	"errors"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sheafdb/sheaf"
)

// errorDomain is the domain of every ErrorInfo of Sheaf.
const errorDomain = "sheaf"

// statusOf is the gRPC status of an error, with all that the table says about it
// as details: ErrorInfo always, the others where they apply.
func statusOf(err error) error {
	e := sheaf.AsError(err)
	if e == nil {
		return nil
	}
	row, _ := e.Code.Row()
	metadata := map[string]string{"outcome": string(row.Outcome), "retry": string(row.Retry)}
	if e.CurrentETag != "" {
		metadata["current_etag"] = string(e.CurrentETag)
	}
	if e.Token != "" {
		metadata["token"] = e.Token
	}
	details := []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: string(row.Code), Domain: errorDomain, Metadata: metadata},
	}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	if len(e.Fields) > 0 {
		bad := &errdetails.BadRequest{}
		for _, f := range e.Fields {
			bad.FieldViolations = append(bad.FieldViolations,
				&errdetails.BadRequest_FieldViolation{Field: f.Field, Description: f.Problem})
		}
		details = append(details, bad)
	}
	if e.Code == sheaf.ETagMismatch || e.Code == sheaf.VersionMismatch {
		failed := &errdetails.PreconditionFailure{}
		for _, key := range e.Keys {
			failed.Violations = append(failed.Violations, &errdetails.PreconditionFailure_Violation{
				Type: string(e.Code), Subject: strconv.Quote(string(key)), Description: row.Title,
			})
		}
		if len(failed.Violations) == 0 {
			failed.Violations = append(failed.Violations, &errdetails.PreconditionFailure_Violation{
				Type: string(e.Code), Subject: "etag", Description: row.Title,
			})
		}
		details = append(details, failed)
	}
	message := e.Detail
	if message == "" {
		message = row.Title
	}
	st := status.New(codes.Code(e.GRPC()), message)
	if detailed, err := st.WithDetails(details...); err == nil {
		st = detailed
	}
	return st.Err()
}

// statusBytes is the encoded status of an error: what one batch of a stream or bundle is answered with.
func statusBytes(err error) []byte {
	encoded, failed := proto.Marshal(status.Convert(statusOf(err)).Proto())
	if failed != nil { // a text of ours that is not UTF-8
		encoded, _ = proto.Marshal(status.New(codes.Internal, "the refusal could not be encoded").Proto())
	}
	return encoded
}

// receiveError is the *sheaf.Error for a request that could not be received.
// grpc-go has its own codes for these; the table's are the ones we answer.
func receiveError(err error, limit int) error {
	if errors.Is(err, errSlow) {
		return sheaf.AsError(errSlow)
	}
	switch status.Code(err) {
	case codes.ResourceExhausted:
		return sheaf.Errorf(sheaf.BatchTooLarge, "the request is larger than %d bytes (limits.batch_bytes): split the batch", limit)
	case codes.Canceled:
		return &sheaf.Error{Code: sheaf.NotProposed, Err: context.Canceled}
	case codes.DeadlineExceeded:
		return &sheaf.Error{Code: sheaf.NotProposed, Err: context.DeadlineExceeded}
	}
	if errors.Is(err, context.Canceled) {
		return &sheaf.Error{Code: sheaf.NotProposed, Err: context.Canceled}
	}
	return sheaf.Invalid("request", "could not be read: %s", status.Convert(err).Message())
}
