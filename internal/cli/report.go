package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf"
)

// failure is an error as a person or a program reads it. The JSON names are
// those of the HTTP face's problem documents.
type failure struct {
	Command string      `json:"command"`
	Reason  sheaf.Code  `json:"reason,omitempty"`
	Outcome string      `json:"outcome,omitempty"`
	Retry   sheaf.Retry `json:"retry,omitempty"`
	Detail  string      `json:"detail"`
	Keys    []string    `json:"keys,omitempty"`
	ETag    sheaf.ETag  `json:"etag,omitempty"`
	Next    string      `json:"next"`
	Exit    int         `json:"exit"`
}

// report writes err to standard error and returns the exit code.
func (a *app) report(command *cobra.Command, err error) int {
	f := describe(command, err)
	if a.output == jsonForm {
		line, _ := json.Marshal(f)
		fmt.Fprintf(a.stderr, "%s\n", line)
		return f.Exit
	}
	paint := a.paint(a.stderr)
	what := strings.TrimSpace("sheaf: " + f.Command)
	detail := f.Detail
	if f.Reason != "" {
		detail = string(f.Reason) + ": " + detail
	}
	fmt.Fprintf(a.stderr, "%s %s\n", paint.bad(strings.TrimSuffix(what, ":")+":"), detail)
	if len(f.Keys) > 0 {
		fmt.Fprintf(a.stderr, "keys: %s\n", strings.Join(f.Keys, " "))
	}
	if f.ETag != "" {
		fmt.Fprintf(a.stderr, "etag: %s\n", f.ETag)
	}
	fmt.Fprintf(a.stderr, "%s %s\n", paint.dim("next:"), f.Next)
	return f.Exit
}

func describe(command *cobra.Command, err error) failure {
	path := command.CommandPath()
	f := failure{
		Command: strings.TrimPrefix(strings.TrimPrefix(path, "sheaf"), " "),
		Detail:  strings.TrimSpace(err.Error()),
		Next:    fmt.Sprintf(`"%s --help" shows how it is used`, path),
		Exit:    exitCode(err),
	}
	var remote *sheaf.Error
	if errors.As(err, &remote) {
		f.remote(remote, err)
	}
	if ctx := command.Context(); ctx != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		f.interrupted()
	}
	if f.Exit == exitUnreachable {
		f.Reason, f.Outcome, f.Retry = "", string(sheaf.CallDidNothing), sheaf.RetrySameID
		f.Next = `start a node with "sheaf serve", or check --addr (SHEAF_ADDR) and the --tls flags`
	}
	var own *exitError
	if errors.As(err, &own) && own.next != "" {
		f.Next = own.next
	}
	return f
}

// interrupted says that a signal ended the command, not its time. What is true of a batch stays.
func (f *failure) interrupted() {
	if !strings.HasPrefix(f.Detail, "interrupted") {
		f.Detail = "interrupted: " + f.Detail
	}
	if f.Exit == exitInterrupted {
		f.Reason, f.Next = "", "run it again"
	}
}

// remote takes over what the error table says of a node's answer. What the
// command wrapped around it stays in front.
func (f *failure) remote(e *sheaf.Error, whole error) {
	row, _ := e.Code.Row()
	f.Reason, f.Outcome, f.Retry, f.Next = e.Code, string(row.Outcome), row.Retry, row.Next
	f.ETag = e.CurrentETag
	for _, key := range e.Keys {
		f.Keys = append(f.Keys, readable(key))
	}
	detail := e.Detail
	if detail == "" {
		detail = row.Title
	}
	if e.Err != nil {
		detail += ": " + e.Err.Error()
	}
	around, _ := strings.CutSuffix(whole.Error(), e.Error())
	f.Detail = around + detail
}
