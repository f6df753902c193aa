package storetest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf/internal/store"
)

func scanKeys(t *testing.T, s store.Store, prefix, start string) (keys []string) {
	t.Helper()
	cursor, _, err := s.Scan([]byte(prefix), []byte(start))
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	for cursor.Next() {
		keys = append(keys, string(cursor.Key()))
	}
	if cursor.Next() {
		t.Error("Next after the end")
	}
	if err := cursor.Err(); err != nil {
		t.Fatalf("scan: %v", err)
	}
	if err := cursor.Close(); err != nil {
		t.Fatalf("close cursor: %v", err)
	}
	return keys
}

func testScan(t *testing.T, open Open) {
	fs := vfs.NewMem()
	s := mustOpen(t, open, fs)
	all := []string{"\x00", "a", "a\x00", "aa", "ab", "a\xff", "a\xff\xff", "b", "\xfe", "\xff", "\xff\x00", "\xff\xff", "\xff\xffz"}
	step := entry(1, set(store.Rows, "aaa", "row"), set(store.Due, "aaa", ""))
	for _, key := range all {
		step.Ops = append(step.Ops, set(store.Data, key, "v"+key))
	}
	mustApply(t, s, step)
	for range 2 { // in memory, then from disk
		for _, prefix := range append([]string{"", "c", "a\xff\xff\xff", "\xff\xff\xff"}, all...) {
			for _, start := range append([]string{"", "a1", "zzz", "\xff\xff\xff\xff"}, all...) {
				var want []string
				for _, key := range all {
					if strings.HasPrefix(key, prefix) && key >= start {
						want = append(want, key)
					}
				}
				slices.Sort(want)
				if diff := cmp.Diff(want, scanKeys(t, s, prefix, start)); diff != "" {
					t.Errorf("Scan(%q, %q) (-want +got):\n%s", prefix, start, diff)
				}
			}
		}
		mustFlush(t, s, 1)
		mustClose(t, s)
		s = mustOpen(t, open, fs)
	}
	mustClose(t, s)
}

// testScanNeverStale scans while a writer rewrites, deletes and adds keys. Each
// value is the index that wrote it. An entry older than the scan's Meta must be
// the one that was current then, and no key that stays may be missing.
func testScanNeverStale(t *testing.T, open Open) {
	s := mustOpen(t, open, vfs.NewMem())
	defer mustClose(t, s)
	const keys, chunk = 600, 100
	key := func(i uint64) string { return fmt.Sprintf("k%03d", i) }
	// write rewrites a window of keys; every tenth key is deleted every other time.
	write := func(index uint64) *store.Mutations {
		m := entry(index)
		for i := range uint64(chunk) {
			k := (index*chunk + i) % keys
			if k%10 == 0 && (index/6)%2 == 1 {
				m.Ops = append(m.Ops, del(store.Data, key(k)))
			} else {
				m.Ops = append(m.Ops, set(store.Data, key(k), strconv.FormatUint(index, 10)))
			}
		}
		return m
	}
	const rounds = keys / chunk
	for i := uint64(1); i <= rounds; i++ {
		mustApply(t, s, write(i))
	}
	writer := startWriter(s, rounds+1, math.MaxUint64, write)
	defer writer.stop()
	for range 50 {
		cursor, meta, err := s.Scan(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var last string
		staying := 0
		for cursor.Next() {
			k := string(cursor.Key())
			if k <= last {
				t.Errorf("%q after %q", k, last)
			}
			last = k
			number, _ := strconv.ParseUint(k[1:], 10, 64)
			if number%10 != 0 {
				staying++
			}
			index, err := strconv.ParseUint(string(cursor.Value()), 10, 64)
			// Every key is rewritten every rounds entries.
			if err != nil || index+rounds <= meta.Index || (index*chunk)%keys/chunk != number/chunk {
				t.Errorf("scan from entry %d: %s = %q", meta.Index, k, cursor.Value())
			}
		}
		if staying != keys-keys/10 {
			t.Errorf("scan from entry %d: %d of %d keys", meta.Index, staying, keys-keys/10)
		}
		if err := cursor.Err(); err != nil {
			t.Error(err)
		}
		if err := cursor.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := writer.stop(); err != nil {
		t.Fatal(err)
	}
}
