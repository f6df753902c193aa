package main

import (
	"fmt"
	"os"
	"time"
)

// progress tells on standard error how far a scenario is.
type progress struct {
	scenario string
	steps    int // in all
	done     int
	began    time.Time
}

func newProgress(scenario string, steps int) *progress {
	return &progress{scenario: scenario, steps: steps, began: time.Now()}
}

// step tells that one more step is done, what it was, and how long the others
// take if they are like those so far.
func (p *progress) step(format string, args ...any) {
	p.done++
	fmt.Fprintf(os.Stderr, "%s: %d of %d, %v left: %s\n", p.scenario, p.done, p.steps,
		timeLeft(time.Since(p.began), p.done, p.steps), fmt.Sprintf(format, args...))
}

func timeLeft(took time.Duration, done, steps int) time.Duration {
	if done == 0 {
		return 0
	}
	return (took / time.Duration(done) * time.Duration(max(steps-done, 0))).Round(time.Second)
}
