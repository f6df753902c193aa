package config

import (
	"flag"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md")

func TestSettingsAreExactlyTheFieldsOfConfig(t *testing.T) {
	var keys []string
	for _, s := range Settings {
		keys = append(keys, s.Key)
		if s.Help == "" {
			t.Errorf("%s has no help", s.Key)
		}
	}
	slices.Sort(keys)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(flatten(Default()))), keys); diff != "" {
		t.Errorf("settings differ from the struct (-struct +table):\n%s", diff)
	}
}

func TestDefaultsReadBackAsThemselves(t *testing.T) {
	flat := flatten(Default())
	for _, s := range Settings {
		value, err := s.kind.parse(s.Default)
		if err != nil {
			t.Errorf("%s: %v", s.Key, err)
			continue
		}
		if got := s.kind.format(value); got != s.Default || got != s.kind.format(flat[s.Key]) {
			t.Errorf("%s: %q reads back as %q", s.Key, s.Default, got)
		}
	}
}

func TestDocumentIsUpToDate(t *testing.T) {
	const path = "../../docs/configuration.md"
	if *update {
		if err := os.WriteFile(path, []byte(Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Markdown(), string(got)); diff != "" {
		t.Errorf("%s is out of date: go test ./internal/config -update\n%s", path, diff)
	}
}
