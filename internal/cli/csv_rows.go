package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// csvRows reads the rows of a table, as encoding/csv does, and has it read what is not plain. A
// row on one line without quotes, which most are, needs no parser and no strings. Both take
// from the same buffer, row by row.
type csvRows struct {
	buffer *bufio.Reader
	ends   *lineEnds
	reader *csv.Reader
	// read is how many lines the reader has taken, and passed how many were plain.
	read, passed int
	offset       int64 // of the reader, behind its last row
	fields       [][]byte
	room         []byte // of fields that are the reader's
}

// csvRow is a row whose fields are valid until the next is read.
type csvRow struct {
	fields [][]byte
	line   int
	bytes  int64 // it takes in the file, with empty lines before it
	bad    error // says why there are no fields. The table goes on behind it.
}

// readBytes is how much of a file is read at a time. It must not be less than encoding/csv
// wants of a buffer, or that would put one of its own before it.
const readBytes = 256 << 10

func newCSVRows(r io.Reader) *csvRows {
	ends := &lineEnds{from: r}
	buffer := bufio.NewReaderSize(ends, readBytes)
	rows := &csvRows{buffer: buffer, ends: ends, reader: csv.NewReader(buffer)}
	rows.reader.ReuseRecord = true
	return rows
}

// next returns the next row, or io.EOF. All rows have as many fields as the first. Any other error
// ends the table.
func (c *csvRows) next() (csvRow, error) {
	if row, ok := c.plain(); ok {
		return row, nil
	}
	fields, err := c.reader.Read()
	bad, isBad := errors.AsType[*csv.ParseError](err)
	if err == io.EOF || err != nil && !isBad {
		return csvRow{}, err
	}
	row := csvRow{bytes: c.reader.InputOffset() - c.offset}
	c.offset = c.reader.InputOffset()
	if isBad {
		row.line, row.bad, c.read = bad.StartLine, bad.Err, bad.Line
		switch {
		case errors.Is(bad, csv.ErrFieldCount):
			row.bad = fmt.Errorf("has %d fields, and the header names %d", len(fields), c.reader.FieldsPerRecord)
		case c.open(bad): // one bad row would be all that follow
			return csvRow{}, &exitError{
				code: exitUsage, next: "correct it",
				err: fmt.Errorf("line %d: a quote is opened here and not closed before the end of the file", row.line+c.passed),
			}
		}
	} else {
		row.line, _ = c.reader.FieldPos(0)
		row.fields = c.own(fields)
	}
	if n := len(fields) - 1; n >= 0 { // the last field may have several lines
		last, _ := c.reader.FieldPos(n)
		c.read = max(c.read, last+strings.Count(fields[n], "\n"))
	}
	row.line += c.passed
	return row, nil
}

// open says whether the end of the file came before that of a quote: encoding/csv stands behind
// the file's last line then, and on a wrong character otherwise.
func (c *csvRows) open(bad *csv.ParseError) bool {
	if _, err := c.buffer.Peek(1); err != io.EOF {
		return false
	}
	return bad.Err == csv.ErrQuote && bad.Column == 1+c.ends.last() //nolint:errorlint // it is not wrapped in there
}

// lineEnds passes on what it reads and knows how long the last line was.
type lineEnds struct {
	from io.Reader
	// line is the length of the line that is being read, and whole of the last that is whole, with
	// its LF. cr says that the last byte was a CR, and wholeCR that one stood before the last LF.
	line, whole int
	cr, wholeCR bool
}

func (l *lineEnds) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	read := p[:n]
	if end := bytes.LastIndexByte(read, '\n'); end >= 0 {
		if before := bytes.LastIndexByte(read[:end], '\n'); before >= 0 {
			l.whole = end - before
		} else {
			l.whole = l.line + end + 1
		}
		l.wholeCR = end > 0 && read[end-1] == '\r' || end == 0 && l.cr
		l.line = 0
		read = read[end+1:]
	}
	l.line += len(read)
	if n > 0 {
		l.cr = p[n-1] == '\r'
	}
	return n, err
}

// last is the length of the last line as encoding/csv counts it: CR LF is one byte, and a CR at the
// end of the file is none.
func (l *lineEnds) last() int {
	switch {
	case l.line > 0 && l.cr:
		return l.line - 1
	case l.line > 0:
		return l.line
	case l.wholeCR:
		return l.whole - 1
	}
	return l.whole
}

// plain returns the next row if it is plain and in the buffer already.
func (c *csvRows) plain() (csvRow, bool) {
	buffered, _ := c.buffer.Peek(c.buffer.Buffered())
	end := bytes.IndexByte(buffered, '\n')
	if end < 0 || bytes.IndexByte(buffered[:end], '"') >= 0 {
		return csvRow{}, false
	}
	rest := bytes.TrimSuffix(buffered[:end], []byte("\r"))
	if len(rest) == 0 {
		return csvRow{}, false // no row
	}
	c.fields = c.fields[:0]
	for comma := bytes.IndexByte(rest, ','); comma >= 0; comma = bytes.IndexByte(rest, ',') {
		c.fields = append(c.fields, rest[:comma])
		rest = rest[comma+1:]
	}
	c.fields = append(c.fields, rest)
	if len(c.fields) != c.reader.FieldsPerRecord {
		return csvRow{}, false // the reader says what is wrong, or how many they are
	}
	if _, err := c.buffer.Discard(end + 1); err != nil {
		panic(fmt.Sprintf("what is buffered cannot be discarded: %v", err))
	}
	c.passed++
	return csvRow{fields: c.fields, line: c.read + c.passed, bytes: int64(end) + 1}, true
}

func (c *csvRows) own(fields []string) [][]byte {
	c.fields, c.room = c.fields[:0], c.room[:0]
	for _, field := range fields {
		at := len(c.room)
		c.room = append(c.room, field...) // where it moves, what is there stays as it is
		c.fields = append(c.fields, c.room[at:len(c.room):len(c.room)])
	}
	return c.fields
}
