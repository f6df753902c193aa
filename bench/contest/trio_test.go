package contest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sleepers are three processes that say that they are ready and do nothing.
func sleepers(t *testing.T) *Trio {
	t.Helper()
	trio, err := StartTrio(t.Context(), func(i int) *exec.Cmd {
		return exec.Command("sh", "-c", fmt.Sprintf("echo ready %d; exec sleep 600", i))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trio.Kill)
	return trio
}

func TestThreeServersAreOneContestant(t *testing.T) {
	trio := sleepers(t)
	lines, err := trio.FirstLines(10 * time.Second)
	if err != nil || strings.Join(lines, "") != "ready 0\nready 1\nready 2\n" {
		t.Fatalf("first lines are %q, %v", lines, err)
	}
	pids := trio.PIDs()
	if len(pids) != Replicas {
		t.Fatalf("there are %d processes, want %d", len(pids), Replicas)
	}
	for _, meter := range []func(...int) error{
		func(pids ...int) error { _, err := CostOf(pids...); return err },
		func(pids ...int) error { _, err := MemoryOf(pids...); return err },
	} {
		if err := meter(pids...); err != nil {
			t.Error(err)
		}
	}
	trio.Kill()
	for _, pid := range pids {
		if _, err := CostOf(pid); err == nil {
			t.Errorf("process %d outlived its end", pid)
		}
	}
	if _, err := CostOf(pids...); err == nil {
		t.Error("the cost of processes that are gone was read")
	}
}

func TestWhatSeveralProcessesUseIsAddedUp(t *testing.T) {
	self := os.Getpid()
	one, err := MemoryOf(self)
	if err != nil {
		t.Fatal(err)
	}
	two, err := MemoryOf(self, self)
	if err != nil || two.PeakBytes < 2*one.PeakBytes {
		t.Errorf("one held %d bytes, two %d, %v", one.PeakBytes, two.PeakBytes, err)
	}
	once, err := CostOf(self)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := CostOf(self, self)
	if err != nil || once.CPU == 0 || twice.CPU < 2*once.CPU {
		t.Errorf("one used %v, two %v, %v", once.CPU, twice.CPU, err)
	}
}

func TestTheContestIsOverWhenOneOfThreeServersEnds(t *testing.T) {
	trio := sleepers(t)
	if err := syscall.Kill(trio.PIDs()[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-trio.Alive().Done():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed")
	}
	if err := context.Cause(trio.Alive()); !strings.Contains(err.Error(), "server 2") {
		t.Errorf("the cause is %v", err)
	}
}

// nodesThatLead are the metrics pages of nodes, each with these groups' gauges.
func nodesThatLead(t *testing.T, pages ...string) []node {
	t.Helper()
	var nodes []node
	for _, page := range pages {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, "# TYPE sheaf_leads gauge\n"+page)
		}))
		t.Cleanup(server.Close)
		nodes = append(nodes, node{"127.0.0.1:1", strings.TrimPrefix(server.URL, "http://")})
	}
	return nodes
}

func TestCallersTalkToTheNodeThatLeadsMost(t *testing.T) {
	const none, one, two = "sheaf_leads{group=\"1\"} 0\n", "sheaf_leads{group=\"1\"} 1\n", "sheaf_leads{group=\"2\"} 1\nsheaf_leads{group=\"3\"} 1\n"
	for _, c := range []struct {
		pages []string
		want  int
	}{
		{[]string{none, one, ""}, 1},
		{[]string{one, none, none}, 0},
		{[]string{one, none, two}, 2},
	} {
		if got, err := mostLeading(t.Context(), nodesThatLead(t, c.pages...)); got != c.want || err != nil {
			t.Errorf("%q: node %d leads, %v, want %d", c.pages, got, err, c.want)
		}
	}
	if _, err := mostLeading(t.Context(), nodesThatLead(t, none, none, none)); err == nil {
		t.Error("a leader was found where there is none")
	}
}

func TestClientMovesWithTheLead(t *testing.T) {
	trio := sleepers(t)
	const leads, follows = "sheaf_leads{group=\"1\"} 1\n", "sheaf_leads{group=\"1\"} 0\n"
	s := &Served{Servers: trio, nodes: nodesThatLead(t, leads, follows, follows)}
	if err := s.FindLeader(t.Context()); err != nil || s.leader != 0 {
		t.Fatalf("node %d leads, %v", s.leader, err)
	}
	first := s.client
	if err := s.FindLeader(t.Context()); err != nil || s.client != first {
		t.Errorf("another client for the same leader, %v", err)
	}
	s.nodes = nodesThatLead(t, follows, follows, leads)
	if err := s.FindLeader(t.Context()); err != nil || s.leader != 2 || s.client == first || s.Admin() != s.nodes[2].admin {
		t.Errorf("node %d leads, %v, want 2", s.leader, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestRetryEndsWithSuccessTimeOrContext(t *testing.T) {
	left := 3
	retries, err := Retry(t.Context(), time.Minute, func() error {
		if left--; left > 0 {
			return errors.New("not yet")
		}
		return nil
	})
	if retries != 2 || err != nil {
		t.Errorf("%d retries, %v, want 2", retries, err)
	}
	never := errors.New("never")
	if retries, err := Retry(t.Context(), 0, func() error { return never }); retries != 0 || !errors.Is(err, never) {
		t.Errorf("without time: %d retries, %v", retries, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Retry(ctx, time.Minute, func() error { cancel(); return never }); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
}

func TestPortsAreBelowThoseOfConnectionsAndDiffer(t *testing.T) {
	seen := make(map[int]bool)
	for range 100 {
		port, err := FreePort()
		if err != nil {
			t.Fatal(err)
		}
		if port < firstPort || port >= firstPort+ports || seen[port] {
			t.Fatalf("port %d is not one of [%d, %d), or was found before", port, firstPort, firstPort+ports)
		}
		seen[port] = true
	}
}
