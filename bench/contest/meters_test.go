package contest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
)

func TestMetersOfProcAreRead(t *testing.T) {
	// The name of the program may hold spaces and parentheses.
	cpu, err := parseProcessCPU([]byte("42 (a b) c) S 1 42 42 0 -1 4194560 100 0 0 0 100 50 30 20 20 0 9 0 100 1 1\n"))
	if err != nil || cpu != 2*time.Second {
		t.Errorf("process CPU is %v, %v, want 2s", cpu, err)
	}
	// user nice system idle iowait irq softirq steal guest: idle, iowait and guest do not count.
	cpu, err = parseMachineCPU([]byte("cpu  10 20 30 1000 1000 40 50 50 9 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"))
	if err != nil || cpu != 2*time.Second {
		t.Errorf("machine CPU is %v, %v, want 2s", cpu, err)
	}
	written, err := parseWrittenBytes([]byte("rchar: 1\nwchar: 2\nwrite_bytes: 4096\ncancelled_write_bytes: 7\n"))
	if err != nil || written != 4096 {
		t.Errorf("written bytes are %d, %v, want 4096", written, err)
	}
	memory, err := parseMemory("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n")
	if want := (Memory{ResidentBytes: 1 << 20, PeakBytes: 2 << 20}); err != nil || memory != want {
		t.Errorf("memory is %+v, %v, want %+v", memory, err, want)
	}
	const disks = " 253 0 vda 1 2 3 4 5 6 100 8 9 10 11\n 253 1 vda1 1 2 3 4 5 6 200 8 9 10 11\n"
	if bytes, ok, err := parseDeviceWritten(disks, "253 1"); bytes != 200*512 || !ok || err != nil {
		t.Errorf("device bytes are %d, %v, %v", bytes, ok, err)
	}
	if _, ok, err := parseDeviceWritten(disks, "0 53"); ok || err != nil {
		t.Errorf("a device that is not there: %v, %v", ok, err)
	}
	for _, parse := range []func([]byte) error{
		func(b []byte) error { _, err := parseProcessCPU(b); return err },
		func(b []byte) error { _, err := parseMachineCPU(b); return err },
		func(b []byte) error { _, err := parseWrittenBytes(b); return err },
		func(b []byte) error { _, err := parseMemory(string(b)); return err },
	} {
		if parse([]byte("something else\n")) == nil {
			t.Error("a file of another form was read")
		}
	}
}

func TestReadyLineTellsTheAddresses(t *testing.T) {
	const line = "sheaf dev ready  grpc 127.0.0.1:7450  http 127.0.0.1:7451  admin 127.0.0.1:7452  data /d  store pebble\n"
	if got := announced(line, "grpc"); got != "127.0.0.1:7450" {
		t.Errorf("grpc is at %q", got)
	}
	if got := announced(line, "admin"); got != "127.0.0.1:7452" {
		t.Errorf("admin is at %q", got)
	}
	if got := announced("panic: no", "grpc"); got != "" {
		t.Errorf("found %q in a line without an address", got)
	}
}

func TestBatchHasTheSizesAndNoKeyTwice(t *testing.T) {
	w := NewWorkload(KeySpace)
	entries := make([]sheaf.Entry, BatchEntries)
	rng := rand.New(rand.NewPCG(1, 1))
	for n := range 20 {
		if n%2 == 0 {
			w.Neighbours(entries, rng)
		} else {
			w.Uniform(entries, rng)
		}
		seen := make(map[string]bool)
		for i, e := range entries {
			if len(e.Key) != KeyBytes || len(e.Value) != ValueBytes {
				t.Fatalf("entry %d has %d and %d bytes", i, len(e.Key), len(e.Value))
			}
			if seen[string(e.Key)] {
				t.Fatalf("key %s is there twice", e.Key)
			}
			seen[string(e.Key)] = true
		}
	}
}

func TestUniformBatchOfAsManyKeysAsThereAreHasEachOnce(t *testing.T) {
	w := NewWorkload(2 * BatchEntries).First(BatchEntries)
	entries := make([]sheaf.Entry, BatchEntries)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		w.Uniform(entries, rng)
		seen := make(map[string]bool)
		for _, e := range entries {
			seen[string(e.Key)] = true
		}
		if len(seen) != w.Keys() {
			t.Fatalf("a batch has %d of %d keys", len(seen), w.Keys())
		}
	}
}
