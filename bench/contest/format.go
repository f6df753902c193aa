package contest

import (
	"fmt"
	"strconv"
)

// Known leaves out a number that does not apply, which is 0.
func Known(x float64) string {
	if x == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", x)
}

// Whole is Thousands, and leaves out a number that does not apply.
func Whole(x float64) string {
	if x == 0 {
		return "–"
	}
	return Thousands(x)
}

// Plural is the word for n things.
func Plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// Thousands rounds to a whole number and groups its digits: 1234567 is 1,234,567.
func Thousands(x float64) string {
	digits := strconv.FormatInt(int64(x+0.5), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
