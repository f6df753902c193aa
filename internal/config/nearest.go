package config

import (
	"fmt"
)

// Nearest returns the word of known that takes the fewest edits to reach from
// word, and false when none is near enough to be what was meant.
func Nearest(word string, known []string) (string, bool) {
	best, bestEdits := "", len(word)/3+2
	for _, candidate := range known {
		if n := edits(word, candidate); n < bestEdits {
			best, bestEdits = candidate, n
		}
	}
	return best, best != ""
}

// edits is the Levenshtein distance of a and b (insert, delete, replace a byte).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func suggest(word string, known []string) string {
	const all = `"sheaf config show" lists all`
	if near, ok := Nearest(word, known); ok {
		return fmt.Sprintf("did you mean %s? %s", near, all)
	}
	return all
}

func suggestKey(key string) string {
	if isSection(key) {
		return "it is a section: write the settings that belong to it indented below it"
	}
	known := make([]string, len(Settings))
	for i, s := range Settings {
		known[i] = s.Key
	}
	return suggest(key, known)
}
