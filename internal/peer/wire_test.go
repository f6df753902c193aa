package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"
)

// frameOf returns the bytes of a frame.
func frameOf(parts ...[]byte) []byte {
	var b batch
	b.add(parts...)
	var out bytes.Buffer
	if err := b.writeTo(&out); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// noise repeats at no boundary that a frame has.
var noise = func() []byte {
	data := make([]byte, 65_521)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data) // which never fails
	return data
}()

func randomBytes(n int) []byte { return bytes.Repeat(noise, n/len(noise)+1)[:n] }

func TestFramesArriveAsTheyWereSent(t *testing.T) {
	frames := [][][]byte{
		{[]byte("short")},
		{},
		{randomBytes(copyBelow - 1), randomBytes(copyBelow), nil, randomBytes(copyBelow + 1), []byte("end")},
		{[]byte("short again")},
	}
	long := [][][]byte{
		{randomBytes(firstBytes)},
		{randomBytes(firstBytes + 1)},
		{[]byte("head"), randomBytes(growth*firstBytes + 1)},
		{[]byte("last")},
	}
	for _, test := range []struct {
		name   string
		reader func(io.Reader) io.Reader
		frames [][][]byte
	}{
		{"at once", func(r io.Reader) io.Reader { return r }, append(frames, long...)},
		{"in halves", iotest.HalfReader, append(frames, long...)},
		{"byte by byte", iotest.OneByteReader, frames},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b batch
			for round := range 2 { // the batch is used again
				var sent bytes.Buffer
				for _, parts := range test.frames {
					b.add(parts...)
				}
				if err := b.writeTo(&sent); err != nil {
					t.Fatal(err)
				}
				r := newFrameReader(test.reader(&sent), maxFrameBytes)
				for i, parts := range test.frames {
					if got, err := r.read(); err != nil || !bytes.Equal(got, bytes.Join(parts, nil)) {
						t.Errorf("round %d, frame %d: %d bytes, %v", round, i, len(got), err)
					}
				}
				if _, err := r.read(); err != io.EOF { //nolint:errorlint // as it is promised
					t.Errorf("after the last frame: %v", err)
				}
			}
		})
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	frame := frameOf([]byte("some bytes"))
	for bit := range 8 * len(frame) {
		damaged := bytes.Clone(frame)
		damaged[bit/8] ^= 1 << (bit % 8)
		r := newFrameReader(bytes.NewReader(damaged), maxFrameBytes)
		if got, err := r.read(); err == nil {
			t.Errorf("bit %d: %q is taken", bit, got)
		}
	}
}

func TestZerosAreNoFrame(t *testing.T) {
	r := newFrameReader(bytes.NewReader(make([]byte, 100)), maxFrameBytes)
	if _, err := r.read(); !errors.Is(err, errBroken) {
		t.Errorf("they are taken: %v", err)
	}
}

func TestHalfAFrameIsNone(t *testing.T) {
	frame := frameOf([]byte("some bytes"))
	for n := 1; n < len(frame); n++ {
		r := newFrameReader(bytes.NewReader(frame[:n]), maxFrameBytes)
		if got, err := r.read(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes of it: %q, %v", n, got, err)
		}
	}
}

// allocated is how many bytes do takes from the heap.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestAnAnnouncedLengthIsNotMemory(t *testing.T) {
	for _, test := range []struct {
		announced      uint32
		maxBytes, most int
		broken         bool
	}{
		{1 << 30, maxFrameBytes, readBufferBytes + 10_000, true},
		{maxFrameBytes, maxFrameBytes, firstBytes + readBufferBytes + 10_000, false},
		{1 << 30, maxGreetingBytes, readBufferBytes + 10_000, true},
		{maxGreetingBytes, maxGreetingBytes, maxGreetingBytes + readBufferBytes + 10_000, false},
	} {
		data := binary.LittleEndian.AppendUint32(nil, test.announced)
		data = append(data, "nine more bytes"[:13]...)
		var err error
		bytes := allocated(func() {
			r := newFrameReader(bytes.NewReader(data), test.maxBytes)
			_, err = r.read()
		})
		if errors.Is(err, errBroken) != test.broken || err == nil {
			t.Errorf("%d of %d: %v", test.announced, test.maxBytes, err)
		}
		if bytes > uint64(test.most) {
			t.Errorf("%d of %d: %d bytes were allocated", test.announced, test.maxBytes, bytes)
		}
	}
}

// FuzzFrames: whatever arrives, nothing but an error comes of it; and what is read is written
// the same again. repair makes the checksum of the first frame right, which chance does not.
func FuzzFrames(f *testing.F) {
	f.Add(frameOf([]byte("one")), false)
	f.Add(append(frameOf(), frameOf([]byte("two"), randomBytes(50))...), false)
	f.Add([]byte{0, 0, 0, 0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}, false)
	f.Add(make([]byte, 24), false)
	f.Add([]byte{3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, true)
	f.Fuzz(func(t *testing.T, data []byte, repair bool) {
		if size := len(data) - headerBytes; repair && size >= 0 {
			size = min(size, int(data[0]))
			data = append(frameOf(data[headerBytes:headerBytes+size]), data[headerBytes+size:]...)
		}
		r := newFrameReader(bytes.NewReader(data), maxGreetingBytes)
		for at := 0; ; {
			payload, err := r.read()
			if err != nil {
				if errors.Is(err, io.EOF) && at != len(data) {
					t.Errorf("the end is seen at byte %d of %d", at, len(data))
				}
				if repair && at == 0 && len(data) >= headerBytes {
					t.Errorf("a good frame is not taken: %v", err)
				}
				return
			}
			frame := frameOf(payload)
			if at+len(frame) > len(data) || !bytes.Equal(frame, data[at:at+len(frame)]) {
				t.Fatalf("%q was read from %q", payload, data[at:])
			}
			at += len(frame)
		}
	})
}

// FuzzGreeting: whatever is said, it is admitted only with all that a greeting has.
func FuzzGreeting(f *testing.F) {
	f.Add([]byte(`{"protocol":"sheaf-peer/1","cluster":"c","id":1,"name":"n1","disk":"d","to":2,"purpose":"urgent"}`))
	f.Add([]byte(`{"protocol":"sheaf-peer/1","id":-1}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, refused := parseGreeting(data)
		if refused == nil && (g.Protocol != protocol || g.ID == 0 || g.Disk == "" || g.Purpose == "") {
			t.Errorf("%q is admitted as %+v", data, g)
		}
		if refused != nil && (refused.Code != codeGreeting || len(refused.Detail) > maxDetailBytes) {
			t.Errorf("%q is refused by %+v", data, refused)
		}
	})
}
