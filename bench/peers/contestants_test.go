package main

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/bench/contest"
)

// smallSession is a session on a temporary directory, without a Sheaf server.
func smallSession(t *testing.T) *session {
	t.Helper()
	p := plan{Callers: []int{2}, Rounds: 2, Timed: 50 * time.Millisecond}
	dir := t.TempDir()
	return &session{plan: p, dir: dir, arena: contest.Arena{Dir: dir, Load: contest.NewWorkload(20_000)}, report: report{Found: map[string]finding{}}}
}

func TestContestantsInThisProcessTakeTurns(t *testing.T) {
	s := smallSession(t)
	s.plan.only = []string{"pebble-synced", "pebble-nolog", "badger"}
	chosen := s.chosen()
	found, err := s.table(t.Context(), chosen, 2, newProgress("test", len(chosen)*s.plan.Rounds))
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Rows) != 3 {
		t.Fatalf("there are %d rows, want 3", len(found.Rows))
	}
	for _, r := range found.Rows {
		if r.Median.CPUMicrosPerKey <= 0 || r.Median.DrainedKeysPerSecond <= 0 || len(r.Rounds) != 2 {
			t.Errorf("%s did nothing, it seems: %+v", r.Contestant, r.Median)
		}
	}
	left, err := os.ReadDir(s.dir)
	if err != nil || len(left) > 0 {
		t.Errorf("data was left behind: %v, %v", left, err)
	}
}

// TestServersTakeBatches covers those that are modules, and the others where they
// are installed.
func TestServersTakeBatches(t *testing.T) {
	for _, name := range []string{"etcd", "nats", "nats-synced", "redis-always", "redis-everysec", "redis-none", "memcached", "etcd-3", "nats-3", "redis-wait2"} {
		t.Run(name, func(t *testing.T) {
			e := entrantNamed(name)
			if !e.installed() {
				t.Skipf("%s is not installed", e.program)
			}
			takesBatches(t, smallSession(t), e)
		})
	}
}

// takesBatches starts a contestant, has it write, read if it can, and end.
func takesBatches(t *testing.T, s *session, e entrant) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := s.start(ctx, e, "data")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.findLeader(ctx); err != nil {
		t.Fatal(err)
	}
	entries := make([]sheaf.Entry, contest.BatchEntries)
	for range 2 {
		s.arena.Load.Uniform(entries, rand.New(rand.NewPCG(1, 2)))
		if _, err := r.Write(entries); err != nil {
			t.Error(err)
		}
	}
	if asked, ok := r.Contestant.(reader); ok {
		value, err := asked.Get(ctx, entries[7].Key)
		if err != nil || string(value) != string(entries[7].Value) {
			t.Errorf("wrote %q and read %q, %v", entries[7].Value, value, err)
		}
		if value, err := asked.Get(ctx, []byte("absent")); value != nil || err != nil {
			t.Errorf("a key that was never written has the value %q, %v", value, err)
		}
	}
	if m, err := contest.MemoryOf(r.PIDs()...); err != nil || m.ResidentBytes == 0 {
		t.Errorf("memory is %+v, %v", m, err)
	}
	cancel()
	if _, err := r.Write(entries); err == nil {
		t.Error("a batch was taken after the contest was called off")
	}
	pids := r.PIDs()
	if err := r.end(); err != nil {
		t.Error(err)
	}
	for _, pid := range pids {
		if _, err := contest.CostOf(pid); err == nil {
			t.Error("a server outlived its end")
		}
	}
}

// sheafSession is smallSession with a Sheaf server.
func sheafSession(t *testing.T) *session {
	t.Helper()
	s := smallSession(t)
	var err error
	if s.arena.Server, err = contest.BuildServer(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSheafClustersTakeBatches(t *testing.T) {
	s := sheafSession(t)
	for _, name := range []string{"sheaf-memory-3", "sheaf-pebble-3"} {
		t.Run(name, func(t *testing.T) { takesBatches(t, s, entrantNamed(name)) })
	}
}

func TestReadsAreOfOneServerAndOfThreeInTurns(t *testing.T) {
	s := sheafSession(t)
	s.plan.only = []string{"sheaf-memory", "sheaf-memory-3", "sheaf-pebble"}
	found, err := runReads(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	rows := found.(*readsFound).Rows
	if len(rows) != 2*len(readsCallers) {
		t.Fatalf("there are %d rows, want those of one pair", len(rows))
	}
	for i, r := range rows {
		if len(r.Rounds) != s.plan.Rounds || r.Median.P50MS <= 0 || r.Median.ReadsPerSecond <= 0 {
			t.Errorf("%s read nothing, it seems: %+v", r.Contestant, r)
		}
		if three := i%2 == 1; (r.Ratio > 0) != three {
			t.Errorf("row %d, %s, has the ratio %v", i, r.Contestant, r.Ratio)
		}
	}
	s.plan.only = []string{"sheaf-memory"}
	if _, err := runReads(t.Context(), s); err == nil {
		t.Error("one of a pair was compared with nothing")
	}
}

func TestClustersAreMeasuredByThemselves(t *testing.T) {
	parts := contests([]entrant{entrantNamed("sheaf-memory"), entrantNamed("etcd-3"), entrantNamed("redis-none")})
	if len(parts) != 2 || len(parts[0]) != 2 || len(parts[1]) != 1 || parts[1][0].name != "etcd-3" {
		t.Errorf("the parts are %v", parts)
	}
	if parts := contests([]entrant{entrantNamed("etcd-3")}); len(parts) != 1 {
		t.Errorf("there are %d parts, want 1", len(parts))
	}
}

func TestAChildKnowsItsPlace(t *testing.T) {
	want := place{1, []string{"a:1", "b:2", "c:3"}}
	if got, err := parsePlace(want.args()); err != nil || got.seat != 1 || !slices.Equal(got.addrs, want.addrs) {
		t.Errorf("read %+v, %v, want %+v", got, err, want)
	}
	if got, err := parsePlace(place{}.args()); err != nil || !got.alone() {
		t.Errorf("a server alone has the place %+v, %v", got, err)
	}
	for _, args := range [][]string{{"1"}, {"3", "a,b,c"}, {"-1", "a,b,c"}, {"x", "a,b,c"}} {
		if _, err := parsePlace(args); err == nil {
			t.Errorf("%q was taken for a place", args)
		}
	}
}

func TestBatchesLookAsTheProtocolsWantThem(t *testing.T) {
	entries := []sheaf.Entry{{Key: []byte("a"), Value: []byte("12")}, {Key: []byte("bc"), Value: []byte("3")}}
	const mset = "*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$2\r\n12\r\n$2\r\nbc\r\n$1\r\n3\r\n"
	if got := string(appendMSET(nil, entries)); got != mset {
		t.Errorf("MSET is %q, want %q", got, mset)
	}
	const wait = "*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$1\r\n0\r\n"
	if got := string(appendWait(nil, 2)); got != wait {
		t.Errorf("WAIT is %q, want %q", got, wait)
	}
	const sets = "ms a 2 q\r\n12\r\nms bc 1 q\r\n3\r\nmn\r\n"
	if got := string(appendSets(nil, entries)); got != sets {
		t.Errorf("meta sets are %q, want %q", got, sets)
	}
}

func TestBatchThatNATSDidNotTakeWholeIsAnError(t *testing.T) {
	for answer, want := range map[string]string{
		`{"stream":"s","seq":9,"batch":"b","count":3}`:         "",
		`{"stream":"s","seq":9,"batch":"b","count":2}`:         "2 of 3",
		`{"error":{"code":400,"description":"batch too old"}}`: "batch too old",
		``: "answered",
	} {
		err := batchAck([]byte(answer), 3)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", answer, err, want)
		}
	}
}

func TestEveryClassHasItsRivals(t *testing.T) {
	for _, e := range entrants {
		for _, name := range rivals[e.class] {
			rival := entrantNamed(name)
			if !isSheaf(name) || (rival.class != e.class && e.class != inMemory) {
				t.Errorf("%s, %s, is compared with %s, %s", e.name, e.class, name, rival.class)
			}
		}
	}
}
