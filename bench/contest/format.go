package contest

import (
	"fmt"

	"github.com/sheafdb/sheaf/bench/measure"
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
	return measure.Thousands(x)
}

// Plural is the word for n things.
func Plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
