package history

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
)

// memory is a file that says what of it has been synced.
type memory struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	synced int
	syncs  int
	fail   error
}

func (m *memory) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.buf.Write(p)
}

func (m *memory) Sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.synced = m.buf.Len()
	m.syncs++
	return m.fail
}

// durable is what a power cut would leave.
func (m *memory) durable() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.buf.String()[:m.synced]
}

func pointer(s string) *string { return &s }

func newRecorder(t *testing.T, file File) *Recorder {
	t.Helper()
	r, err := NewRecorder(file, &Run{Endpoints: []string{"n1"}, Workloads: []string{"register"}, Level: "linearizable"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Open("register/1", "register"); err != nil {
		t.Fatal(err)
	}
	return r
}

func aCall(id string) *Call {
	return &Call{Trial: "register/1", Client: 1, Process: 1, Node: "n1", Level: "linearizable", RequestID: id, Keys: []string{"x", "y"}, Writes: []*string{pointer("v-" + id), nil}}
}

// trials is a visitor that keeps them.
type trials []*Trial

func (*trials) Begin(*Run) error    { return nil }
func (*trials) Pulse(int64, *Pulse) {}
func (t *trials) Trial(trial *Trial) error {
	*t = append(*t, trial)
	return nil
}

// read returns the trials of a history.
func read(t *testing.T, text string) (found trials, whole Whole, err error) {
	t.Helper()
	whole, err = Read(strings.NewReader(text), &found)
	return found, whole, err
}

func TestACallIsOnDiskBeforeItIsMade(t *testing.T) {
	file := &memory{}
	r := newRecorder(t, file)
	var callers sync.WaitGroup
	for client := range 8 {
		callers.Go(func() {
			for i := range 50 {
				id := fmt.Sprintf("%d-%d", client, i)
				op, err := r.Call(aCall(id))
				if err != nil {
					t.Error(err)
					return
				}
				if !strings.Contains(file.durable(), `"request_id":"`+id+`"`) {
					t.Errorf("the call of batch %s is not on disk", id)
				}
				sent := r.Now()
				if err := r.Return(op, r.Now(), &Return{SentNS: sent, Outcome: OK, Version: 1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	if err := r.Close("register/1"); err != nil {
		t.Fatal(err)
	}
	if err := r.End(false); err != nil {
		t.Fatal(err)
	}
	if file.syncs > 8*50+2 {
		t.Errorf("%d syncs for 400 calls", file.syncs)
	}
	trials, whole, err := read(t, file.durable())
	if err != nil {
		t.Fatal(err)
	}
	if len(trials) != 1 || len(trials[0].Ops) != 400 || !trials[0].Closed || !whole.Ended || whole.Interrupted || whole.Torn {
		t.Fatalf("got %d trials, %+v", len(trials), whole)
	}
	for _, op := range trials[0].Ops {
		if op.Outcome != OK || op.EndNS < op.StartNS {
			t.Errorf("got %s", op)
		}
	}
}

func TestAFailedSyncEndsTheHistory(t *testing.T) {
	file := &memory{}
	r := newRecorder(t, file)
	file.fail = errors.New("no disk")
	if _, err := r.Call(aCall("a")); !errors.Is(err, file.fail) {
		t.Errorf("got %v", err)
	}
	file.fail = nil
	if _, err := r.Call(aCall("b")); err == nil {
		t.Error("a call is recorded after a line was lost")
	}
}

// TestAHistoryMayEndAnywhere cuts one at every byte, as a kill would.
func TestAHistoryMayEndAnywhere(t *testing.T) {
	file := &memory{}
	r := newRecorder(t, file)
	for _, id := range []string{"a", "b"} {
		op, err := r.Call(aCall(id))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Return(op, r.Now(), &Return{Outcome: OK, Version: op}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.End(false); err != nil {
		t.Fatal(err)
	}
	all := file.durable()
	for n := strings.Index(all, "\n"); n <= len(all); n++ {
		trials, whole, err := read(t, all[:n])
		if err != nil {
			t.Fatalf("%d of %d bytes: %v", n, len(all), err)
		}
		lines := strings.Split(all[:n], "\n")
		last := lines[len(lines)-1]
		if wantTorn := last != "" && !strings.HasSuffix(last, "}}"); wantTorn != whole.Torn {
			t.Errorf("%q is said to be torn: %v", last, whole.Torn)
		}
		for _, trial := range trials {
			for _, op := range trial.Ops {
				returned := strings.Contains(all[:n], fmt.Sprintf(`"op":%d,"return"`, op.Number))
				if op.Outcome == OK && !returned || op.Outcome != OK && op.Outcome != Unknown {
					t.Errorf("%d bytes: %s", n, op)
				}
			}
		}
	}
}

func TestWhatIsNoHistoryIsRefused(t *testing.T) {
	file := &memory{}
	r := newRecorder(t, file)
	op, err := r.Call(aCall("a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Return(op, 1, &Return{Outcome: OK, Version: 1}); err != nil {
		t.Fatal(err)
	}
	if err := r.End(false); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(file.durable(), "\n")
	for name, text := range map[string]string{
		"nothing":                    "",
		"something else":             "hello\nworld\n",
		"no beginning":               strings.Join(lines[1:], ""),
		"two beginnings":             lines[0] + file.durable(),
		"another format":             strings.Replace(file.durable(), `"format":1`, `"format":99`, 1),
		"damage in the middle":       lines[0] + lines[1] + "{\"at_ns\":\n" + lines[2],
		"a trial that is not open":   lines[0] + lines[2],
		"a trial that is open twice": lines[0] + lines[1] + lines[1],
		"a return without a call":    lines[0] + lines[1] + lines[3],
		"a call without keys":        lines[0] + lines[1] + `{"op":1,"call":{"trial":"register/1","level":""}}` + "\n",
		"a level that there is not":  lines[0] + lines[1] + strings.Replace(lines[2], "linearizable", "best", 1),
		"a follower of no trial":     lines[0] + `{"seen":{"trial":"register/1","follower":1,"kind":"watch","step":"began"}}` + "\n",
		"a follower by other means":  lines[0] + lines[1] + `{"seen":{"trial":"register/1","follower":1,"kind":"poll","step":"began"}}` + "\n",
		"an event without its keys":  lines[0] + lines[1] + `{"seen":{"trial":"register/1","follower":1,"kind":"watch","step":"event"}}` + "\n",
		"an event without values":    lines[0] + lines[1] + `{"seen":{"trial":"register/1","follower":1,"kind":"watch","step":"event","keys":["x"]}}` + "\n",
		"a picture without versions": lines[0] + lines[1] + `{"seen":{"trial":"register/1","follower":1,"kind":"sync","step":"items","keys":["x"],"values":["a"]}}` + "\n",
	} {
		if _, _, err := read(t, text); !errors.Is(err, errForm) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestAttemptsAtOneBatchAreOneOperation says what is known after several calls.
func TestAttemptsAtOneBatchAreOneOperation(t *testing.T) {
	ok := Return{Outcome: OK, Version: 7}
	unknown := Return{Outcome: Unknown, Code: sheaf.OutcomeUnknown}
	nothing := Return{Outcome: DidNothing, Code: sheaf.NotLeader}
	refused := Return{Outcome: NotApplied, Code: sheaf.ETagMismatch}
	malformed := Return{Outcome: NotApplied, Code: sheaf.InvalidBatch}
	for _, c := range []struct {
		name     string
		attempts []Return
		want     Outcome
		endNS    int64
	}{
		{"answered", []Return{ok}, OK, 10},
		{"no return", []Return{{}}, Unknown, Forever},
		{"unknown", []Return{unknown}, Unknown, Forever},
		{"did nothing", []Return{nothing}, NotApplied, 10},
		{"refused", []Return{refused}, NotApplied, 10},
		{"unknown, then applied", []Return{unknown, ok}, OK, 20},
		{"unknown, then refused", []Return{unknown, refused}, NotApplied, 20},
		{"unknown, then did nothing", []Return{unknown, nothing}, Unknown, Forever},
		{"did nothing, then unknown", []Return{nothing, unknown}, Unknown, Forever},
		{"did nothing, then applied", []Return{nothing, ok}, OK, 20},
		{"unknown, and then its shape is refused", []Return{unknown, malformed}, Unknown, Forever},
		{"applied, then anything", []Return{ok, unknown, nothing, ok}, OK, 10},
		{"refused, then unknown", []Return{refused, unknown}, NotApplied, 10},
	} {
		op := &Op{Call: aCall("a")}
		for i, ret := range c.attempts {
			a := Attempt{StartNS: int64(10*i + 1), EndNS: int64(10*i + 10), Return: ret}
			if ret.Outcome == "" {
				a.EndNS = Forever
			}
			op.Attempts = append(op.Attempts, a)
		}
		op.conclude()
		if op.Outcome != c.want || op.EndNS != c.endNS || op.StartNS != 1 {
			t.Errorf("%s: got %s from %d to %d, want %s to %d", c.name, op.Outcome, op.StartNS, op.EndNS, c.want, c.endNS)
		}
	}
}

func TestAnOperationReadsWell(t *testing.T) {
	op := &Op{
		Call: &Call{
			Client: 3, Process: 5, Node: "n2", After: 4, Keys: []string{"x", "y"}, Writes: []*string{pointer("a"), nil},
			Condition: ByETag, Expect: []*string{nil, pointer("b")}, RequestID: "q",
		},
		Number: 12, StartNS: 1_000_000, EndNS: 2_500_000, Outcome: OK, Answer: Return{Version: 9}, Attempts: make([]Attempt, 2),
	}
	want := `op 12     client 3 process 5 at n2, 0.001000s to 0.002500s: linearizable write x="a" y=- if if_match says x=- y="b" after 4 -> ok version 9 in 2 attempts`
	if diff := cmp.Diff(want, op.String()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatFollowersSawIsReadInItsOrder(t *testing.T) {
	file := &memory{}
	r := newRecorder(t, file)
	want := []*Follower{
		{Number: 2, Kind: Sync, Seen: []*Seen{
			{Trial: "register/1", Follower: 2, Kind: Sync, Node: "n1", Step: Items, Keys: []string{"x"}, Values: []*string{pointer("a")}, Versions: []uint64{7}},
		}},
		{Number: 1, Kind: Watch, Seen: []*Seen{
			{Trial: "register/1", Follower: 1, Kind: Watch, Node: "n1", Step: Ask, Token: "t"},
			{Trial: "register/1", Follower: 1, Kind: Watch, Node: "n1", Step: Batch, Keys: []string{"x", "y"}, Values: []*string{pointer("b"), nil}, Version: 9, Token: "u"},
			{Trial: "register/1", Follower: 1, Kind: Watch, Node: "n1", Step: Over, Code: sheaf.Draining},
		}},
	}
	for _, f := range want {
		for _, seen := range f.Seen {
			if err := r.Seen(seen); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.End(false); err != nil {
		t.Fatal(err)
	}
	trials, _, err := read(t, file.durable())
	if err != nil {
		t.Fatal(err)
	}
	var before int64
	for _, f := range trials[0].Followers {
		for _, seen := range f.Seen {
			if seen.AtNS < before {
				t.Errorf("%s comes before %d ns", seen, before)
			}
			before, seen.AtNS = seen.AtNS, 0
		}
	}
	if diff := cmp.Diff(want, trials[0].Followers); diff != "" {
		t.Error(diff)
	}
}

// TestManyLinesOfFollowersWaitForTheDisk bounds what is in memory.
func TestManyLinesOfFollowersWaitForTheDisk(t *testing.T) {
	file := &memory{}
	r := newRecorder(t, file)
	value := strings.Repeat("v", mostWaitingBytes/16)
	for range 40 {
		if err := r.Seen(&Seen{Trial: "register/1", Follower: 1, Kind: Watch, Step: Batch, Keys: []string{"x"}, Values: []*string{&value}}); err != nil {
			t.Fatal(err)
		}
		if waiting := len(r.filling); waiting > mostWaitingBytes {
			t.Fatalf("%d bytes wait", waiting)
		}
	}
}
