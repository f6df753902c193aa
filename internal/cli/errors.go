package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/config"
)

// errorRow is a row of the error table with the exit code it leads to.
type errorRow struct {
	Reason  sheaf.Code    `json:"reason"`
	Title   string        `json:"title"`
	Outcome sheaf.Outcome `json:"outcome"`
	Retry   sheaf.Retry   `json:"retry"`
	Next    string        `json:"next"`
	GRPC    string        `json:"grpc"`
	HTTP    int           `json:"http"`
	Exit    int           `json:"exit"`
}

func errorRowOf(row sheaf.Row) errorRow {
	return errorRow{
		Reason: row.Code, Title: row.Title, Outcome: row.Outcome, Retry: row.Retry, Next: row.Next,
		GRPC: row.GRPC.String(), HTTP: row.HTTP, Exit: exitOfRow(row),
	}
}

func (a *app) errorsCommand() *cobra.Command {
	var reasons []string
	for _, row := range sheaf.Table {
		reasons = append(reasons, string(row.Code))
	}
	return &cobra.Command{
		Use:   "errors [REASON]",
		Short: "explain the errors a node answers with",
		Long: `Without an argument, the table of every error: what it is, what is true of the
batch, and the exit code of this program. With a REASON, what to do about it.`,
		Example:   "  sheaf errors\n  sheaf errors ETAG_MISMATCH",
		GroupID:   groupLook,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: reasons,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.printErrorTable()
			}
			reason := strings.ToUpper(strings.ReplaceAll(args[0], "-", "_"))
			row, ok := sheaf.Code(reason).Row()
			if !ok {
				problem := fmt.Errorf("there is no error %s", args[0])
				next := `"sheaf errors" lists them all`
				if near, found := config.Nearest(reason, reasons); found {
					next = fmt.Sprintf("did you mean %s? %s", near, next)
				}
				return &exitError{code: exitUsage, next: next, err: problem}
			}
			return a.printErrorRow(errorRowOf(row))
		},
	}
}

func (a *app) printErrorTable() error {
	w := columns(a.stdout)
	if a.output == table {
		fmt.Fprintln(w, "REASON\tHTTP\tEXIT\tOUTCOME\tRETRY\tMEANING")
	}
	for _, row := range sheaf.Table {
		r := errorRowOf(row)
		if a.output == jsonForm {
			if err := a.printJSON(r); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\n", r.Reason, r.HTTP, r.Exit, r.Outcome, r.Retry, r.Title)
	}
	return w.Flush()
}

func (a *app) printErrorRow(r errorRow) error {
	if a.output == jsonForm {
		return a.printJSON(r)
	}
	fmt.Fprintf(a.stdout, "%s: %s\n", a.paint(a.stdout).bold(string(r.Reason)), r.Title)
	w := columns(a.stdout)
	fmt.Fprintf(w, "next\t%s\noutcome\t%s\nretry\t%s\n", r.Next, r.Outcome, r.Retry)
	fmt.Fprintf(w, "status\tgRPC %s, HTTP %d, exit code %d\n", r.GRPC, r.HTTP, r.Exit)
	return w.Flush()
}
