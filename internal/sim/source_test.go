package sim

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var sourceMutants = flag.Bool("sim.source", false, "run the mutants of the source too, some minutes")

// mutation is a change of the source that breaks the protocol.
type mutation struct {
	Name string `json:"name"`
	File string `json:"file"` // from the root of the module
	Old  string `json:"old"`  // there exactly once
	New  string `json:"new"`
	// Small: it shows in a small world too.
	Small bool `json:"small"`
}

// The first lines of what a broken simulator says.
var (
	failedSeed  = regexp.MustCompile(`seed \d+: [^\n]*`)
	failedStory = regexp.MustCompile(`story "[^\n]*`)
)

// TestSourceMutantsAreFound compiles the simulator with one change each, which the seeds
// must find.
func TestSourceMutantsAreFound(t *testing.T) {
	for _, m := range mutations(t) {
		t.Run(m.Name, func(t *testing.T) {
			m.mustBeFound(t, failedSeed, "-run", "TestClusterKeepsItsPromises", "-sim.seeds", "1500")
		})
	}
}

// TestSourceMutantsAreFoundInASmallWorld does the same for those that need little to show.
func TestSourceMutantsAreFoundInASmallWorld(t *testing.T) {
	for _, m := range mutations(t) {
		if m.Small {
			t.Run(m.Name, func(t *testing.T) {
				m.mustBeFound(t, failedStory, "-run", "TestWhateverHappensInASmallWorldIsRight")
			})
		}
	}
}

// TestMutantsFitTheSource: what they change is still there.
func TestMutantsFitTheSource(t *testing.T) {
	for _, m := range readMutations(t) {
		m.source(t)
	}
}

func mutations(t *testing.T) []mutation {
	if !*sourceMutants {
		t.Skip("takes minutes: make mutants")
	}
	return readMutations(t)
}

func readMutations(t *testing.T) (all []mutation) {
	data, err := os.ReadFile("testdata/mutants.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// source returns the file to change and its text.
func (m *mutation) source(t *testing.T) (path, text string) {
	path, err := filepath.Abs(filepath.Join("..", "..", m.File))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), m.Old); n != 1 {
		t.Fatalf("%s: %s has the text to change %d times", m.Name, m.File, n)
	}
	return path, string(data)
}

// mustBeFound runs the tests with the change, and wants them to fail by what they look for.
func (m *mutation) mustBeFound(t *testing.T, by *regexp.Regexp, args ...string) {
	dir := t.TempDir()
	original, source := m.source(t)
	changed := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(source, m.Old, m.New, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	test := exec.Command("go", append([]string{"test", "-overlay", overlayFile, "-timeout", "20m", "."}, args...)...)
	out, err := test.CombinedOutput()
	if err == nil {
		t.Fatal("not found")
	}
	found := by.Find(out)
	if found == nil {
		t.Fatalf("failed, but not by what was looked for:\n%s", out)
	}
	t.Logf("%s", found)
}
