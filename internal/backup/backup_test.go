package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf/internal/store"
)

// content is a backup as maps.
type content struct {
	Header   Header
	Sections []Section
	Records  []map[string]string // by group
}

var header = Header{Cluster: "c", Node: "n1", Groups: 2, Began: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Version: "v", Store: "pebble"}

func metaOf(group uint64) store.Meta {
	return store.Meta{Index: group, Term: 2, NowMS: 3, Clock: 4, Floor: 5, Rows: 6, Held: 7, IDFloorMS: 8}
}

// write makes a backup with records of a size of their own.
func write(t testing.TB, records, valueBytes int) ([]byte, content) {
	t.Helper()
	var file bytes.Buffer
	want := content{Header: header}
	want.Header.StateFormat = StateFormat
	w, err := New(&file, header)
	if err != nil {
		t.Fatal(err)
	}
	for group := range header.Groups {
		if err := w.Begin(metaOf(uint64(group + 1))); err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for i := range records {
			for _, space := range []store.Space{store.Data, store.Rows, store.Due, store.Own, store.Held, store.Attempts} {
				key, value := fmt.Sprint("key-", group, i), strings.Repeat("v", valueBytes)
				if space == store.Due {
					value = ""
				}
				if err := w.Add(space, []byte(key), []byte(value)); err != nil {
					t.Fatal(err)
				}
				if Has(space) {
					all[fmt.Sprint(space, " ", key)] = value
				}
			}
		}
		s, err := w.End()
		if err != nil {
			t.Fatal(err)
		}
		want.Sections = append(want.Sections, s)
		want.Records = append(want.Records, all)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), want
}

func read(file []byte) (got content, err error) {
	r, err := Open(iotest.OneByteReader(bytes.NewReader(file)))
	if err != nil {
		return got, err
	}
	got.Header = r.Header()
	return got, r.Read(Visitor{
		Begin: func(s Section) error {
			if s != (Section{Group: len(got.Records) + 1, Meta: metaOf(uint64(len(got.Records) + 1))}) {
				return fmt.Errorf("a section begins with %+v", s)
			}
			got.Records = append(got.Records, map[string]string{})
			return nil
		},
		Record: func(space store.Space, key, value []byte) error {
			got.Records[len(got.Records)-1][fmt.Sprint(space, " ", string(key))] = string(value)
			return nil
		},
		End: func(s Section) error {
			got.Sections = append(got.Sections, s)
			return nil
		},
	})
}

func TestABackupReadsBackAsWritten(t *testing.T) {
	for _, size := range []struct{ records, valueBytes int }{{0, 0}, {3, 10}, {3000, 100}, {2, 1 << 20}} {
		file, want := write(t, size.records, size.valueBytes)
		got, err := read(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		for _, s := range got.Sections {
			if n := uint64(size.records); s.Counts != (Counts{n, n, n}) {
				t.Errorf("section %+v, want %d records of each", s, n)
			}
		}
		h, sections, err := Verify(bytes.NewReader(file))
		if err != nil || !cmp.Equal(h, want.Header) || !cmp.Equal(sections, want.Sections) {
			t.Errorf("%+v, %+v, %v", h, sections, err)
		}
	}
}

// TestNoDamageGoesUnnoticed: every byte flipped, and the file cut at every byte.
func TestNoDamageGoesUnnoticed(t *testing.T) {
	file, _ := write(t, 3, 10)
	for at := range file {
		for _, bit := range []byte{0x01, 0x80} {
			flipped := bytes.Clone(file)
			flipped[at] ^= bit
			_, _, err := Verify(bytes.NewReader(flipped))
			if err == nil {
				t.Fatalf("bit %#x of byte %d is flipped, and nobody notices", bit, at)
			}
			if at >= preambleBytes && !errors.Is(err, ErrDamaged) {
				t.Errorf("byte %d is flipped: %v", at, err)
			}
		}
		if _, _, err := Verify(bytes.NewReader(file[:at])); err == nil {
			t.Fatalf("the first %d of %d bytes are taken for all", at, len(file))
		}
	}
}

// TestFramesStayInTheirPlace: frames that are whole, but missing or in another order.
func TestFramesStayInTheirPlace(t *testing.T) {
	file, _ := write(t, 3000, 100)
	var frames [][]byte
	for rest := file[preambleBytes:]; len(rest) > 0; {
		n := frameHeadBytes + int(binary.LittleEndian.Uint32(rest[1:])) + sumBytes
		frames = append(frames, rest[:n])
		rest = rest[n:]
	}
	if len(frames) < 10 {
		t.Fatalf("only %d frames", len(frames))
	}
	with := func(frames [][]byte) []byte {
		return append(bytes.Clone(file[:preambleBytes]), bytes.Join(frames, nil)...)
	}
	for i := range frames {
		without := slices.Delete(slices.Clone(frames), i, i+1)
		if _, _, err := Verify(bytes.NewReader(with(without))); err == nil {
			t.Errorf("frame %d is missing, and nobody notices", i)
		}
		if i == 0 {
			continue
		}
		swapped := slices.Clone(frames)
		swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
		if _, _, err := Verify(bytes.NewReader(with(swapped))); err == nil {
			t.Errorf("frames %d and %d are swapped, and nobody notices", i-1, i)
		}
	}
}

// TestErrorsSayWhatToDo about a file that is not what it should be.
func TestErrorsSayWhatToDo(t *testing.T) {
	file, _ := write(t, 3, 10)
	future := bytes.Clone(file)
	binary.LittleEndian.PutUint32(future[len(magic):], formatVersion+1)
	var otherState bytes.Buffer
	w, err := New(&otherState, header)
	if err != nil {
		t.Fatal(err)
	}
	otherState.Reset()
	w.crc = 0
	w.sha.Reset()
	if err := w.write(file[:preambleBytes]); err != nil {
		t.Fatal(err)
	}
	if err := w.small(kindHeader, fmt.Appendf(nil, `{"state_format":%d,"groups":1,"version":"9.9"}`, StateFormat+1)); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		file    []byte
		want    string
		damaged bool
	}{
		"empty":        {nil, "this is not a backup", false},
		"another file": {[]byte("PK\x03\x04 and so on and on"), "this is not a backup", false},
		"newer":        {future, "it has format 2 and this version of sheaf reads 1: use a newer one", false},
		"newer state":  {otherState.Bytes(), "use the version that made it (9.9)", false},
		"cut off":      {file[:len(file)-1], "it ends there, before its end", true},
		"garbage":      {append(bytes.Clone(file), 0), "bytes follow its end", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Verify(bytes.NewReader(test.file))
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, ErrDamaged) != test.damaged {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
	disk := errors.New("the disk is gone")
	if _, _, err := Verify(iotest.TimeoutReader(bytes.NewReader(file))); err != nil && !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("%v", err)
	}
	if _, _, err := Verify(iotest.ErrReader(disk)); !errors.Is(err, disk) {
		t.Errorf("%v, want what reading failed with", err)
	}
}

func TestAWriterWantsEveryGroup(t *testing.T) {
	w, err := New(new(bytes.Buffer), header)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Begin(metaOf(1)); err != nil {
		t.Fatal(err)
	}
	if err := w.Begin(metaOf(2)); err == nil {
		t.Error("a section begins in another")
	}
	if err := w.Close(); err == nil {
		t.Error("a backup ends in a section")
	}
	if _, err := w.End(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil {
		t.Error("a backup of two groups ends after one")
	}
}

// TestSumsDoNotDependOnOrder, and on everything else they do.
func TestSumsDoNotDependOnOrder(t *testing.T) {
	type record struct {
		space      store.Space
		key, value string
	}
	sum := func(records ...record) (s Sum) {
		var scratch []byte
		for _, r := range records {
			scratch = s.Add(r.space, []byte(r.key), []byte(r.value), scratch)
		}
		return s
	}
	a, b := record{store.Data, "a", "1"}, record{store.Rows, "b", "2"}
	if sum(a, b) != sum(b, a) {
		t.Error("the order counts")
	}
	for _, other := range []Sum{sum(a), sum(a, a), sum(a, b, b), sum(a, record{store.Data, "b", "2"}), sum(a, record{store.Rows, "b2", ""})} {
		if other == sum(a, b) {
			t.Error("another set of records has the same sum")
		}
	}
}

// FuzzReader: whatever the bytes, reading ends, with an error unless they are a backup. It reads
// them as they are, and once more as frames whose sums fit: kind, length (1 byte), payload.
func FuzzReader(f *testing.F) {
	file, _ := write(f, 3, 10)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add(append(bytes.Clone(file[:preambleBytes]), kindHeader, 0xff, 0xff, 0xff, 0x3f, 1, 2, 3))
	var framed []byte
	for rest := file[preambleBytes:]; len(rest) > 0; {
		n := int(binary.LittleEndian.Uint32(rest[1:]))
		framed = append(append(framed, rest[0], byte(n)), rest[frameHeadBytes:frameHeadBytes+n]...)
		rest = rest[frameHeadBytes+n+sumBytes:]
	}
	f.Add(framed)
	f.Fuzz(func(t *testing.T, data []byte) {
		var fitting bytes.Buffer
		w := &Writer{to: &fitting, sha: sha256.New()}
		if err := w.write(file[:preambleBytes]); err != nil {
			t.Fatal(err)
		}
		for rest := data; len(rest) >= 2; {
			n := min(int(rest[1]), len(rest)-2)
			if err := w.small(rest[0], rest[2:2+n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[2+n:]
		}
		for _, file := range [][]byte{data, fitting.Bytes()} {
			h, sections, err := Verify(bytes.NewReader(file))
			if err == nil && (len(sections) != h.Groups || h.StateFormat != StateFormat) {
				t.Fatalf("%+v with %d sections is taken for whole", h, len(sections))
			}
		}
	})
}

// BenchmarkVerify is what a check of a file costs beside reading it.
func BenchmarkVerify(b *testing.B) {
	file, _ := write(b, 20_000, 128)
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, _, err := Verify(bytes.NewReader(file)); err != nil {
			b.Fatal(err)
		}
	}
}
