package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/storage/wal"
)

func TestOptionsAreChecked(t *testing.T) {
	p, err := parse([]string{"-bytes", "10, 2000", "-only", "etcd,sheaf"})
	if err != nil || len(p.Sizes) != 2 || p.Sizes[1] != 2000 {
		t.Errorf("parsed %+v, %v", p, err)
	}
	if chosen := p.chosen(); len(chosen) != 2 || chosen[0].name != baseline {
		t.Errorf("chosen are %v", chosen)
	}
	for _, args := range [][]string{
		{"-bytes", "0"}, {"-bytes", "many"}, {"-only", "bolt"}, {"-rounds", "0"}, {"more"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q passes", args)
		}
	}
}

func TestRatioIsTheMedianOfTheRoundsRatios(t *testing.T) {
	rounds := func(p50s ...float64) (samples []sample) {
		for _, p50 := range p50s {
			samples = append(samples, sample{P50Micros: p50})
		}
		return samples
	}
	// The machine was three times slower in the second round, for both.
	table := table{Rows: []row{
		summarise(baseline, rounds(100, 300, 110)),
		summarise("other", rounds(150, 450, 110)),
	}}
	table.compare(baseline)
	if got := table.Rows[1]; math.Abs(got.Ratio-1.5) > 1e-9 || got.Median.P50Micros != 150 {
		t.Errorf("ratio %v and median %v, want 1.5 and 150", got.Ratio, got.Median.P50Micros)
	}
}

func TestMetersOfProcAreRead(t *testing.T) {
	// user nice system idle iowait irq softirq steal guest: idle, iowait and guest do not count.
	cpu, err := parseMachineCPU("cpu  10 20 30 1000 1000 40 50 50 9 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
	if err != nil || cpu != 2*time.Second {
		t.Errorf("machine CPU is %v, %v, want 2s", cpu, err)
	}
	const disks = " 253 0 vda 1 2 3 4 5 6 100 8 9 10 11\n 253 1 vda1 1 2 3 4 5 6 200 8 9 10 11\n"
	if n, err := parseDeviceWritten(disks, "253 1"); n != 200*512 || err != nil {
		t.Errorf("device bytes are %d, %v", n, err)
	}
}

func TestEtcdGivesSpaceBack(t *testing.T) {
	defer func(bytes int64) { wal.SegmentSizeBytes = bytes }(wal.SegmentSizeBytes)
	wal.SegmentSizeBytes = 64 << 10
	dir := t.TempDir()
	log, err := startEtcd(dir)
	if err != nil {
		t.Fatal(err)
	}
	segments := func() int {
		names, err := filepath.Glob(filepath.Join(dir, "wal", "*.wal"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	for range 22 {
		if err := log.append(make([]byte, 20_000)); err != nil {
			t.Fatal(err)
		}
	}
	if n := segments(); n < 4 {
		t.Fatalf("there are only %d segments", n)
	}
	if err := log.cut(); err != nil {
		t.Fatal(err)
	}
	if n := segments(); n != 1 {
		t.Errorf("%d segments are left, want 1", n)
	}
	if err := log.close(); err != nil {
		t.Error(err)
	}
}

func TestDirectWritesWhatItIsGiven(t *testing.T) {
	dir := t.TempDir()
	log, err := startDirect(dir)
	if err != nil {
		t.Skip(err) // not every file system can
	}
	var want []byte
	load := newWorkload(1)
	for i, n := range []int{1, 4095, 4096, 5000, 100_000, 3} {
		batch := load.batch(i, n)
		want = append(want, batch...)
		if err := log.append(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "blocks"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(got, want) {
		t.Error("the file has other bytes")
	}
}
