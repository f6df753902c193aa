package drive

// batches is one small set of keys, written as one batch, in part too, and read as one.
type batches struct {
	plain
	names []string
}

// A set has few keys, so that the search for an order has few states to look at.
const (
	leastSet = 2
	mostSet  = 6
)

func newBatches(t *team) script {
	return &batches{names: named("b", leastSet+t.rng.IntN(mostSet-leastSet+1))}
}

func (s *batches) keys() []string { return s.names }

func (s *batches) step(c *caller) {
	b := &batch{keys: s.names, values: c.freshFor(len(s.names)), level: c.Level}
	switch dice := c.rng.IntN(100); {
	case dice < 45:
		c.read(c.Level, s.names...)
		return
	case dice < 50:
		c.read(c.Level, some(c.rng, s.names, 1, len(s.names))...)
		return
	case dice < 65:
		b.keys = some(c.rng, s.names, 1, len(s.names))
		b.values = b.values[:len(b.keys)]
		for i := range b.values {
			if c.percent(20) {
				b.values[i] = nil
			}
		}
	case dice < 80:
		b.keys = some(c.rng, s.names, 1, len(s.names))
		f, ok := c.read(c.Level, b.keys...)
		if !ok {
			return
		}
		b.values = b.values[:len(b.keys)]
		b.onlyIf(c, f)
	}
	c.write(b)
}
