package client

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/sheafdb/sheaf"
)

func TestEveryCodeIsInOneRowOfTheMachine(t *testing.T) {
	rows := map[sheaf.Code]int{}
	for _, rule := range machine {
		for _, code := range rule.codes {
			rows[code]++
		}
	}
	if len(rows) != len(sheaf.Table) {
		t.Errorf("the machine has %d codes, the error table %d", len(rows), len(sheaf.Table))
	}
	for _, row := range sheaf.Table {
		if rows[row.Code] != 1 {
			t.Errorf("%s is in %d rows", row.Code, rows[row.Code])
		}
		advised := row.Retry == sheaf.RetrySameID || row.Retry == sheaf.RetryElsewhere
		if rule := ruleOf(row.Code); (rule.then == repeat) != advised || rule.then == reread && row.Retry != sheaf.RetryReread {
			t.Errorf("%s: the error table says %q, which the machine does not do", row.Code, row.Retry)
		}
	}
}

// Each way in which an attempt can end, from the wire up, with what must follow written out.
func TestTheMachineRowByRow(t *testing.T) {
	const told = 3 * time.Second
	type ending struct {
		line writeLine
		// next is the endpoint of the next attempt; -1 is that there is none.
		next int
		// ends is the error of the call when there is no next attempt.
		ends sheaf.Code
		// least and most bound the wait before the next attempt.
		least, most time.Duration
	}
	again := func(line writeLine, next int) ending {
		return ending{line: line, next: next, least: 10 * time.Millisecond, most: 20 * time.Millisecond}
	}
	asTold := func(code sheaf.Code, next int) ending {
		return ending{line: refused(code, retryInfo(told)), next: next, least: told, most: told + 20*time.Millisecond}
	}
	end := func(code sheaf.Code) ending { return ending{line: refused(code), next: -1, ends: code} }
	cases := map[string]ending{
		"connection lost":      again(dropped, 1),
		"no details":           again(bare(codes.Unavailable), 1),
		"no details, internal": again(bare(codes.Internal), 1),
		"silent for too long":  {line: held, next: 1, least: time.Minute + 10*time.Millisecond, most: time.Minute + 20*time.Millisecond},
		"throttled, told":      asTold(sheaf.RateLimited, 0),
		"contention, told":     asTold(sheaf.Contention, 0),
		"draining, told":       asTold(sheaf.Draining, 1),
	}
	for code, next := range map[sheaf.Code]int{
		sheaf.OutcomeUnknown: 1, sheaf.NotProposed: 1, sheaf.NotLeader: 1, sheaf.Draining: 1, sheaf.StaleReplica: 1,
		sheaf.RateLimited: 0, sheaf.Contention: 0,
	} {
		cases[string(code)] = again(refused(code), next)
	}
	for _, row := range rowTests {
		if !row.again {
			cases[string(row.code)] = end(row.code)
		}
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			nodes := []*fakeNode{{putall: []writeLine{test.line, applied(7)}}, {putall: []writeLine{applied(7)}}}
			inBubbleOf(t, nodes, func(t *testing.T, c *Client) {
				begun := time.Now()
				result, err := c.PutAll(t.Context(), someEntries, IfMatch(`"0"`))
				took := time.Since(begun)
				if test.next < 0 {
					if sheaf.CodeOf(err) != test.ends || len(nodes[0].received())+len(nodes[1].received()) != 1 {
						t.Errorf("got %v after %d attempts, want %s after one", err, result.Attempts, test.ends)
					}
					return
				}
				if err != nil || result.Version != 7 || result.ETag != `"e"` || result.Attempts != 2 {
					t.Fatalf("got %+v, %v; want the version and the ETag of the second attempt", result, err)
				}
				if got := len(nodes[1].received()); got != test.next {
					t.Errorf("%d attempts went to the other endpoint, want %d", got, test.next)
				}
				raw := append(nodes[0].received(), nodes[1].received()...)
				if len(raw) != 2 || !bytes.Equal(raw[0], raw[1]) || !bytes.Contains(raw[1], []byte(result.RequestID)) {
					t.Errorf("%x are not two equal requests with the ID %s", raw, result.RequestID)
				}
				if took < test.least || took > test.most {
					t.Errorf("the next attempt was after %v, want %v to %v", took, test.least, test.most)
				}
			}, WithRetry(RetryPolicy{AttemptTimeout: time.Minute}), WithTimeout(time.Hour))
		})
	}
}

func TestAfterAFullDiskTheNextCallGoesElsewhere(t *testing.T) {
	nodes := []*fakeNode{{putall: []writeLine{refused(sheaf.NoSpace)}}, {putall: []writeLine{applied(1)}}}
	inBubbleOf(t, nodes, func(t *testing.T, c *Client) {
		if _, err := c.PutAll(t.Context(), someEntries); sheaf.CodeOf(err) != sheaf.NoSpace {
			t.Errorf("got %v, want NO_SPACE", err)
		}
		if _, err := c.PutAll(t.Context(), someEntries); err != nil || len(nodes[1].raw) != 1 {
			t.Errorf("got %v with %d requests at the other endpoint", err, len(nodes[1].raw))
		}
	})
}

var update = flag.Bool("update", false, "rewrite the table in docs/client.md")

// TestTheDocumentDrawsTheMachine keeps the table of docs/client.md what the code does.
func TestTheDocumentDrawsTheMachine(t *testing.T) {
	const begin, end = "<!-- retries -->\n", "<!-- end of retries -->\n"
	page := filepath.Join("..", "docs", "client.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	drawn, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("docs/client.md has no place for the table")
	}
	want := drawMachine()
	if drawn != want && *update {
		if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if drawn != want {
		t.Error("docs/client.md does not draw steps.go: run make docs")
	}
}

func drawMachine() string {
	var b strings.Builder
	b.WriteString("| an attempt ends | reasons | what follows | the next goes to | a write with an earlier attempt of unknown outcome, if the call ends here |\n|---|---|---|---|---|\n")
	for _, rule := range machine {
		follows := map[move]string{
			done:    "the call succeeds; its ETag and version are kept",
			surface: "the call ends with the error",
			reread:  "the call ends with the error; `OnConflict` reads again, merges, and writes with a new request ID",
			repeat:  "the same bytes with the same request ID",
		}[rule.then]
		var names []string
		for _, code := range rule.codes {
			names = append(names, "`"+string(code)+"`")
		}
		next := "–"
		switch {
		case rule.elsewhere && rule.then == repeat:
			next = "the next endpoint"
		case rule.elsewhere:
			next = "the next call: the next endpoint"
		case rule.then == repeat:
			next = "the same endpoint, when it said"
		}
		truth := map[says]string{
			nothing: "`OUTCOME_UNKNOWN`, which wraps the error", notApplied: "the error: no attempt was applied", mayBeApplied: "the error",
		}[rule.says]
		if rule.then == done {
			truth = "success: this answer is of the batch"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", rule.ends, strings.Join(names, ", "), follows, next, truth)
	}
	return b.String()
}
