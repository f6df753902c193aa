package judge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/check/history"
)

// A story is a history as a person writes it: one operation a line, times in milliseconds.
//
//	batches                             the workload
//	1 0-10 put x=a y=- -> 5             client 1 writes x, deletes y: version 5
//	2 0-? put x=b                       no return
//	2 0-20 put x=b -> unknown
//	2 0-20 put x=b -> refused           its condition did not hold
//	2 0-20 put x=b -> nothing           this call did nothing
//	3 30-40 get x=a@5 y=-               what a read found
//	3 50-60 last x=a@5                  a read in the end
//
// Before the arrow may stand: "if x=a" (the condition), "after 7", "id q" (of the batch), "seq"
// or "ev" (the level), "at n2" (the endpoint), "final" (the last batch of the trial). After it:
// "replayed", "accepted", or a code.
// What followers see has one time:
//
//	watch 3 ask                         "ask on" goes on behind a token
//	watch 5 began
//	watch 15 event @5 x=a y=-           a batch with version 5; "expired" may stand behind
//	sync 5 restart                      then "items x=a@5 y=b@6" and "complete"
//	watch 20 over compacted
//
// "pulse n1 500 700" is a sign of life of n1 at 500 ms, up for 700 ms. A story whose last line
// is "cut" has no end.
func tell(t *testing.T, story string, more ...func(*history.Run)) *bytes.Buffer {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(story), "\n")
	workload := strings.TrimSpace(lines[0])
	var b bytes.Buffer
	write := func(e history.Event) {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	run := history.Run{Format: history.Format, Endpoints: []string{"n1", "n2"}, Workloads: []string{workload}, Level: "linearizable"}
	for _, change := range more {
		change(&run)
	}
	write(history.Event{Run: &run})
	trial := workload + "/1"
	write(history.Event{Open: &history.Open{Trial: trial, Workload: workload}})
	whole := true
	for i, line := range lines[1:] {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if line == "cut" {
			whole = false
			continue
		}
		var p history.Pulse
		var at int64
		if n, _ := fmt.Sscanf(line, "pulse %s %d %d", &p.Node, &at, &p.UptimeMS); n == 3 {
			p.SentNS = (at - 1) * 1e6
			write(history.Event{AtNS: at * 1e6, Pulse: &p})
			continue
		}
		if seen, at := parseSeen(t, line); seen != nil {
			seen.Trial = trial
			write(history.Event{AtNS: at, Seen: seen})
			continue
		}
		call, ret, from, to := parseLine(t, line, i)
		call.Trial = trial
		write(history.Event{AtNS: from, Op: uint64(i + 1), Call: call})
		if ret != nil {
			ret.SentNS = from
			write(history.Event{AtNS: to, Op: uint64(i + 1), Return: ret})
		}
	}
	if whole {
		write(history.Event{Close: &history.Close{Trial: trial}})
		write(history.Event{End: &history.End{}})
	}
	return &b
}

// parseLine reads one operation. Its return is nil when there is none.
func parseLine(t *testing.T, line string, number int) (call *history.Call, ret *history.Return, fromNS, toNS int64) {
	t.Helper()
	bad := func(why string) { t.Helper(); t.Fatalf("story line %q: %s", line, why) }
	left, right, answered := strings.Cut(line, " -> ")
	words := strings.Fields(left)
	client, err := strconv.Atoi(words[0])
	if err != nil {
		bad("no client")
	}
	from, to, _ := strings.Cut(words[1], "-")
	fromNS = ms(t, from)
	call = &history.Call{Client: client, Process: client, Node: "n1", Level: "linearizable", Final: words[2] == "last"}
	write := words[2] == "put"
	if write {
		call.RequestID = fmt.Sprintf("id-%d", number)
	}
	ret = &history.Return{Outcome: history.OK, Attempts: 1}
	for i := 3; i < len(words); i++ {
		switch word := words[i]; word {
		case "seq":
			call.Level = "sequential"
		case "ev":
			call.Level = "eventual"
		case "final":
			call.Final = true
		case "at", "id", "after", "if":
			i++
			option(t, call, word, words[i])
		default:
			item(t, call, ret, write, word)
		}
	}
	sortExpect(call)
	if to == "?" {
		return call, nil, fromNS, 0
	}
	if answered {
		answer(t, ret, right)
	}
	return call, ret, fromNS, ms(t, to)
}

// parseSeen reads a line of a follower, or returns nil.
func parseSeen(t *testing.T, line string) (seen *history.Seen, atNS int64) {
	t.Helper()
	words := strings.Fields(line)
	if words[0] != history.Watch && words[0] != history.Sync {
		return nil, 0
	}
	number := map[string]int{history.Watch: 1, history.Sync: 2}[words[0]]
	seen = &history.Seen{Follower: number, Kind: words[0], Node: "n1", Step: history.Step(words[2])}
	for _, word := range words[3:] {
		version, isVersion := strings.CutPrefix(word, "@")
		switch {
		case isVersion:
			n, err := strconv.ParseUint(version, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			seen.Version = n
		case word == "on":
			seen.Token = "t"
		case word == "expired":
			seen.Expired = true
		case word == "compacted":
			seen.Code = sheaf.Compacted
		default:
			var call history.Call
			var ret history.Return
			item(t, &call, &ret, false, word)
			seen.Keys = append(seen.Keys, call.Keys...)
			seen.Values = append(seen.Values, ret.Values...)
			seen.Versions = append(seen.Versions, ret.Versions...)
		}
	}
	return seen, ms(t, words[1])
}

func ms(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n * 1e6
}

func option(t *testing.T, call *history.Call, word, value string) {
	t.Helper()
	switch word {
	case "at":
		call.Node = value
	case "id":
		call.RequestID = value
	case "after":
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		call.After = n
	case "if":
		call.Condition = history.ByETag
		if value == "none" {
			call.Condition, call.Expect = history.NoneExists, nil
			return
		}
		for _, pair := range strings.Split(value, "&") {
			_, expected, _ := strings.Cut(pair, "=")
			call.Expect = append(call.Expect, optional(expected))
		}
	}
}

// sortExpect makes "if none" one of each key.
func sortExpect(call *history.Call) {
	if call.Condition == history.NoneExists {
		call.Expect = make([]*string, len(call.Keys))
	}
}

func optional(text string) *string {
	if text == "-" {
		return nil
	}
	text = strings.ReplaceAll(text, "_", " ")
	return &text
}

func item(t *testing.T, call *history.Call, ret *history.Return, write bool, word string) {
	t.Helper()
	key, value, _ := strings.Cut(word, "=")
	call.Keys = append(call.Keys, key)
	if write {
		call.Writes = append(call.Writes, optional(value))
		return
	}
	value, version, _ := strings.Cut(value, "@")
	n := uint64(0)
	if version != "" {
		var err error
		if n, err = strconv.ParseUint(version, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	ret.Values, ret.Versions = append(ret.Values, optional(value)), append(ret.Versions, n)
}

func answer(t *testing.T, ret *history.Return, text string) {
	t.Helper()
	for _, word := range strings.Fields(text) {
		switch word {
		case "unknown":
			ret.Outcome, ret.Code = history.Unknown, sheaf.OutcomeUnknown
		case "refused":
			ret.Outcome, ret.Code = history.NotApplied, sheaf.ETagMismatch
		case "nothing":
			ret.Outcome, ret.Code = history.DidNothing, sheaf.NotLeader
		case "defect":
			ret.Outcome, ret.Code = history.Unknown, sheaf.Internal
		case "replayed":
			ret.Replayed = true
		case "accepted":
			ret.Accepted = true
		default:
			n, err := strconv.ParseUint(word, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			ret.Version = n
		}
	}
}

// judgeStory judges a story, which must be readable.
func judgeStory(t *testing.T, story string, more ...func(*history.Run)) *Report {
	t.Helper()
	r, err := History(tell(t, story, more...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
