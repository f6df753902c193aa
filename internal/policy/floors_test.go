package policy

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sheafdb/sheaf"

// floors gives every room its floor; a room imports only from lower ones. The
// longest matching path counts.
var floors = map[string]int{
	"":                         0, // the root package: nouns and errors
	"api/sheaf/v1":             0,
	"shardmap":                 0,
	"internal/telemetry":       0,
	"internal/failpoint":       0,
	"anybatch":                 0,
	"internal/wire":            1,
	"internal/store":           1,
	"internal/admission":       1,
	"internal/feed":            2,
	"internal/apply":           2,
	"internal/backup":          2,
	"internal/document":        2,
	"internal/wal":             2,
	"internal/replica":         2,
	"internal/peer":            2,
	"internal/group":           3,
	"internal/router":          3,
	"internal/coordinator":     4,
	"internal/cluster":         4,
	"internal/rpc":             5,
	"internal/web":             5,
	"client":                   5,
	"internal/config":          6,
	"internal/node":            7,
	"internal/cli":             8,
	"cmd/sheaf":                9,
	"internal/policy":          9,
	"examples":                 9,
	"client/clienttest":        testFloor,
	"internal/store/storetest": testFloor,
	"internal/contract":        testFloor,
	"internal/check":           testFloor,
	"cmd/sheafcheck":           testFloor,
	"internal/crashtest":       testFloor,
	"internal/freeport":        testFloor,
	"internal/sim":             testFloor,
}

// testFloor is for code that only tests import, and for the program that is one: it may
// import any floor.
const testFloor = 100

// sameFloor lists the steps on one floor that are allowed: a store implements
// its interface, and the root's nouns are everyone's.
func sameFloorAllowed(from, to string) bool {
	return to == "" || to == "internal/store" && strings.HasPrefix(from, "internal/store/")
}

func floorOf(room string) (int, bool) {
	for dir := room; ; dir = path.Dir(dir) {
		if dir == "." {
			dir = ""
		}
		if floor, ok := floors[dir]; ok && (dir != "" || room == "") {
			return floor, true
		}
		if dir == "" {
			return 0, false
		}
	}
}

func TestRoomsImportOnlyFromLowerFloors(t *testing.T) {
	eachGoFile(t, func(room, file string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		mine, ok := floorOf(room)
		if !ok {
			t.Errorf("%s: room %q has no floor: give it one in internal/policy", file, room)
			return
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if imported != module && !strings.HasPrefix(imported, module+"/") {
				continue
			}
			other := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
			theirs, ok := floorOf(other)
			switch {
			case !ok:
				t.Errorf("%s imports %s, which has no floor", file, imported)
			case theirs == testFloor && mine != testFloor:
				t.Errorf("%s imports %s, which is for tests", file, imported)
			case theirs >= mine && mine != testFloor && !(theirs == mine && sameFloorAllowed(room, other)):
				t.Errorf("%s (floor %d) imports %s (floor %d): requests walk downstairs", file, mine, imported, theirs)
			}
		}
	})
}

// TestTheRootPackageNeedsOnlyTheStandardLibrary keeps the nouns free to link.
func TestTheRootPackageNeedsOnlyTheStandardLibrary(t *testing.T) {
	eachGoFile(t, func(room, file string) {
		if room != "" || strings.HasSuffix(file, "_test.go") {
			return
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			if strings.Contains(spec.Path.Value, ".") {
				t.Errorf("%s imports %s", file, spec.Path.Value)
			}
		}
	})
}

// TestTheCheckerKnowsWhatAnyCallerKnows keeps sheafcheck from sharing a mistake with a server.
func TestTheCheckerKnowsWhatAnyCallerKnows(t *testing.T) {
	public := map[string]bool{module: true, module + "/client": true}
	eachGoFile(t, func(room, file string) {
		if room != "cmd/sheafcheck" && !strings.HasPrefix(room+"/", "internal/check/") || strings.HasSuffix(file, "_test.go") {
			return
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(imported, module) && !public[imported] && !strings.HasPrefix(imported, module+"/internal/check/") {
				t.Errorf("%s imports %s, which is no public package for callers", file, imported)
			}
		}
	})
}

// TestExamplesImportWhatAnyProgramMay keeps them what a reader can start from.
func TestExamplesImportWhatAnyProgramMay(t *testing.T) {
	seen := 0
	eachGoFile(t, func(room, file string) {
		if !strings.HasPrefix(room, "examples") {
			return
		}
		seen++
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			if strings.Contains(spec.Path.Value, module+"/internal/") {
				t.Errorf("%s imports %s", file, spec.Path.Value)
			}
		}
	})
	if seen == 0 {
		t.Error("there are no examples")
	}
}

// eachGoFile visits the module's own Go files, without tools/ and bench/, which
// are modules of their own.
func eachGoFile(t *testing.T, visit func(room, file string)) {
	t.Helper()
	root := moduleRoot(t)
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			_, statErr := os.Stat(filepath.Join(name, "go.mod"))
			if rel != "." && (statErr == nil || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") {
			room := filepath.ToSlash(filepath.Dir(rel))
			if room == "." {
				room = ""
			}
			visit(room, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return root
}
