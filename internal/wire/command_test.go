package wire

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sheafdb/sheaf"
)

// TestCommandsReadBackAsWritten: every kind, with everything that it carries.
func TestCommandsReadBackAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 1, 20)
		number := rapid.Uint64()
		want := Command{
			Kind:  Kind(rapid.IntRange(int(Fast), int(Bundle)).Draw(t, "kind")),
			NowMS: number.Draw(t, "now"), RetentionMS: number.Draw(t, "retention"), MaxRows: number.Draw(t, "rows"),
		}
		if want.Kind != Tick {
			want.RequestID = string(text.Draw(t, "id"))
			want.DeadlineMS = number.Draw(t, "deadline")
			copy(want.Fingerprint[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "fingerprint"))
		}
		if want.Kind != Tick && want.Kind != Fast && want.Kind != Bundle {
			want.Attempt, want.HomeKey, want.Condition = number.Draw(t, "attempt"), text.Draw(t, "home"), number.Draw(t, "condition")
		}
		switch want.Kind {
		case Fast, Prepare:
			want.After, want.Level = number.Draw(t, "after"), sheaf.Sequential
			want.IfMatch = Match{Set: true, Tags: []ETagSum{{Hi: number.Draw(t, "hi"), Lo: number.Draw(t, "lo")}}}
			want.Entries = Canonical(encode(put("a", "1"), Entry{Key: []byte("b"), Delete: true}))
		case Bundle:
			want.After, want.Level = number.Draw(t, "after"), sheaf.Sequential
			raw := encode(put("a", "1"), Entry{Key: []byte("a"), Delete: true, HasIfVersion: rapid.Bool().Draw(t, "conditional")}, put("a", "2"))
			want.Entries, _ = ParseBundle(raw, shapeOnly)
		case Tick:
		default:
			want.Version, want.Commit = number.Draw(t, "version"), rapid.Bool().Draw(t, "commit")
			want.Keys = rapid.SliceOfN(text, 0, 3).Draw(t, "keys")
			if len(want.Keys) == 0 {
				want.Keys = nil
			}
		}
		data := append(want.AppendHeader(nil), want.Entries.Raw()...)
		got, err := DecodeCommand(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Entries{})); diff != "" {
			t.Fatal(diff)
		}
		for cut := range data {
			short, err := DecodeCommand(data[:cut])
			if err == nil && bytes.Equal(append(short.AppendHeader(nil), short.Entries.Raw()...), data) {
				t.Fatalf("the first %d of %d bytes are taken for all", cut, len(data))
			}
		}
	})
}

func TestRowsReadBackAsWritten(t *testing.T) {
	for _, want := range []Row{
		{Version: 7, DueMS: 9},
		{Version: 7, DueMS: 9, Refused: []uint64{1, 2}},
		{Version: 7, DueMS: 9, Attempt: 5},
		{Version: 7, DueMS: 9, Bundle: true},
		{Version: 7, DueMS: 9, Bundle: true, Without: Positions{0, 0, 3}},
		{Version: 7, DueMS: 9, Attempt: 5, Refused: []uint64{1}, Unfinished: [][]byte{[]byte("a"), []byte("bb")}},
	} {
		got, err := DecodeRow(want.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestPreparedAndHolderReadBackAsWritten(t *testing.T) {
	part := Prepared{
		HomeKey: []byte("home"), DeadlineMS: 1, Fingerprint: Fingerprint{2}, RetentionMS: 3, FrozenMS: 4, LowerBound: 5,
		Entries: Canonical(encode(put("a", "1"), put("b", "2"))),
	}
	got, err := DecodePrepared(append(part.AppendHead(nil), part.Entries.Raw()...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(part, got, cmp.AllowUnexported(Entries{})); diff != "" {
		t.Error(diff)
	}
	holder := Holder{RequestID: "r", Attempt: 7, UntilMS: 8}
	if got, err := DecodeHolder(holder.Append(nil)); err != nil || !cmp.Equal(got, holder) {
		t.Errorf("%+v, %v", got, err)
	}
	pause := Paused{ID: "p", Began: 1 << 40, UntilMS: 9}
	if got, err := DecodePaused(pause.Append(nil)); err != nil || got != pause {
		t.Errorf("%+v, %v", got, err)
	}
	if id, attempt := SplitAttempt(AppendAttempt(nil, "r", 7)); id != "r" || attempt != 7 {
		t.Errorf("%q, %d", id, attempt)
	}
}
