package main

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheafdb/sheaf/bench/contest"
)

// exampleTable has a Sheaf row and another in two classes, and a row that is in
// the benchmark's process.
func exampleTable() *table {
	of := func(c class, name string, rates ...float64) row {
		var rounds []contest.Sample
		for _, rate := range rates {
			rounds = append(rounds, contest.Sample{
				KeysPerSecond: rate, DrainedKeysPerSecond: rate * .9, P50MS: 1e6 / rate, P95MS: 2e6 / rate, P99MS: 3e6 / rate,
				CPUMicrosPerKey: 1.5, ClientCPUPerKey: .75, DeviceBytesPerKey: 250, PeakMemoryBytes: 64 << 20, OthersCores: .2,
			})
		}
		return row{Class: c, Row: contest.Summarise(name, rounds)}
	}
	t := &table{Callers: 4, Rows: []row{
		of(synced, "sheaf-memory", 600_000, 400_000, 900_000),
		of(synced, "redis-always", 300_000, 100_000, 450_000),
		of(notSynced, "sheaf-pebble-eventual", 500_000, 500_000, 500_000),
		of(notSynced, "pebble-nolog", 1_000_000, 1_000_000, 1_250_000),
	}}
	last := &t.Rows[3].Median
	last.ClientCPUPerKey, last.PeakMemoryBytes, last.Retries = 0, 0, 2
	t.compare()
	return t
}

func TestBatchesAreATableOfClasses(t *testing.T) {
	found := batches{Tables: []table{*exampleTable()}}
	golden(t, "batches.md", []byte(found.markdown()))
}

func TestRatioIsOfTheSheafRowOfTheSameClass(t *testing.T) {
	rows := exampleTable().Rows
	if got := rows[1].MemoryRatio; got != 2 { // of 2, 4 and 2
		t.Errorf("Sheaf memory over Redis is %v, want 2", got)
	}
	if got := rows[1].PebbleRatio; got != 0 {
		t.Errorf("Sheaf pebble did not take part, and its ratio is %v", got)
	}
	if got := rows[3].PebbleRatio; got != .5 {
		t.Errorf("Sheaf pebble over Pebble without a log is %v, want 0.5", got)
	}
}

func TestChartsAreWellFormed(t *testing.T) {
	for name, chart := range map[string][]byte{"batches.svg": barChart(exampleTable()), "soak.svg": soakChart(exampleSoak(30))} {
		golden(t, name, chart)
		decoder := xml.NewDecoder(strings.NewReader(string(chart)))
		for {
			_, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

func TestAxisHasRoundNumbers(t *testing.T) {
	for most, want := range map[float64]float64{0: 1, 900_000: 200_000, 1_234_567: 200_000, 2_100_000: 500_000, 41: 10, 40: 10, .8: .2} {
		if got := niceStep(most); got < want*.999 || got > want*1.001 {
			t.Errorf("up to %v the step is %v, want %v", most, got, want)
		}
	}
	for x, want := range map[float64]string{0: "0", 950: "950", 1_500: "1.5k", 123_456: "123k", 1_234_567: "1.23M"} {
		if got := short(x); got != want {
			t.Errorf("%v is %q, want %q", x, got, want)
		}
	}
}

const page = `# TYPE go_gc_pause_seconds histogram
go_gc_pause_seconds_bucket{le="0.001"} 90
go_gc_pause_seconds_bucket{le="0.01"} 99
go_gc_pause_seconds_bucket{le="+Inf"} 100
go_gc_pause_seconds_sum 1
go_gc_pause_seconds_count 100
# TYPE go_memstats_mallocs_total counter
go_memstats_mallocs_total 12345
# TYPE go_goroutines gauge
go_goroutines 7
`

func TestMetricsPageIsRead(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			_, _ = io.WriteString(w, page)
		}
	}))
	defer server.Close()
	read, err := contest.ReadMetrics(t.Context(), strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	m := metrics(read)
	for name, want := range map[string]float64{metricMallocs: 12345, metricGoroutines: 7} {
		if got, err := m.value(name); got != want || err != nil {
			t.Errorf("%s is %v, %v, want %v", name, got, err, want)
		}
	}
	if _, err := m.value(metricLogBytes); err == nil {
		t.Error("a metric that is not there has a value")
	}
	pauses, err := m.histogram(metricPauses)
	if err != nil {
		t.Fatal(err)
	}
	if total(pauses) != 100 || quantile(pauses, .5) != .001 || quantile(pauses, .99) != .01 {
		t.Errorf("pauses are %v", pauses)
	}
	earlier := []bucket{{.001, 90}, {.01, 90}, {pauses[2].upTo, 90}}
	these, err := between(earlier, pauses)
	if err != nil || total(these) != 10 || quantile(these, .5) != .01 {
		t.Errorf("since then there were %v, %v", these, err)
	}
	if _, err := between(pauses, earlier); err == nil {
		t.Error("a histogram that shrank was accepted")
	}
}

// exampleSoak is a run that passes.
func exampleSoak(samples int) *soakFound {
	f := &soakFound{Contestant: "sheaf-pebble", Seconds: float64(5 * samples), PeakRate: 200_000, Target: 140_000}
	for n := range samples {
		f.Samples = append(f.Samples, soakSample{
			Second: float64(5 * (n + 1)), KeysPerSecond: 140_000 + float64(n%3)*1000, P50MS: 3, P95MS: 6 + float64(n%2), P99MS: 9,
			ResidentBytes: int64(100+n%5) << 20, Goroutines: 40 + float64(n%2), PauseP99MS: .5, LogBytes: float64(60+n%10) * (1 << 20),
		})
	}
	return f
}

func TestSoakFailsForWhatGrew(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(n int, s *soakSample)
		want  string // of the only failure; "" for none
	}{
		"nothing":      {func(int, *soakSample) {}, ""},
		"a slow end":   {func(n int, s *soakSample) { s.P95MS *= 1 + float64(n)/20 }, "p95"},
		"one slow":     {func(n int, s *soakSample) { s.P95MS *= 1 + 9*float64(n/29) }, ""},
		"memory":       {func(n int, s *soakSample) { s.ResidentBytes += int64(n) << 20 }, "memory"},
		"a warm-up":    {func(n int, s *soakSample) { s.ResidentBytes -= int64(max(0, 8-n)) << 23 }, ""},
		"goroutines":   {func(n int, s *soakSample) { s.Goroutines += float64(n) }, "goroutines"},
		"busy callers": {func(n int, s *soakSample) { s.Goroutines += float64(n % 4 * 10) }, ""},
	} {
		f := exampleSoak(30)
		for n := range f.Samples {
			c.spoil(n, &f.Samples[n])
		}
		f.judge()
		if c.want == "" && len(f.Failures) > 0 || c.want != "" && (len(f.Failures) != 1 || !strings.HasPrefix(f.Failures[0], c.want)) {
			t.Errorf("%s: failures are %q, want %q", name, f.Failures, c.want)
		}
	}
	short := exampleSoak(2)
	if short.judge(); len(short.Failures) == 0 {
		t.Error("a run without thirds passed")
	}
}

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"-callers", "0"},
		{"-callers", "1,x"},
		{"-callers", "1000"},
		{"-only", "mysql"},
		{"-scenario", "lunch"},
		{"-rounds", "0"},
		{"-quiet", "-1"},
		{"-timed", "0s"},
		{"-duration", "1s"},
		{"-keys", "5"},
		{"-fill-keys", "150000"},
		{"extra"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	p, err := parse([]string{"-quick", "-callers", "2, 8", "-only", "etcd,redis-none", "-scenario", "fill,batches", "-rounds", "4"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.Callers, []int{2, 8}) || p.Rounds != 4 || p.Timed != 400*time.Millisecond || len(p.scenarios) != 2 || p.scenarios[0].name != "fill" {
		t.Errorf("read %+v", p)
	}
	if p, err := parse([]string{"-scenario", "all"}); err != nil || len(p.scenarios) != len(scenarios) {
		t.Errorf("all scenarios are %d, %v", len(p.scenarios), err)
	}
}

func TestTimeLeftIsThatOfTheStepsLeft(t *testing.T) {
	if got := timeLeft(20*time.Second, 2, 5); got != 30*time.Second {
		t.Errorf("20 s for 2 of 5 steps leave %v, want 30s", got)
	}
}

func TestFindingsAreMarkdown(t *testing.T) {
	sample := func(rate float64) contest.Row {
		return contest.Summarise("x", []contest.Sample{{KeysPerSecond: rate, DrainedKeysPerSecond: rate / 2}})
	}
	memory := &memoryFound{Keys: 5_000_000, Rows: []memoryRow{
		{Contestant: "sheaf-memory", ResidentBytes: 600 << 20, PeakBytes: 900 << 20, PerKey: 125.8},
		{Contestant: memoryBaseline, ResidentBytes: 1200 << 20, PeakBytes: 1200 << 20, PerKey: 251.6},
	}}
	memory.compare()
	one := []readsSample{{2000, .4, .9, .1}, {1000, .8, 2, 0}, {2500, .3, .8, .2}}
	three := []readsSample{{1500, .6, 1.2, 0}, {800, 1, 3, .3}, {1600, .6, 1, .3}}
	reads := summariseReads("sheaf-memory-3", 1, three)
	reads.Ratio = readsRatio(three, one)
	soak := exampleSoak(30)
	soak.Failures = []string{"p95 went from 1.00 to 2.00 ms"}
	var b strings.Builder
	for _, f := range []finding{
		&readsFound{Keys: 100_000, Rows: []readsRow{summariseReads("sheaf-memory", 1, one), reads}},
		memory,
		&fillFound{SmallKeys: 100_000, LargeKeys: 10_000_000, Rows: []fillRow{{"sheaf-pebble", 250_000, sample(400_000), sample(300_000), .75}}},
		&restartFound{Keys: 5_000_000, Rows: []restartRow{{"redis-always", []float64{4, 2.5, 3}, 3}}},
		&pauseFound{Keys: 5_000_000, Rows: []pauseRow{{"sheaf-memory", 40, .1, .5, 1, 400_000, 20}}},
		&allocsFound{Rows: []allocsRow{{"sheaf-memory", 4, 61.4}}},
		soak,
	} {
		b.WriteString(f.markdown() + "\n")
	}
	golden(t, "findings.md", []byte(b.String()))
}
