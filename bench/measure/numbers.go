package measure

import (
	"slices"
	"strconv"
)

// Median returns the middle value, or the mean of the two; 0 for no values.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Thousands rounds to a whole number and groups its digits: 1234567 is 1,234,567.
func Thousands(x float64) string {
	digits := strconv.FormatInt(int64(x+0.5), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
