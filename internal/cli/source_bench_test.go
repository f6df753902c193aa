package cli

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/sheafdb/sheaf"
)

// BenchmarkImport is what an import does for a row beside writing it.
func BenchmarkImport(b *testing.B) {
	const rows = 10_000
	var table, lines bytes.Buffer
	table.WriteString("id,payload\n")
	for i := range rows {
		fmt.Fprintf(&table, "%032d,%0128d\n", i, i)
		fmt.Fprintf(&lines, "{\"key\":\"%032d\",\"value\":\"%0128d\"}\n", i, i)
	}
	for _, c := range []struct {
		name string
		from func() source
	}{
		{"csv=column", func() source { return csvSource(bytes.NewReader(table.Bytes()), "", "payload") }},
		{"csv=row", func() source { return csvSource(bytes.NewReader(table.Bytes()), "", "") }},
		{"ndjson", func() source { return ndjsonSource(bytes.NewReader(lines.Bytes())) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				im := &importer{batchEntries: 1000, batchBytes: 4 << 20, inFlight: 16, begin: func(context.Context, []sheaf.Entry) (func() error, error) {
					return func() error { return nil }, nil
				}}
				if s, err := im.run(b.Context(), c.from()); err != nil || s.Entries != rows {
					b.Fatal(s, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
}
