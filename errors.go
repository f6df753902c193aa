package sheaf

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code names a row of the error table. It is the reason that travels in gRPC's
// ErrorInfo and in HTTP's problem documents. A Code is itself an error, so that
// errors.Is(err, sheaf.ETagMismatch) works on anything a client returns.
type Code string

// Error is the code's name.
func (c Code) Error() string { return string(c) }

// Error is what every call of Sheaf that fails returns.
type Error struct {
	// Code is the row of the error table.
	Code Code
	// Op is what was being done, for example "putall".
	Op string
	// Detail says what is wrong in this case, and what to do about it.
	Detail string
	// Fields are the parts of the request that are wrong, when it is malformed.
	Fields []FieldViolation
	// Keys are the keys that a condition failed on, at most [MaxErrorKeys].
	Keys [][]byte
	// CurrentETag is the ETag that the batch's keys have, when a condition failed.
	CurrentETag ETag
	// Token is where a watch may begin whose own token is older than what is kept.
	Token string
	// RetryAfter is how long to wait before the same call may succeed.
	RetryAfter time.Duration
	// Err is the cause, if there is one: often context.DeadlineExceeded.
	Err error
}

// MaxErrorKeys bounds how many keys a failed condition names.
const MaxErrorKeys = 20

// FieldViolation is one malformed part of a request.
type FieldViolation struct {
	// Field is a path such as "entries[3].key".
	Field string
	// Problem says what is wrong with it.
	Problem string
}

// Errorf returns an Error of a code with a detail.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Invalid returns an INVALID_BATCH error that names the malformed field.
func Invalid(field, format string, args ...any) *Error {
	problem := fmt.Sprintf(format, args...)
	return &Error{
		Code:   InvalidBatch,
		Detail: field + ": " + problem,
		Fields: []FieldViolation{{Field: field, Problem: problem}},
	}
}

// Error reads "op: CODE: detail: cause".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(e.Op + ": ")
	}
	b.WriteString(string(e.Code))
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	} else if row, ok := e.Code.Row(); ok {
		b.WriteString(": " + row.Title)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is this error's code.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}

// CodeOf returns the code of the first Error or Code in err's chain, and
// INTERNAL for any other error.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	var c Code
	if errors.As(err, &c) {
		return c
	}
	return Internal
}

// AsError returns the first Error in err's chain; any other error becomes an
// INTERNAL one that wraps it. It returns nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: CodeOf(err), Err: err}
}

// GRPC is the gRPC status code of e. It differs from the row's only for a
// caller who gave up: its own deadline or cancellation is then told back to it.
func (e *Error) GRPC() GRPCCode {
	if row, ok := e.Code.Row(); ok && row.FollowsCaller {
		switch {
		case errors.Is(e.Err, context.DeadlineExceeded):
			return GRPCDeadlineExceeded
		case errors.Is(e.Err, context.Canceled):
			return GRPCCancelled
		}
	}
	row, _ := e.Code.Row()
	return row.GRPC
}

// HTTP is the HTTP status of e, with the same exception as [Error.GRPC].
func (e *Error) HTTP() int {
	row, _ := e.Code.Row()
	if row.FollowsCaller && (errors.Is(e.Err, context.DeadlineExceeded) || errors.Is(e.Err, context.Canceled)) {
		return 504
	}
	return row.HTTP
}
