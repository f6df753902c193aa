package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

// outputForm is the value of -o.
type outputForm string

const (
	table    outputForm = "table"
	jsonForm outputForm = "json"
)

// String is for pflag.
func (f *outputForm) String() string { return string(*f) }

// Type is for pflag.
func (f *outputForm) Type() string { return "form" }

// Set is for pflag.
func (f *outputForm) Set(text string) error {
	switch form := outputForm(text); form {
	case table, jsonForm:
		*f = form
		return nil
	}
	return fmt.Errorf("use table or json")
}

// printJSON writes one line of JSON, with < and & as they are.
func (a *app) printJSON(value any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// columns aligns cells that are separated by tabs.
func columns(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
}

// paint colours text for a terminal, and does nothing elsewhere.
type paint struct{ on bool }

// paint is on when w is a terminal and NO_COLOR (no-color.org) is not set.
func (a *app) paint(w any) paint { return paint{on: terminal(w) && a.getenv("NO_COLOR") == ""} }

func (p paint) bad(text string) string  { return p.escape("31;1", text) }
func (p paint) dim(text string) string  { return p.escape("2", text) }
func (p paint) bold(text string) string { return p.escape("1", text) }

func (p paint) escape(code, text string) string {
	if !p.on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// readable is a key or value as a person can read it: itself, or quoted when it
// has bytes that would disturb a terminal.
func readable(b []byte) string {
	if !utf8.Valid(b) || len(b) == 0 {
		return strconv.Quote(string(b))
	}
	for _, r := range string(b) {
		if !unicode.IsPrint(r) {
			return strconv.Quote(string(b))
		}
	}
	return string(b)
}

// humanBytes is a size for people: 100.2 MiB.
func humanBytes(n int64) string {
	size, unit := float64(n), 0
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for size >= 1024 && unit < len(units)-1 {
		size, unit = size/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, units[unit])
}

// humanCount is a number with its thousands apart: 11,012.
func humanCount(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// humanTime is a duration with three digits that matter: 1.23ms.
func humanTime(d time.Duration) string {
	for unit := time.Duration(1); unit < time.Hour; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit).String()
		}
	}
	return d.Round(time.Second).String()
}
