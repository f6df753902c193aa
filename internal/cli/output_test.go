package cli

import (
	"runtime/debug"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf/client"
)

func TestWaterfallDrawsEachStageBehindTheOneBefore(t *testing.T) {
	got := waterfall([]client.Stage{
		{Name: "serialize", Duration: 10 * time.Millisecond},
		{Name: "network", Duration: 0},
		{Name: "log", Duration: 20 * time.Millisecond},
		{Name: "apply", Duration: 10 * time.Millisecond},
	}, 40*time.Millisecond, paint{})
	want := "" +
		"serialize ██████████                                    10ms\n" +
		"network             ▏                                     0s\n" +
		"log                 ████████████████████                20ms\n" +
		"apply                                   ██████████      10ms\n" +
		"total     ────────────────────────────────────────      40ms\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if waterfall(nil, 0, paint{}) == "" {
		t.Error("a call without stages draws nothing")
	}
}

func TestWordsForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{humanBytes(0), "0 B"},
		{humanBytes(1023), "1023 B"},
		{humanBytes(105_067_315), "100.2 MiB"},
		{humanCount(0), "0"},
		{humanCount(999), "999"},
		{humanCount(-1234567), "-1,234,567"},
		{humanCount(-123), "-123"},
		{humanTime(1234567), "1.23ms"},
		{humanTime(1500 * time.Millisecond), "1.5s"},
		{humanTime(2*time.Hour + 345*time.Millisecond), "2h0m0s"},
		{readable([]byte("a b")), "a b"},
		{readable([]byte("a\x1b[31m")), `"a\x1b[31m"`},
		{readable([]byte("\xff")), `"\xff"`},
		{readable(nil), `""`},
		{beginning([]byte("short")), "short"},
		{beginning([]byte("012345678901234567890123456789012345678901234567890123456789")), "012345678901234567890123456789012345678901234567890123456789"},
		{beginning([]byte("01234567890123456789012345678901234567890123456789012345678ü")), "01234567890123456789012345678901234567890123456789012345678…"},
		{shellQuote("a/b.c"), "a/b.c"},
		{shellQuote("it's"), `'it'\''s'`},
		{programName("/tmp/go-build123/b001/exe/sheaf"), "go run ./cmd/sheaf"},
		{programName("./bin/sheaf"), "./bin/sheaf"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestPlainProgressLines(t *testing.T) {
	l := &lines{what: "import", total: 1000 << 10, tally: tally{entries: 1500, bytes: 250 << 10}}
	l.watch(func() time.Duration { return 12 * time.Millisecond })
	if got, want := l.line(5*time.Second), "import: 1,500 entries, 250.0 KiB of 1000.0 KiB (25%), 50.0 KiB/s, 300 keys/s, p95 12ms, 15s left"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	l.total = -1
	if got, want := l.line(5*time.Second), "import: 1,500 entries, 250.0 KiB, 50.0 KiB/s, 300 keys/s, p95 12ms"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestColourIsOnlyForTerminals(t *testing.T) {
	if got := (paint{}).bad("x"); got != "x" {
		t.Errorf("got %q", got)
	}
	if got := (paint{on: true}).bad("x"); got != "\x1b[31;1mx\x1b[0m" {
		t.Errorf("got %q", got)
	}
}

func TestVersionComesFromATagIfThereIsOne(t *testing.T) {
	for module, want := range map[string]string{
		"":                                     version,
		"(devel)":                              version,
		"v1.2.3":                               "1.2.3",
		"v1.2.4-0.20261123175501-0123456789ab": version,
		"v0.0.0-20261123175501-0123456789ab+dirty": version,
	} {
		info := &debug.BuildInfo{Main: debug.Module{Version: module}}
		if got := versionOf(info).Version; got != want {
			t.Errorf("module version %q: version %q, want %q", module, got, want)
		}
	}
}
