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

// mutation is a change of the source that breaks the protocol of a batch over groups.
type mutation struct {
	Name string `json:"name"`
	File string `json:"file"` // from the root of the module
	Old  string `json:"old"`  // there exactly once
	New  string `json:"new"`
}

var failedSeed = regexp.MustCompile(`seed \d+: [^\n]*`)

// TestSourceMutantsAreFound compiles the simulator with one change each, which the seeds
// must find.
func TestSourceMutantsAreFound(t *testing.T) {
	if !*sourceMutants {
		t.Skip("takes minutes: make mutants")
	}
	data, err := os.ReadFile("testdata/mutants.json")
	if err != nil {
		t.Fatal(err)
	}
	var mutations []mutation
	if err := json.Unmarshal(data, &mutations); err != nil {
		t.Fatal(err)
	}
	for _, m := range mutations {
		t.Run(m.Name, func(t *testing.T) {
			dir := t.TempDir()
			original, err := filepath.Abs(filepath.Join("..", "..", m.File))
			if err != nil {
				t.Fatal(err)
			}
			source, err := os.ReadFile(original)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), m.Old); n != 1 {
				t.Fatalf("%s has the text to change %d times", m.File, n)
			}
			changed := filepath.Join(dir, "changed.go")
			if err := os.WriteFile(changed, []byte(strings.Replace(string(source), m.Old, m.New, 1)), 0o600); err != nil {
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
			test := exec.Command("go", "test", "-overlay", overlayFile, "-run", "TestClusterKeepsItsPromises", "-sim.seeds", "1500", "-timeout", "20m", ".")
			out, err := test.CombinedOutput()
			if err == nil {
				t.Fatal("not found in 1,500 seeds")
			}
			found := failedSeed.Find(out)
			if found == nil {
				t.Fatalf("failed, but not by a seed:\n%s", out)
			}
			t.Logf("%s", found)
		})
	}
}
