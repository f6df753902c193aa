package contract

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

// TestDamagedDataIsNeverAnswered flips bits in the middle of every table that the
// store has written. Whoever reads there is told CORRUPTION and the file's name.
func TestDamagedDataIsNeverAnswered(t *testing.T) {
	oneGroup(t) // it damages the middle of one table, and knows where keys are
	dir := t.TempDir()
	n := start(t, dir, nil, nil)
	entries := numbered("k", 256)
	random := rand.New(rand.NewPCG(1, 2)) // what cannot be compressed has a place of its own on disk
	for i := range entries {
		value := make([]byte, 4<<10)
		for j := range value {
			value[j] = byte(random.Uint32())
		}
		entries[i].Value = value
	}
	must(t, httpFace{n}, call{id: "R", entries: entries})
	n.shut() // writes the store's tables

	tables, err := filepath.Glob(filepath.Join(n.dir, "store", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("the store has no tables: %v", err)
	}
	for _, table := range tables {
		data, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		for at := len(data) / 4; at < len(data)*3/4; at += 1 << 10 {
			data[at] ^= 0x10
		}
		if err := os.WriteFile(table, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	n = start(t, dir, nil, nil)
	eachFace(t, n, func(t *testing.T, f face) {
		middle := string(entries[128].Key)
		for _, c := range []call{
			{op: getKey, keys: []string{middle}},
			{op: getAll, keys: []string{middle}},
			{op: getAll, keys: keysOf(entries)},
			{op: scan, keys: []string{"k"}, start: middle},
		} {
			if got := mustRefuse(t, f, c, sheaf.Corruption); !strings.Contains(got.detail, ".sst") {
				t.Errorf("%v: the detail does not name the file: %s", c.op, got.detail)
			}
		}
		// What is whole is still read.
		for _, op := range []operation{getKey, getAll} {
			if got := must(t, f, call{op: op, keys: []string{string(entries[0].Key)}}); got.items[0].value != string(entries[0].Value) {
				t.Errorf("%v: a key outside of the damage came back with %d other bytes", op, len(got.items[0].value))
			}
		}
	})

	// Whoever watches the node is told too.
	status, err := sheafv1.NewNodeServiceClient(n.conn).GetStatus(t.Context(), &sheafv1.GetStatusRequest{})
	if err != nil || status.State != "damaged" {
		t.Errorf("the node's state is %q, %v", status.GetState(), err)
	}

	// A scan that meets damage on its way has begun to answer: its last line says it.
	resp := httpFace{n}.send(t, "GET", "/v1/scan?prefix=k", nil)
	lines := bytes.Split(bytes.TrimSpace(resp.body), []byte("\n"))
	last, isError := bytes.CutPrefix(lines[len(lines)-1], []byte(`{"error":`))
	if resp.StatusCode != 200 || len(lines) < 2 || !isError {
		t.Fatalf("a scan of damaged data answers %d with %d lines, the last %.100s", resp.StatusCode, len(lines), lines[len(lines)-1])
	}
	if got := readProblem(t, bytes.TrimSuffix(last, []byte("}")), 500, call{}); got.code != sheaf.Corruption {
		t.Errorf("the scan ended with %s", got.code)
	}
}
