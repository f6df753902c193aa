package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// kind is how a setting's value is written.
type kind uint8

const (
	text kind = iota
	yesNo
	number
	size
	duration
)

// String is the kind's name in help texts.
func (k kind) String() string {
	return [...]string{"string", "bool", "number", "size", "duration"}[k]
}

// parse reads a value; the error says what would be accepted.
func (k kind) parse(s string) (any, error) {
	switch k {
	case yesNo:
		if b, err := strconv.ParseBool(s); err == nil {
			return b, nil
		}
		return nil, fmt.Errorf("%q is neither true nor false", s)
	case number:
		if n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64); err == nil {
			return n, nil
		}
		return nil, fmt.Errorf("%q is not a whole number", s)
	case size:
		return ParseSize(s)
	case duration:
		return ParseDuration(s)
	}
	return s, nil
}

// format writes a value so that parse reads the same one.
func (k kind) format(value any) string {
	switch v := value.(type) {
	case time.Duration:
		return FormatDuration(v)
	case int:
		return k.format(int64(v))
	case int64:
		if k == size {
			return FormatSize(v)
		}
		return strconv.FormatInt(v, 10)
	}
	return fmt.Sprint(value)
}

// units are the suffixes of a size, larger ones first so that FormatSize takes
// the largest that fits.
var units = []struct {
	suffix string
	bytes  int64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"KB", 1e3},
	{"B", 1},
}

// ParseSize reads a number of bytes: 4096, 64KiB, 1.5GiB (powers of 1024), or
// 64MB (powers of 1000). The units' case does not matter.
func ParseSize(s string) (int64, error) {
	refuse := func() (int64, error) {
		return 0, fmt.Errorf("%q is not a size: write bytes as 4096, 64MiB (1024s) or 64MB (1000s)", s)
	}
	digits, factor := strings.TrimSpace(s), int64(1)
	for _, unit := range units {
		cut := len(digits) - len(unit.suffix)
		if cut > 0 && strings.EqualFold(digits[cut:], unit.suffix) {
			digits, factor = strings.TrimSpace(digits[:cut]), unit.bytes
			break
		}
	}
	digits = strings.ReplaceAll(digits, "_", "")
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
		if n < 0 || n > math.MaxInt64/factor {
			return refuse()
		}
		return n * factor, nil
	}
	// ParseFloat also takes exponents, hex and infinities: a size has only digits and a point.
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil || strings.Trim(digits, "0123456789.") != "" || factor == 1 || f*float64(factor) >= math.MaxInt64 {
		return refuse()
	}
	return int64(f * float64(factor)), nil
}

// FormatSize writes bytes in the largest unit of 1024s that divides them.
func FormatSize(n int64) string {
	for _, unit := range units[:4] {
		if n != 0 && n%unit.bytes == 0 {
			return strconv.FormatInt(n/unit.bytes, 10) + unit.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// ParseDuration reads 20ms, 10m or 1h30m. A number needs its unit, except 0.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(strings.ReplaceAll(s, " ", ""))
	if err == nil {
		return d, nil
	}
	if n, numErr := strconv.ParseInt(s, 10, 64); numErr == nil {
		return 0, fmt.Errorf("%q has no unit: write %ds or %dms", s, n, n)
	}
	return 0, fmt.Errorf("%q is not a duration: write it as 20ms, 30s or 1h30m", s)
}

// FormatDuration is time.Duration's form without the zeros at its end: 10m, not 10m0s.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
