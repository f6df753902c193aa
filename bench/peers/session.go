package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
)

// session is what the scenarios of one run share.
type session struct {
	plan    plan
	dir     string // temporary, on the disk that is measured
	arena   contest.Arena
	report  report
	missing []string // contestants whose program is not installed
	// chart is drawn by the first scenario that has one.
	chart []byte
}

// report is what -json writes.
type report struct {
	Machine      measure.Machine    `json:"machine"`
	Plan         plan               `json:"plan"`
	BatchEntries int                `json:"batch_entries"`
	KeyBytes     int                `json:"key_bytes"`
	ValueBytes   int                `json:"value_bytes"`
	Found        map[string]finding `json:"found"` // by scenario
}

func newSession(ctx context.Context, p plan) (*session, error) {
	dir, err := os.MkdirTemp(p.parent, "peers-")
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	s := &session{plan: p, dir: dir, arena: contest.Arena{Dir: dir}, report: report{
		Plan: p, BatchEntries: contest.BatchEntries, KeyBytes: contest.KeyBytes, ValueBytes: contest.ValueBytes,
		Found: make(map[string]finding),
	}}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *session) prepare(ctx context.Context) (err error) {
	if s.report.Machine, err = measure.ReadMachine(s.dir); err != nil {
		return err
	}
	if s.arena.Device, err = contest.DeviceOf(s.dir); err != nil {
		return err
	}
	for _, e := range entrants {
		if !e.installed() {
			s.missing = append(s.missing, fmt.Sprintf("%s (%s)", e.name, e.program))
		}
	}
	if s.arena.Server = s.plan.server; s.arena.Server == "" {
		s.arena.Server, err = contest.BuildServer(ctx, s.dir)
	}
	return err
}

// chosen returns the entrants that are installed and that -only names, or all.
func (s *session) chosen() []entrant {
	var chosen []entrant
	for _, e := range entrants {
		if e.installed() && s.wants(e.name) {
			chosen = append(chosen, e)
		}
	}
	return chosen
}

// chosenOf returns those of the names that take part, in their order.
func (s *session) chosenOf(names ...string) []entrant {
	var chosen []entrant
	for _, name := range names {
		if e := entrantNamed(name); e.installed() && s.wants(name) {
			chosen = append(chosen, e)
		}
	}
	return chosen
}

func (s *session) wants(name string) bool {
	return len(s.plan.only) == 0 || slices.Contains(s.plan.only, name)
}

// start begins an entrant on an empty directory below the session's.
func (s *session) start(ctx context.Context, e entrant, dir string) (*running, error) {
	r := &running{entrant: e, dir: filepath.Join(s.dir, dir)}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if r.Contestant, err = e.start(ctx, &s.arena, r.dir); err != nil {
		return nil, fmt.Errorf("start %s: %w", e.name, errors.Join(err, os.RemoveAll(r.dir)))
	}
	return r, nil
}

// running is an entrant at work.
type running struct {
	contest.Contestant
	entrant entrant
	dir     string
}

// findLeader has the callers of a cluster talk to the server that leads: another may have
// taken the lead while others had their turns.
func (r *running) findLeader(ctx context.Context) error {
	led, ok := r.Contestant.(contest.Led)
	if !ok {
		return nil
	}
	if err := led.FindLeader(ctx); err != nil {
		return fmt.Errorf("find the leader of %s: %w", r.entrant.name, err)
	}
	return nil
}

// end ends the contestant and removes its data.
func (r *running) end() error { return errors.Join(r.Close(), os.RemoveAll(r.dir)) }

// joinEnd ends a contestant when a scenario is done with it.
func joinEnd(err error, r *running) error { return errors.Join(err, r.end()) }

// save writes the files that were asked for.
func (s *session) save() error {
	var err error
	if s.plan.json != "" {
		data, failed := json.MarshalIndent(s.report, "", "  ")
		if err = failed; err == nil {
			err = os.WriteFile(s.plan.json, append(data, '\n'), 0o644)
		}
	}
	if s.plan.svg != "" && s.chart != nil {
		err = errors.Join(err, os.WriteFile(s.plan.svg, s.chart, 0o644))
	}
	return err
}

func (s *session) close() error { return os.RemoveAll(s.dir) }
