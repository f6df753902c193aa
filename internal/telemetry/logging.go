package telemetry

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// NewLogger returns a logger that writes lines to w. level is debug, info, warn
// or error. format is text, json, or auto: text on a terminal, JSON otherwise.
// On a terminal the level is coloured, unless NO_COLOR is set (no-color.org).
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var least slog.Level
	switch strings.ToLower(level) {
	case "debug":
		least = slog.LevelDebug
	case "info", "":
		least = slog.LevelInfo
	case "warn":
		least = slog.LevelWarn
	case "error":
		least = slog.LevelError
	default:
		return nil, fmt.Errorf("unknown log level %q: use debug, info, warn or error", level)
	}
	terminal := isTerminal(w)
	if format == "auto" || format == "" {
		format = "json"
		if terminal {
			format = "text"
		}
	}
	opts := &slog.HandlerOptions{Level: least}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	case "text":
		if terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
			w = colourer{w}
		}
		return slog.New(slog.NewTextHandler(w, opts)), nil
	}
	return nil, fmt.Errorf("unknown log format %q: use auto, text or json", format)
}

// isTerminal takes every character device for a terminal. The only other one
// that logs are sent to is /dev/null, where the format does not matter.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// colourer colours the level of each line. It stands behind slog's text handler,
// which quotes the escape characters of every value that it is given. It relies
// on that handler writing a line with one Write and the level before any value.
type colourer struct{ w io.Writer }

var levelColours = []struct{ plain, coloured []byte }{
	{[]byte("level=DEBUG"), []byte("level=\x1b[2mDEBUG\x1b[0m")},
	{[]byte("level=INFO"), []byte("level=\x1b[32mINFO\x1b[0m")},
	{[]byte("level=WARN"), []byte("level=\x1b[33mWARN\x1b[0m")},
	{[]byte("level=ERROR"), []byte("level=\x1b[31mERROR\x1b[0m")},
}

// Write writes one line.
func (c colourer) Write(line []byte) (int, error) {
	at := bytes.Index(line, []byte("level="))
	for _, level := range levelColours {
		if at >= 0 && bytes.HasPrefix(line[at:], level.plain) {
			out := append(append(append([]byte{}, line[:at]...), level.coloured...), line[at+len(level.plain):]...)
			if _, err := c.w.Write(out); err != nil {
				return 0, err
			}
			return len(line), nil
		}
	}
	return c.w.Write(line)
}
