package cli

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sheafdb/sheaf"
)

// The exit codes. Scripts test them: a number never changes its meaning.
const (
	exitDone         = 0
	exitUsage        = 1
	exitNotApplied   = 2
	exitUnknown      = 3
	exitPrecondition = 4
	exitNotFound     = 5
	exitUnreachable  = 6
	exitDamaged      = 7
	exitInterrupted  = 130
)

const exitCodesHelp = `Exit codes:
    0  done
    1  usage: the command, its flags, a local file or the configuration is wrong
    2  not applied: the call was refused, or did nothing
    3  outcome unknown: the same call with the same --request-id settles it; or a wait
       whose time was over
    4  precondition failed: the keys have changed (HTTP 412)
    5  not found
    6  the server cannot be reached
    7  the server or its data is damaged
  130  interrupted by a signal`

// exitError is an error of the command line that has an exit code of its own.
type exitError struct {
	code int
	next string
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// exitCode maps any error of a command to its exit code. What has no row in the
// error table never reached a node, so it is something to correct here.
func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	var own *exitError
	if errors.As(err, &own) {
		return own.code
	}
	if unreachable(err) {
		return exitUnreachable
	}
	var remote *sheaf.Error
	if errors.As(err, &remote) {
		row, _ := remote.Code.Row()
		if errors.Is(err, context.Canceled) && row.Outcome != sheaf.Unknown {
			return exitInterrupted
		}
		return exitOfRow(row)
	}
	return exitUsage
}

// unreachable reports whether a call ended without ever having had a connection:
// gRPC's own UNAVAILABLE, which no Sheaf node sends with this code.
func unreachable(err error) bool {
	return sheaf.CodeOf(err) == sheaf.NotProposed && status.Code(cause(err)) == codes.Unavailable
}

// cause is what the outermost sheaf.Error wraps; gRPC finds its status in there.
func cause(err error) error {
	var remote *sheaf.Error
	if errors.As(err, &remote) && remote.Err != nil {
		return remote.Err
	}
	return err
}

// exitOfRow maps a row of the error table.
func exitOfRow(row sheaf.Row) int {
	switch {
	case row.Code == sheaf.Internal || row.Code == sheaf.Corruption:
		return exitDamaged
	case row.Code == sheaf.NotFound:
		return exitNotFound
	case row.HTTP == 412:
		return exitPrecondition
	case row.Outcome == sheaf.Unknown:
		return exitUnknown
	}
	return exitNotApplied
}
