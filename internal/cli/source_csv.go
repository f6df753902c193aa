package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// csvSource reads a table with a header row. The key is the column keyColumn,
// or the first one; the value is the column valueColumn, or the whole row as a
// JSON object of strings in the order of the columns.
func csvSource(r io.Reader, keyColumn, valueColumn string) source {
	return func(yield func(*record, error) bool) {
		rows := newCSVRows(withoutBOM(r))
		t, err := readHeader(rows, keyColumn, valueColumn)
		if err != nil {
			yield(nil, err)
			return
		}
		var rec record
		for {
			row, err := rows.next()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("read CSV: %w", err))
				return
			}
			rec.line, rec.bytes, rec.bad = row.line, row.bytes, row.bad
			rec.entry.Key, rec.entry.Value = nil, nil
			if rec.bad == nil {
				rec.entry.Key, rec.entry.Value, rec.bad = t.keyAndValue(row.fields)
			}
			if !yield(checked(&rec), nil) {
				return
			}
		}
	}
}

// csvTable knows the columns of a CSV file.
type csvTable struct {
	names      []json.RawMessage // the header, as JSON strings
	key, value int               // value is -1 for the whole row
	room       []byte            // of the last row as an object
}

func readHeader(rows *csvRows, keyColumn, valueColumn string) (csvTable, error) {
	first, err := rows.next()
	if err == io.EOF {
		return csvTable{}, errors.New("the CSV is empty: its first row must name the columns")
	}
	if err = cmp.Or(err, first.bad); err != nil {
		return csvTable{}, fmt.Errorf("read the header row: %w", err)
	}
	var header []string
	for _, name := range first.fields {
		header = append(header, string(name))
	}
	t := csvTable{value: -1}
	for i, name := range header {
		if strings.ContainsRune(name, '\r') {
			return csvTable{}, fmt.Errorf("the column %q has a carriage return in its name: lines must end in LF or CR LF", name)
		}
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

// keyAndValue are those of a row. Their memory is the row's, or the table's until the next.
func (t *csvTable) keyAndValue(row [][]byte) (key, value []byte, err error) {
	if t.value >= 0 {
		return row[t.key], row[t.value], nil
	}
	t.room, err = t.appendRow(t.room[:0], row)
	return row[t.key], t.room, err
}

// appendRow appends a row as a JSON object of strings.
func (t *csvTable) appendRow(dst []byte, row [][]byte) ([]byte, error) {
	for i, cell := range row {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		dst = append(append(dst, separator), t.names[i]...)
		dst = append(dst, ':')
		switch {
		case plain(cell):
			dst = append(append(append(dst, '"'), cell...), '"')
		case utf8.Valid(cell):
			dst = append(dst, quoteJSON(string(cell))...)
		default:
			return dst, fmt.Errorf("the column %s is not UTF-8, which a row as JSON must be: convert the file, or take one column as it is with --value-column", t.names[i])
		}
	}
	return append(dst, '}'), nil
}

// plain says whether a text is its own JSON string.
func plain(text []byte) bool {
	for _, c := range text {
		if c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
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
