package client

import (
	"errors"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sheafdb/sheaf"
)

// errorDomain is the domain of the ErrorInfo that a Sheaf server attaches. A
// status without it did not come from one, or not from its handlers.
const errorDomain = "sheaf"

// understand turns what gRPC returned for an attempt into a row of the table.
func (call *call) understand(err error, sent bool) *sheaf.Error {
	if e, ok := errors.AsType[*sheaf.Error](err); ok { // found out here
		e.Op = call.op
		return e
	}
	st := status.Convert(err)
	if e := fromDetails(st); e != nil {
		e.Op = call.op
		return e
	}
	e := &sheaf.Error{Code: call.bareCode(st.Code(), sent), Op: call.op, Err: err}
	switch {
	case e.Code == sheaf.MethodNotAllowed:
		e.Detail = "the server" + call.where() + " does not know this call of Sheaf's service: the address is that of another server, or of a node of another version"
	case !sent:
		e.Detail = "the request could not be sent"
	case sendAgain(e.Code):
		e.Detail = "no answer came"
	}
	return e
}

// where names the node of the last attempt.
func (call *call) where() string {
	if call.node == nil {
		return ""
	}
	return " at " + call.node.addr
}

// bareCode gives a status without details a row. It comes from gRPC itself or
// from a proxy, so it tells of the connection and not of the batch.
func (call *call) bareCode(code codes.Code, sent bool) sheaf.Code {
	switch {
	// A proxy that refuses answers 401, 403 or 404, which gRPC maps to these.
	case code == codes.Unauthenticated:
		return sheaf.Unauthenticated
	case code == codes.PermissionDenied:
		return sheaf.PermissionDenied
	case code == codes.Unimplemented:
		return sheaf.MethodNotAllowed
	// The answer is larger than maxAnswerBytes. It cannot be the request of a
	// write: encode bounds that below gRPC's own limit.
	case code == codes.ResourceExhausted && call.id == "":
		return sheaf.BatchTooLarge
	case !sent || call.id == "":
		return sheaf.NotProposed
	}
	return sheaf.OutcomeUnknown
}

// fromDetails builds the error that a Sheaf server described, or returns nil.
func fromDetails(st *status.Status) *sheaf.Error {
	e := &sheaf.Error{Detail: st.Message()}
	told := false
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == errorDomain && d.GetReason() != "" {
				told = true
				e.Code = sheaf.Code(d.GetReason())
				e.CurrentETag = sheaf.ETag(d.GetMetadata()["current_etag"])
				e.Token = d.GetMetadata()["token"]
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = max(d.GetRetryDelay().AsDuration(), 0)
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.Fields = append(e.Fields, sheaf.FieldViolation{Field: v.GetField(), Problem: v.GetDescription()})
			}
		case *errdetails.PreconditionFailure:
			for _, v := range d.GetViolations() {
				// A key travels as a Go string literal, because a subject must
				// be UTF-8. A subject that is no literal is no key: it names
				// the condition as a whole.
				if key, err := strconv.Unquote(v.GetSubject()); err == nil && len(e.Keys) < sheaf.MaxErrorKeys {
					e.Keys = append(e.Keys, []byte(key))
				}
			}
		}
	}
	if !told {
		return nil
	}
	return e
}
