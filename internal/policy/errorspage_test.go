package policy

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sheafdb/sheaf"
)

var update = flag.Bool("update", false, "rewrite docs/errors.md and docs/api.md")

// TestErrorsPageIsTheTable keeps docs/errors.md what the code says.
func TestErrorsPageIsTheTable(t *testing.T) {
	page := filepath.Join(moduleRoot(t), "docs", "errors.md")
	want := errorsPage()
	if *update {
		if err := os.WriteFile(page, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/errors.md is not what errortable.go says: run make docs")
	}
}

func errorsPage() []byte {
	var b bytes.Buffer
	b.WriteString(`# Errors

Generated from errortable.go by ` + "`make docs`" + `; do not edit.

Every error has a reason. gRPC carries it in ` + "`google.rpc.ErrorInfo`" + ` (domain
` + "`sheaf`" + `), HTTP in an RFC 9457 problem document, the Go client as
` + "`sheaf.Code`" + `, to be tested with ` + "`errors.Is`" + `. ` + "`sheaf errors REASON`" + ` explains
one on the command line.

The outcome says what is true of the batch:

- *not applied*: it is not, and this request ID with the same conditions never will be;
- *applied before*: an earlier attempt applied it; this is the success that a retry gets, with ` + "`replayed`" + ` set;
- *this call did nothing*: an earlier attempt with the same request ID may have;
- *unknown*: it may be applied, or may yet be. Only a retry with the same request ID tells.

The retry advice is a word that a program can test: ` + "`no`" + `; ` + "`reread`" + ` (read again,
merge, new request ID); ` + "`same-id`" + ` (the identical call, same request ID);
` + "`elsewhere`" + ` (another node, or here later); ` + "`after-space`" + `.

| reason | gRPC | HTTP | outcome | retry | what it means |
|---|---|---|---|---|---|
`)
	for _, row := range sheaf.Table {
		grpc, http := row.GRPC.String(), fmt.Sprint(row.HTTP)
		if row.FollowsCaller {
			if row.HTTP != 504 {
				http += " or 504 \\*"
			}
			if row.GRPC == sheaf.GRPCDeadlineExceeded {
				grpc += " or CANCELLED"
			} else {
				grpc += " \\*"
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", row.Code, grpc, http, row.Outcome, row.Retry, row.Title)
	}
	b.WriteString(`
\* When the caller's own deadline or cancellation is the cause, the status is
DEADLINE_EXCEEDED or CANCELLED on gRPC and 504 on HTTP.

## What to do

`)
	for _, row := range sheaf.Table {
		fmt.Fprintf(&b, "- **%s**: %s\n", row.Code, row.Next)
	}
	return b.Bytes()
}
