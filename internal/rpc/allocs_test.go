package rpc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/internal/admission"
	"github.com/sheafdb/sheaf/internal/coordinator"
	"github.com/sheafdb/sheaf/internal/group"
	"github.com/sheafdb/sheaf/internal/store/memory"
	"github.com/sheafdb/sheaf/internal/wal"
)

// callerOf in the environment makes this program a client of that address: what
// a client allocates must not count to the server.
const callerOf = "SHEAF_TEST_CALLER_OF"

func TestMain(m *testing.M) {
	if addr := os.Getenv(callerOf); addr != "" {
		if err := callFor(addr, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "caller:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// callFor writes as many batches of 1,000 entries as each line of in says, and
// answers every line, until in ends.
func callFor(addr string, in io.Reader, out io.Writer) error {
	c, err := client.New(addr)
	if err != nil {
		return err
	}
	entries := batchOf(1000)
	for {
		var calls int
		if _, err := fmt.Fscanln(in, &calls); err == io.EOF {
			return c.Close()
		} else if err != nil {
			return err
		}
		for range calls {
			if result, err := c.PutAll(context.Background(), entries); err != nil || result.Attempts != 1 || result.Replayed {
				return fmt.Errorf("put all: %+v, %w", result, err)
			}
		}
		fmt.Fprintln(out, "done")
	}
}

// raceDetector is set when the tests run under it.
var raceDetector bool

// TestPutAllAllocatesLittle counts everything that the server's process allocates
// for a call: gRPC, the face, the coordinator, and in one case the group with
// its log and store. 64 to 69 are gRPC's in a handler that does nothing, without a
// deadline and a trailer, so the bound leaves our own part a few. It grows with the
// message's frames, and not with its entries. A group adds a round of consensus, whose
// messages hold a pointer per field: raft makes 45 allocations of it, once for all the
// batches that share the round. Here every batch has one to itself.
func TestPutAllAllocatesLittle(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	const (
		warmUp = 100
		calls  = 500
	)
	for name, c := range map[string]struct {
		open func(*testing.T, *admission.Gate) coordinator.Group
		most float64
	}{
		"sink":   {func(*testing.T, *admission.Gate) coordinator.Group { return &sink{} }, 80},
		"memory": {openGroup, 80 + 45},
	} {
		t.Run("group="+name, func(t *testing.T) {
			gate := admission.NewGate(sheaf.DefaultLimits().InFlightBytes)
			call := startCaller(t, listen(t, c.open(t, gate), gate))
			call(warmUp)
			before := readAllocs()
			call(calls)
			used := readAllocs().since(before)
			perCall := float64(used.objects) / calls
			t.Logf("%.1f objects, %.1f tiny allocations and %d bytes per call",
				perCall, float64(used.tiny)/calls, used.bytes/calls)
			if perCall > c.most {
				t.Errorf("a call allocates %.1f objects, want at most %.0f", perCall, c.most)
			}
		})
	}
}

// startCaller starts a client's process, which ends with the test. The function
// returned makes it write that many batches, one after the other.
func startCaller(t *testing.T, addr string) func(calls int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	caller := exec.Command(self)
	caller.Env = append(os.Environ(), callerOf+"="+addr)
	caller.Stderr = os.Stderr
	in, err := caller.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := caller.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // this ends it
		if err := caller.Wait(); err != nil {
			t.Errorf("the caller ended with %v", err)
		}
	})
	answers := bufio.NewReader(out)
	return func(calls int) {
		t.Helper()
		if _, err := fmt.Fprintln(in, calls); err != nil {
			t.Fatal(err)
		}
		if line, err := answers.ReadString('\n'); err != nil {
			t.Fatalf("the caller answered %q, %v", line, err)
		}
	}
}

// openGroup is a group as a node has it with the memory store.
func openGroup(t *testing.T, gate *admission.Gate) coordinator.Group {
	t.Helper()
	dir, limits, logger := t.TempDir(), sheaf.DefaultLimits(), slog.New(slog.DiscardHandler)
	table, err := memory.Open(memory.Config{FS: vfs.Default, Dir: filepath.Join(dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	g, err := group.OpenSolo(t.Context(), group.Config{
		Store: table, Limits: limits, Gate: gate, LogBytes: 1 << 30, LogMostBytes: 1 << 30,
		Room: func() error { return nil }, Free: func() int64 { return -1 }, Now: time.Now,
		Fatal:  func(err error) { panic(fmt.Sprintf("group failed: %v", err)) },
		Logger: logger,
	}, wal.Config{Dir: filepath.Join(dir, "log"), Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// allocs is what this process has allocated on its heap. tiny are those without
// pointers below 16 bytes, of which several share one of objects.
type allocs struct{ objects, tiny, bytes uint64 }

// readAllocs stops the world for a moment: otherwise what each processor has
// taken from its current spans would be missing.
func readAllocs() allocs {
	var flushed runtime.MemStats
	runtime.ReadMemStats(&flushed)
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:objects"},
		{Name: "/gc/heap/tiny/allocs:objects"},
		{Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(samples)
	return allocs{samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64()}
}

func (a allocs) since(before allocs) allocs {
	return allocs{a.objects - before.objects, a.tiny - before.tiny, a.bytes - before.bytes}
}
