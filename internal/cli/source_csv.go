package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/sheafdb/sheaf"
)

// readBytes is how much of a file is read at a time.
const readBytes = 256 << 10

// csvSource reads a table with a header row. The key is the column keyColumn,
// or the first one; the value is the column valueColumn, or the whole row as a
// JSON object of strings in the order of the columns.
func csvSource(r io.Reader, keyColumn, valueColumn string) source {
	return func(yield func(record, error) bool) {
		rows := csv.NewReader(bufio.NewReaderSize(r, readBytes))
		rows.ReuseRecord = true
		t, err := readHeader(rows, keyColumn, valueColumn)
		if err != nil {
			yield(record{}, err)
			return
		}
		for begin := rows.InputOffset(); ; {
			row, err := rows.Read()
			if err == io.EOF {
				return
			}
			end := rows.InputOffset()
			rec := record{bytes: end - begin}
			begin = end
			if err == nil {
				rec.line, _ = rows.FieldPos(0)
				rec.entry = t.entry(row)
			} else if bad, ok := errors.AsType[*csv.ParseError](err); ok {
				rec.line, rec.bad = bad.StartLine, bad.Err
			} else {
				yield(record{}, fmt.Errorf("read CSV: %w", err))
				return
			}
			if !yield(checked(rec), nil) {
				return
			}
		}
	}
}

// csvTable knows the columns of a CSV file.
type csvTable struct {
	names      []json.RawMessage // the header, as JSON strings
	key, value int               // value is -1 for the whole row
	room       []byte            // of the last entry
}

func readHeader(rows *csv.Reader, keyColumn, valueColumn string) (csvTable, error) {
	header, err := rows.Read()
	if err == io.EOF {
		return csvTable{}, errors.New("the CSV is empty: its first row must name the columns")
	}
	if err != nil {
		return csvTable{}, fmt.Errorf("read the header row: %w", err)
	}
	header = slices.Clone(header)
	header[0] = string(bytes.TrimPrefix([]byte(header[0]), []byte("\xef\xbb\xbf"))) // spreadsheets write a BOM
	t := csvTable{value: -1}
	for i, name := range header {
		if slices.Index(header, name) != i {
			return csvTable{}, fmt.Errorf("two columns are named %q: rename one", name)
		}
		t.names = append(t.names, quoteJSON(name))
	}
	column := func(flag, name string) (int, error) {
		i := slices.Index(header, name)
		if i < 0 {
			return 0, fmt.Errorf("--%s: there is no column %q among %q", flag, name, header)
		}
		return i, nil
	}
	if keyColumn != "" {
		if t.key, err = column("key-column", keyColumn); err != nil {
			return t, err
		}
	}
	if valueColumn != "" {
		if t.value, err = column("value-column", valueColumn); err != nil {
			return t, err
		}
	}
	return t, nil
}

// entry makes one of a row, in memory that the next row's takes.
func (t *csvTable) entry(row []string) sheaf.Entry {
	t.room = append(t.room[:0], row[t.key]...)
	at := len(t.room)
	if t.value >= 0 {
		t.room = append(t.room, row[t.value]...)
	} else {
		t.room = t.appendRow(t.room, row)
	}
	return sheaf.Entry{Key: t.room[:at:at], Value: t.room[at:]}
}

// appendRow appends a row as a JSON object of strings.
func (t *csvTable) appendRow(dst []byte, row []string) []byte {
	for i, cell := range row {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		dst = append(append(dst, separator), t.names[i]...)
		dst = append(dst, ':')
		if plain(cell) {
			dst = append(append(append(dst, '"'), cell...), '"')
		} else {
			dst = append(dst, quoteJSON(cell)...)
		}
	}
	return append(dst, '}')
}

// plain says whether a text is its own JSON string.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// quoteJSON writes a JSON string with < and & as they are.
func quoteJSON(s string) json.RawMessage {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	must(encoder.Encode(s))
	return bytes.TrimRight(b.Bytes(), "\n")
}
