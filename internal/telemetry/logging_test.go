package telemetry

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestLoggerFormats(t *testing.T) {
	for _, row := range []struct{ level, format, want string }{
		{"info", "auto", `"level":"INFO","msg":"said","key":"v w"`}, // a buffer is no terminal
		{"INFO", "json", `"level":"INFO","msg":"said"`},
		{"", "", `"level":"INFO"`},
		{"debug", "text", `level=INFO msg=said key="v w"`},
		{"warn", "text", ""},
		{"error", "json", ""},
	} {
		var out bytes.Buffer
		logger, err := NewLogger(&out, row.level, row.format)
		if err != nil {
			t.Fatal(err)
		}
		logger.Info("said", "key", "v w")
		if got := out.String(); !strings.Contains(got, row.want) || row.want == "" && got != "" {
			t.Errorf("%s, %s: got %q, want %q", row.level, row.format, got, row.want)
		}
	}
}

func TestLoggerRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, row := range [][2]string{{"loud", "text"}, {"info", "xml"}} {
		if _, err := NewLogger(nil, row[0], row[1]); err == nil {
			t.Errorf("level %q, format %q: no error", row[0], row[1])
		}
	}
}

func TestLevelIsColouredAndNothingElse(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(colourer{&out}, nil))
	logger.Error("level=INFO \x1b[31m", "k", "level=WARN")
	got := out.String()
	if !strings.Contains(got, "level=\x1b[31mERROR\x1b[0m msg=") || strings.Count(got, "\x1b") != 2 {
		t.Errorf("got %q", got)
	}
}
