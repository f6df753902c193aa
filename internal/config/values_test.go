package config

import (
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "4096": 4096, "5_000": 5000, "64MiB": 64 << 20, "64 mib": 64 << 20, "64MB": 64e6,
		"1.5GiB": 3 << 29, "1KB": 1000, "7B": 7, "2TiB": 2 << 40,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "64M", "1.5", "1e3KiB", "infKiB", "0x1p4KiB", "9999999999TiB", "64MiBMiB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestFormatSizeReadsBack(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1000: "1000", 4096: "4KiB", 64 << 20: "64MiB", 3 << 29: "1536MiB"} {
		got := FormatSize(n)
		back, err := ParseSize(got)
		if got != want || err != nil || back != n {
			t.Errorf("FormatSize(%d) = %q (read back as %d, %v), want %q", n, got, back, err, want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Minute: "1h30m", 20 * time.Millisecond: "20ms",
		15 * time.Second: "15s", 70 * time.Second: "1m10s", 0: "0s", 10 * time.Hour: "10h",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestNearestSuggestsOnlyWhatIsNear(t *testing.T) {
	known := []string{"store", "data_dir", "tls.cert"}
	for word, want := range map[string]string{"stroe": "store", "data-dir": "data_dir", "certificate": "", "": ""} {
		if got, ok := Nearest(word, known); got != want || ok != (want != "") {
			t.Errorf("Nearest(%q) = %q, %v; want %q", word, got, ok, want)
		}
	}
}
