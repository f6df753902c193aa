package drive

import "github.com/sheafdb/sheaf"

// stamps is many keys that always have the same value: each batch writes its stamp to all.
type stamps struct {
	plain
	names []string
}

const (
	leastStamped = 8
	mostStamped  = 64
)

func newStamps(t *team) script {
	return &stamps{names: named("s", leastStamped+t.rng.IntN(mostStamped-leastStamped+1))}
}

func (s *stamps) keys() []string { return s.names }

func (s *stamps) step(c *caller) {
	switch dice := c.rng.IntN(100); {
	case dice < 40:
		c.read(sheaf.Linearizable, s.names...)
	case dice < 60:
		c.read(sheaf.Linearizable, some(c.rng, s.names, 2, len(s.names))...)
	default:
		stamp := c.fresh()
		b := &batch{keys: s.names}
		for range s.names {
			b.values = append(b.values, &stamp)
		}
		c.write(b)
	}
}
