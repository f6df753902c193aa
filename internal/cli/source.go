package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/sheafdb/sheaf"
)

// record is one thing that a source of an import holds.
type record struct {
	// line is its line, or where names it otherwise: a path.
	line  int
	where string
	// bytes is how much of the source's size it stands for.
	bytes int64
	entry sheaf.Entry
	// bad says why there is no entry. The source goes on behind it.
	bad error
}

// place names the record for people.
func (r *record) place() string {
	if r.where != "" {
		return r.where
	}
	return fmt.Sprintf("line %d", r.line)
}

// source yields records in an order that is the same every time, so that an
// import can be taken up again where it stopped. A record and its entry's memory
// may be those of the next. An error ends the source: it cannot be read any further.
type source = iter.Seq2[*record, error]

// maxLineBytes bounds one line of NDJSON: a value of 16 MiB whose every byte is
// written as a six-byte escape, and a key.
const maxLineBytes = 100 << 20

// ndjsonSource reads one entry per line; empty lines are none.
func ndjsonSource(r io.Reader) source {
	return func(yield func(*record, error) bool) {
		lines := bufio.NewScanner(withoutBOM(r))
		lines.Buffer(make([]byte, 64<<10), maxLineBytes)
		lines.Split(newLineSplit())
		number := 0
		var rec record
		entries := newEntryLines()
		for lines.Scan() {
			number++
			line := lines.Bytes()
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			rec.line, rec.bytes = number, int64(len(line))+1
			rec.bad = entries.parse(line, &rec.entry)
			if !yield(checked(&rec), nil) {
				return
			}
		}
		if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
			yield(nil, fmt.Errorf("line %d is longer than %s", number+1, humanBytes(maxLineBytes)))
		} else if err != nil {
			yield(nil, fmt.Errorf("read line %d: %w", number+1, err))
		}
	}
}

// newLineSplit is bufio.ScanLines that does not search again what it has searched: a line of many MB
// comes in pieces.
func newLineSplit() bufio.SplitFunc {
	searched := 0
	return func(data []byte, atEOF bool) (advance int, token []byte, err error) {
		if end := bytes.IndexByte(data[searched:], '\n'); end >= 0 {
			end += searched
			searched = 0
			return end + 1, data[:end], nil
		}
		searched = len(data)
		if atEOF && len(data) > 0 {
			searched = 0
			return len(data), data, nil
		}
		return 0, nil, nil
	}
}

// withoutBOM leaves out the byte order mark that some programs for Windows write before UTF-8.
func withoutBOM(r io.Reader) io.Reader {
	const mark = "\xef\xbb\xbf"
	buffer := bufio.NewReaderSize(r, readBytes)
	if begin, _ := buffer.Peek(len(mark)); string(begin) == mark {
		_, _ = buffer.Discard(len(mark)) // it is there
	}
	return buffer
}

// usualLimits are those of a node for which nothing else was configured.
var usualLimits = sheaf.DefaultLimits()

// checked marks a record that no node would take, so that the record is named
// instead of the whole batch that it would be in.
func checked(rec *record) *record {
	limits := &usualLimits
	switch {
	case rec.bad != nil:
	case len(rec.entry.Key) == 0:
		rec.bad = errors.New("the key is empty")
	case len(rec.entry.Key) > limits.KeyBytes:
		rec.bad = fmt.Errorf("the key has %d bytes: at most %d are allowed", len(rec.entry.Key), limits.KeyBytes)
	case len(rec.entry.Value) > limits.ValueBytes:
		rec.bad = fmt.Errorf("the value has %d bytes: at most %d are allowed", len(rec.entry.Value), limits.ValueBytes)
	}
	return rec
}
