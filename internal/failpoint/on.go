//go:build failpoints

package failpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Enabled says that the process can be broken from outside.
const Enabled = true

// rule is what happens at a place.
type rule struct {
	action      string
	least, most time.Duration
	probability float64
}

// rules are those in force; the map is never changed, only replaced.
var rules atomic.Pointer[map[string]rule]

// errInjected is what a place fails with.
var errInjected = errors.New("injected by FAILPOINTS: input/output error")

const lookEvery = 10 * time.Millisecond

func init() {
	text := os.Getenv("FAILPOINTS")
	name, isFile := strings.CutPrefix(text, "@")
	if !isFile {
		mustSet(text)
		return
	}
	look := func() {
		data, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			mustSet(err.Error()) // and so says it
		}
		mustSet(string(data))
	}
	look()
	go func() {
		for range time.Tick(lookEvery) {
			look()
		}
	}()
}

// mustSet puts rules into force. A test that cannot say what it means must not pass.
func mustSet(text string) {
	parsed := make(map[string]rule)
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		if part == "" {
			continue
		}
		place, r, err := parse(part)
		if err != nil {
			fmt.Fprintf(os.Stderr, "FAILPOINTS: %q: %v\n", part, err)
			os.Exit(1)
		}
		parsed[place] = r
	}
	rules.Store(&parsed)
}

func parse(text string) (place string, r rule, err error) {
	place, does, ok := strings.Cut(text, "=")
	if !ok {
		return "", r, errors.New("want PLACE=ACTION[:PROBABILITY]")
	}
	does, chance, given := strings.Cut(does, ":")
	r.probability = 1
	if given {
		if r.probability, err = strconv.ParseFloat(chance, 64); err != nil {
			return "", r, err
		}
	}
	action, times, _ := strings.Cut(does, " ")
	switch r.action = action; action {
	case "kill", "error", "hang":
	case "sleep":
		least, most, _ := strings.Cut(times, "-")
		if r.least, err = time.ParseDuration(least); err == nil {
			r.most, err = time.ParseDuration(most)
		}
		if err == nil && r.most <= r.least {
			err = errors.New("the longest time is not above the shortest")
		}
	default:
		err = errors.New("no such action")
	}
	return place, r, err
}

// Hit is a place where the process may end.
func Hit(place string) { _ = hit(place) }

// hit does what the rules say of a place.
func hit(place string) error {
	r, ok := (*rules.Load())[place]
	if !ok || rand.Float64() >= r.probability {
		return nil
	}
	switch r.action {
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal has come
	case "sleep":
		time.Sleep(r.least + rand.N(r.most-r.least))
	case "hang":
		for ok {
			time.Sleep(lookEvery)
			now, still := (*rules.Load())[place]
			ok = still && now.action == "hang"
		}
	case "error":
		return errInjected
	}
	return nil
}
