package drive

import "github.com/sheafdb/sheaf/internal/check/history"

// register is single keys, each for itself: reads, writes, deletes, and writes on condition
// that the key is as it was read.
type register struct {
	plain
	names []string
}

const registerKeys = 3

func newRegister(*team) script { return &register{names: named("r", registerKeys)} }

func (s *register) keys() []string { return s.names }

func (s *register) step(c *caller) {
	key := []string{s.names[c.rng.IntN(len(s.names))]}
	b := &batch{keys: key, values: c.freshFor(1), level: c.Level}
	switch dice := c.rng.IntN(100); {
	case dice < 45:
		c.read(c.Level, key...)
		return
	case dice < 53:
		b.values[0] = nil
	case dice < 70:
		f, ok := c.read(c.Level, key...)
		if !ok {
			return
		}
		b.onlyIf(c, f)
	}
	c.write(b)
}

// onlyIf makes a batch depend on its keys' being as they were read, told in one of two ways.
func (b *batch) onlyIf(c *caller, f found) {
	b.condition, b.expect, b.etag, b.versions = history.ByETag, f.values, f.etag, f.versions
	if c.percent(50) {
		b.condition = history.ByVersions
	}
}
