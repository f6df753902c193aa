package main

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
	"github.com/sheafdb/sheaf/internal/wire"
)

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"-callers", "0"},
		{"-callers", "1,x"},
		{"-rounds", "0"},
		{"-seconds", "0"},
		{"extra"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	p, err := parse([]string{"-callers", "2, 8", "-seconds", "0.5", "-rounds", "3"})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Callers) != 2 || p.Callers[1] != 8 || p.Timed != 500*time.Millisecond || p.Rounds != 3 {
		t.Errorf("read %+v", p)
	}
}

func TestRequestsAreBatchesThatANodeAccepts(t *testing.T) {
	requests := newRequests()
	if len(requests) != requestCount {
		t.Fatalf("there are %d requests", len(requests))
	}
	for i, request := range requests {
		decoded, err := wire.DecodePutAll(request, sheaf.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if decoded.Entries.Len() != batchEntries {
			t.Errorf("request %d has %d entries", i, decoded.Entries.Len())
		}
		if err := sheaf.RequestID(decoded.RequestID).Validate(); err != nil {
			t.Errorf("request %d: %v", i, err)
		}
		for _, entry := range decoded.Entries.All() {
			if len(entry.Key) != keyBytes || len(entry.Value) != valueBytes {
				t.Fatalf("request %d has an entry of %d+%d bytes", i, len(entry.Key), len(entry.Value))
			}
		}
	}
}

func TestAllContestantsAnswerTheSameRequests(t *testing.T) {
	requests := newRequests()
	for _, name := range contestants {
		server, stop, err := newServer(name)
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = server.Serve(listener) }()
		conn, err := dial(listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		times, err := drive(context.Background(), conn, requests, 2, time.Millisecond)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if times.TotalCount() < 2 {
			t.Errorf("%s had %d calls of 2 callers", name, times.TotalCount())
		}
		if err := send(context.Background(), conn, encoded("not a batch")); (err != nil) != (name == putAll) {
			t.Errorf("%s: a request that is no batch gave %v", name, err)
		}
		var answer sheafv1.PutAllResponse
		if err := conn.Invoke(context.Background(), sheafv1.KVService_PutAll_FullMethodName, requests[0], &answer); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(answer.Etag) != len(blobAnswer.Etag) || answer.Version == 0 {
			t.Errorf("%s answered %v", name, &answer)
		}
		if name == putAll {
			decoded, err := wire.DecodePutAll(requests[0], sheaf.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			var sum wire.ETagSum
			for _, entry := range decoded.Entries.All() {
				sum.AddKey(entry.Key, answer.Version)
			}
			if answer.Etag != string(sum.ETag()) {
				t.Errorf("the ETag is %s, want that of the keys, %s", answer.Etag, sum.ETag())
			}
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		server.Stop()
		stop()
	}
	if _, _, err := newServer("other"); err == nil {
		t.Error("a contestant that does not exist was started")
	}
}

func TestSampleIsPerKeyAndPerCall(t *testing.T) {
	times := hdrhistogram.New(1, maxCallMicros, 3)
	for range 10 {
		_ = times.RecordValue(2000)
	}
	got := newSample(times, 2*time.Second,
		meters{CPU: 20 * time.Millisecond, Objects: 1000, Tiny: 50, Bytes: 5000}, meters{CPU: 10 * time.Millisecond})
	want := sample{
		KeysPerSecond: 5000, P50MS: got.P50MS, P99MS: got.P99MS, ServerCPUPerKey: 2, ClientCPUPerKey: 1,
		ObjectsPerCall: 100, TinyPerCall: 5, BytesPerCall: 500, Calls: 10,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.P50MS < 1.99 || got.P50MS > 2.01 {
		t.Errorf("the median call took %v ms, want 2", got.P50MS)
	}
}

func TestRatiosAreOfThePairsOfTheSameRound(t *testing.T) {
	rounds := [len(contestants)][]sample{
		{{KeysPerSecond: 100, ServerCPUPerKey: 2}, {KeysPerSecond: 100, ServerCPUPerKey: 4}, {KeysPerSecond: 90, ServerCPUPerKey: 3}},
		{{KeysPerSecond: 100, ServerCPUPerKey: 4}, {KeysPerSecond: 50, ServerCPUPerKey: 8}, {KeysPerSecond: 90, ServerCPUPerKey: 3}},
		{{KeysPerSecond: 200, ServerCPUPerKey: 1}, {KeysPerSecond: 100, ServerCPUPerKey: 2}, {KeysPerSecond: 100, ServerCPUPerKey: 1}},
	}
	got := newTable(4, rounds)
	if copied := got.Rows[0]; copied.Rate.Median != 1 || copied.ServerCPU.Median != 2 {
		t.Errorf("over copied: rate %v, CPU %v, want 1 and 2", copied.Rate.Median, copied.ServerCPU.Median)
	}
	if blob := got.Rows[2]; blob.Rate.Median != 0.5 || blob.ServerCPU.Median != 4 {
		t.Errorf("over blob: rate %v, CPU %v, want 0.5 and 4", blob.Rate.Median, blob.ServerCPU.Median)
	}
	for _, want := range []string{"| `putall` | 90 |", "| `blob` | 100 |", "rate of `putall` over `blob`: 0.50 (0.50 to 0.90: 0.50 0.50 0.90)"} {
		if !strings.Contains(got.markdown(), want) {
			t.Errorf("the table lacks %q:\n%s", want, got.markdown())
		}
	}
}

func TestMetersCountWhatIsAllocated(t *testing.T) {
	before, err := readMeters()
	if err != nil {
		t.Fatal(err)
	}
	const count, size = 1000, 64
	for range count {
		kept = new([size]byte)
	}
	after, err := readMeters()
	if err != nil {
		t.Fatal(err)
	}
	used := after.since(before)
	if used.Objects < count || used.Objects > 2*count || used.Bytes < count*size {
		t.Errorf("%d allocations of %d bytes were metered as %+v", count, size, used)
	}
}

var kept *[64]byte
