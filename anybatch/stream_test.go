package anybatch_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sheafdb/sheaf/anybatch"
)

// delimited is what protodelim writes, and where each message of it ends.
func delimited(t testing.TB, anys []*anypb.Any) (stream []byte, ends []int) {
	t.Helper()
	var out bytes.Buffer
	for _, a := range anys {
		if _, err := protodelim.MarshalTo(&out, a); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, out.Len())
	}
	return out.Bytes(), ends
}

func seconds(from, to int64) (messages []proto.Message) {
	for i := from; i < to; i++ {
		messages = append(messages, &durationpb.Duration{Seconds: i})
	}
	return messages
}

func TestStreamFillsBatchAfterBatch(t *testing.T) {
	r := newRig(t)
	anys := wrap(t, seconds(1, 8)...)
	text, ends := delimited(t, anys)
	for name, limits := range map[string]anybatch.Limits{
		"messages": {Messages: 3},
		// One frame is 2 bytes of tags and 2 of lengths above what is counted, so
		// three and a half of them have room for three.
		"bytes": {Bytes: ends[0]*7/2 - 5},
	} {
		s := anybatch.NewStream(iotest.OneByteReader(bytes.NewReader(text)))
		b := r.registry.NewBatch(limits)
		for _, part := range [][2]int64{{1, 4}, {4, 7}, {7, 8}} {
			if err := s.Fill(b); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			sameMessages(t, b, seconds(part[0], part[1])...)
		}
		for range 2 {
			if err := s.Fill(b); err != io.EOF || b.Len() != 0 { //nolint:errorlint // bare by contract
				t.Fatalf("%s: behind the end: %d messages, %v", name, b.Len(), err)
			}
		}
	}
}

func TestStreamGoesOnBehindAMessageThatCannotBeDecoded(t *testing.T) {
	r := newRig(t)
	broken := &anypb.Any{TypeUrl: "/google.protobuf.Duration", Value: []byte{0x08}}
	anys := append(wrap(t, append(seconds(1, 2), wrapperspb.Int64(1))...), broken)
	text, _ := delimited(t, append(anys, wrap(t, seconds(5, 7)...)...))
	s := anybatch.NewStream(bytes.NewReader(text))
	b := r.registry.NewBatch(anybatch.Limits{})
	if err := s.Fill(b); !errors.Is(err, anybatch.ErrUnknownType) {
		t.Fatal(err)
	}
	sameMessages(t, b, seconds(1, 2)...)
	var failure *anybatch.Error
	if err := s.Fill(b); !errors.Is(err, anybatch.ErrMalformed) || !errors.As(err, &failure) || failure.Index != 0 {
		t.Fatal(err)
	}
	if err := s.Fill(b); err != nil {
		t.Fatal(err)
	}
	sameMessages(t, b, seconds(5, 7)...)
}

func TestStreamCutAnywhereSaysSo(t *testing.T) {
	r := newRig(t)
	text, ends := delimited(t, wrap(t, seconds(1, 3)...))
	b := r.registry.NewBatch(anybatch.Limits{})
	for cut := range text {
		s := anybatch.NewStream(bytes.NewReader(text[:cut]))
		err := s.Fill(b)
		whole := 0
		for whole < len(ends) && ends[whole] <= cut {
			whole++
		}
		atEnd := cut == 0 || cut == ends[0]
		switch {
		case b.Len() != whole:
			t.Fatalf("cut at %d: %d messages, want %d", cut, b.Len(), whole)
		case cut == 0 && err != io.EOF, cut == ends[0] && err != nil: //nolint:errorlint // bare by contract
			t.Fatalf("cut at %d, between messages: %v", cut, err)
		case !atEnd && !(errors.Is(err, io.ErrUnexpectedEOF) && errors.Is(err, anybatch.ErrMalformed)):
			t.Fatalf("cut at %d, in a message: %v", cut, err)
		}
		if err := s.Fill(b); err == nil || b.Len() != 0 {
			t.Fatalf("cut at %d: the next Fill found %d messages, %v", cut, b.Len(), err)
		}
	}
}

func TestStreamRefusesAMessageBeforeItReadsIt(t *testing.T) {
	r := newRig(t)
	b := r.registry.NewBatch(anybatch.Limits{MessageBytes: 1000})
	for name, length := range map[string][]byte{
		"just above":      {0xe9, 0x07},
		"2^63":            {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01},
		"more than 2^64":  bytes.Repeat([]byte{0xff}, 11),
		"nothing after 0": {0},
	} {
		s := anybatch.NewStream(bytes.NewReader(length))
		err := s.Fill(b)
		switch name {
		case "just above", "2^63":
			if !errors.Is(err, anybatch.ErrMessageTooLarge) {
				t.Errorf("%s: %v", name, err)
			}
		case "nothing after 0": // an Any without a type
			if !errors.Is(err, anybatch.ErrUnknownType) {
				t.Errorf("%s: %v", name, err)
			}
		default:
			if err == nil || err == io.EOF { //nolint:errorlint // bare by contract
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestStreamReportsTheReadersError(t *testing.T) {
	r := newRig(t)
	text, ends := delimited(t, wrap(t, seconds(1, 3)...))
	gone := errors.New("connection gone")
	for _, cut := range []int{ends[0], ends[0] + 5} {
		s := anybatch.NewStream(io.MultiReader(bytes.NewReader(text[:cut]), iotest.ErrReader(gone)))
		b := r.registry.NewBatch(anybatch.Limits{})
		err := s.Fill(b)
		if !errors.Is(err, gone) || errors.Is(err, anybatch.ErrMalformed) || b.Len() != 1 {
			t.Errorf("cut at %d: %d messages, %v", cut, b.Len(), err)
		}
		if err := s.Fill(b); !errors.Is(err, gone) {
			t.Errorf("the next Fill: %v", err)
		}
	}
}

// endless repeats a text for ever.
type endless struct {
	text []byte
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

func TestStreamAllocatesNothingInTheSteadyState(t *testing.T) {
	r := newRig(t)
	text, _ := delimited(t, wrap(t, seconds(1, 100)...))
	s := anybatch.NewStream(&endless{text: text})
	b := r.registry.NewBatch(anybatch.Limits{Messages: 1000})
	if allocs := testing.AllocsPerRun(10, func() {
		if err := s.Fill(b); err != nil || b.Len() != 1000 {
			t.Fatal(b.Len(), err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations for 1,000 messages", allocs)
	}
}
