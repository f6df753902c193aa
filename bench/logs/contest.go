package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// contestant is one log.
type contestant interface {
	// append returns when the batch is on disk. It may read the batch until then
	// and does not change it.
	append(batch []byte) error
	// cut gives up everything that was appended: a node whose store has it all.
	// Space comes back as far as the log can.
	cut() error
	// close ends it. Its directory is removed afterwards.
	close() error
}

const (
	// segmentBytes is the size of everyone's segments, and of the floors' files. It
	// is the default of all three logs (etcd's are 64 MB, a few per cent less).
	segmentBytes = 64 << 20
	// cutEveryBytes is how much is appended between two cuts: four segments, as on
	// a node with the pebble store.
	cutEveryBytes = 4 * segmentBytes
	// recycledSegments is what a node keeps of the segments that a cut gives back.
	recycledSegments = 4
)

// entrant says how a contestant is started in an empty directory.
type entrant struct {
	name  string
	start func(dir string) (contestant, error)
}

// baseline is the entrant that the ratios refer to.
const baseline = "sheaf"

var entrants = []entrant{
	{baseline, startSheaf},
	{"etcd", startEtcd},
	{"raft-wal", startRaftWAL},
	{"growing", startGrowing},
	{"recycled", startRecycled(writeThenSync)},
	{"recycled-dsync", startRecycled(writeDsync)},
	{"recycled-direct", startDirect},
}

func contestantNames() []string {
	names := make([]string, len(entrants))
	for i, e := range entrants {
		names[i] = e.name
	}
	return names
}

// chosen returns the entrants that -only names, in the usual order.
func (p *plan) chosen() []entrant {
	if len(p.only) == 0 {
		return entrants
	}
	return slices.DeleteFunc(slices.Clone(entrants), func(e entrant) bool { return !slices.Contains(p.only, e.name) })
}

// contest runs the rounds for one size. Each contestant starts on an empty
// directory and keeps its log from round to round, so that after the first it
// works as one that has been in use.
func contest(ctx context.Context, p plan, parent string, disk device, batchBytes int) (t table, err error) {
	chosen := p.chosen()
	var running []*runner
	defer func() {
		for _, r := range running {
			err = errors.Join(err, r.log.close(), os.RemoveAll(r.dir))
		}
	}()
	load := newWorkload(batchBytes)
	for _, e := range chosen {
		r := &runner{dir: filepath.Join(parent, fmt.Sprintf("%s-%d", e.name, batchBytes)), disk: disk, load: load}
		if err := os.Mkdir(r.dir, 0o700); err != nil {
			return t, err
		}
		if r.log, err = e.start(r.dir); err != nil {
			return t, fmt.Errorf("start %s: %w", e.name, err)
		}
		running = append(running, r)
		if p.Quick {
			continue
		}
		if err := r.warmUp(ctx); err != nil {
			return t, fmt.Errorf("warm up %s: %w", e.name, err)
		}
	}
	appends := appendsOf(batchBytes, p.Quick)
	rounds := make([][]sample, len(chosen))
	for n := range p.Rounds {
		for i, e := range chosen {
			s, err := running[i].round(ctx, appends)
			if err != nil {
				return t, fmt.Errorf("%s with %d bytes: %w", e.name, batchBytes, err)
			}
			rounds[i] = append(rounds[i], s)
			fmt.Fprintf(os.Stderr, "%d bytes, round %d of %d, %s: p50 %.0f µs, %.0f MB/s, others used %.1f cores\n",
				batchBytes, n+1, p.Rounds, e.name, s.P50Micros, s.MBPerSecond, s.OthersCores)
		}
	}
	t = table{BatchBytes: batchBytes, AppendsPerRound: appends}
	for i, e := range chosen {
		t.Rows = append(t.Rows, summarise(e.name, rounds[i]))
	}
	t.compare(baseline)
	return t, nil
}
