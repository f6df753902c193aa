package drive

import "github.com/sheafdb/sheaf"

// sessions is clients at SEQUENTIAL, each of which passes along the largest version that it
// has seen, whichever node it asks.
type sessions struct {
	plain
	names []string
}

const sessionKeys = 6

func newSessions(*team) script { return &sessions{names: named("k", sessionKeys)} }

func (s *sessions) keys() []string { return s.names }

func (s *sessions) step(c *caller) {
	keys := some(c.rng, s.names, 1, 1)
	if c.percent(30) {
		keys = some(c.rng, s.names, 2, len(s.names))
	}
	switch dice := c.rng.IntN(100); {
	case dice < 55:
		c.read(sheaf.Sequential, keys...)
	case dice < 62:
		c.read(sheaf.Linearizable, keys...)
	case dice < 70:
		f, ok := c.read(sheaf.Sequential, keys...)
		if !ok {
			return
		}
		b := &batch{keys: keys, values: c.freshFor(len(keys)), level: sheaf.Sequential}
		b.onlyIf(c, f)
		c.write(b)
	default:
		c.write(&batch{keys: keys, values: c.freshFor(len(keys)), level: sheaf.Sequential})
	}
}
