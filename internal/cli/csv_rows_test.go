package cli

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// FuzzCSVRows: they are what encoding/csv makes of the same bytes, and stand where it says, however
// the bytes arrive.
func FuzzCSVRows(f *testing.F) {
	for _, table := range []string{
		"a,b\n1,2\n3,4\n", "a,b\r\n1,2\r\n\r\n3,4", "a\n\n\n1\n", "a,b\n\"1\n\n\",2\n3,4\n5,6\n", "a,b\n1,\"2\r\n\n\"\n3,4\n",
		"a,b\n1\n2,3\n", "a,b\n\"\n\",\n1\n2,3\n", "a,b\nx\"y,1\n2,3\n", "a,b\n\"x\n\"y,1\n2,3\n", "a,b\n1,2\n\"3", "a,b\n\n\"3\n4\n",
		"", "\n", "a,a\r\r\n\r\r\nb,\r\n", "a\n\r\r\n", "\"a\",b\n1,2\n", "a,b\n1,2,3\n4,5\n", "a,b\n1,\"x\ny\"z\n2,3\n", "a,b\n\xff,\"\n", "a,b\n1,\"2\n3\"x\n", "a,b\n1,\"2\n3\"\"\n\n", "a,b\n1,\"2\r\n3\r\n", "a,b\n1,\"2\n3\r",
	} {
		f.Add(table)
	}
	f.Fuzz(func(t *testing.T, table string) {
		want := libraryRows(table)
		for _, r := range []io.Reader{strings.NewReader(table), iotest.OneByteReader(strings.NewReader(table)), iotest.HalfReader(strings.NewReader(table))} {
			if diff := cmp.Diff(want, allRows(r)); diff != "" {
				t.Fatalf("%q (- encoding/csv, + here):\n%s", table, diff)
			}
		}
	})
}

// TestAPlainRowTakesNoMemory.
func TestAPlainRowTakesNoMemory(t *testing.T) {
	rows := newCSVRows(strings.NewReader("key,value\n" + strings.Repeat("some key,some value\n", 1000)))
	next := func() {
		if row, err := rows.next(); err != nil || len(row.fields) != 2 {
			t.Fatal(row, err)
		}
	}
	next()
	if n := testing.AllocsPerRun(900, next); n > 0 {
		t.Errorf("%v allocations for a row", n)
	}
}

// toldRow is a row as text.
func toldRow(fields []string, line int, bytes int64, bad error) string {
	return fmt.Sprintf("line %d, %d bytes: %q %v", line, bytes, fields, bad)
}

func allRows(r io.Reader) (all []string) {
	rows := newCSVRows(r)
	for {
		row, err := rows.next()
		if err != nil {
			return append(all, err.Error())
		}
		var fields []string
		for _, field := range row.fields {
			fields = append(fields, string(field))
		}
		all = append(all, toldRow(fields, row.line, row.bytes, row.bad))
	}
}

func libraryRows(table string) (all []string) {
	buffer := bufio.NewReaderSize(strings.NewReader(table), readBytes)
	rows := csv.NewReader(buffer)
	for begin := int64(0); ; begin = rows.InputOffset() {
		fields, err := rows.Read()
		bytes := rows.InputOffset() - begin
		if bad, ok := errors.AsType[*csv.ParseError](err); ok {
			_, ended := buffer.Peek(1)
			lines := strings.SplitAfter(strings.ReplaceAll(table, "\r\n", "\n"), "\n")
			last := lines[len(lines)-1]
			if last == "" && len(lines) > 1 {
				last = lines[len(lines)-2]
			}
			switch {
			case bad.Err == csv.ErrFieldCount: //nolint:errorlint // it is not wrapped in there
				bad.Err = fmt.Errorf("has %d fields, and the header names %d", len(fields), rows.FieldsPerRecord)
			case ended != nil && bad.Err == csv.ErrQuote && bad.Column == 1+len(strings.TrimSuffix(last, "\r")): //nolint:errorlint // the same
				return append(all, fmt.Sprintf("line %d: a quote is opened here and not closed before the end of the file", bad.StartLine))
			}
			all = append(all, toldRow(nil, bad.StartLine, bytes, bad.Err))
			continue
		}
		if err != nil {
			return append(all, err.Error())
		}
		line, _ := rows.FieldPos(0)
		all = append(all, toldRow(fields, line, bytes, nil))
	}
}
