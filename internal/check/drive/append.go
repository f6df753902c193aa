package drive

import "github.com/sheafdb/sheaf"

// appendTo is lists: a client reads some, and writes each with one more element, on condition
// that none has changed. A list tells the order of all who wrote it.
type appendTo struct {
	plain
	names []string
}

const lists = 4

func newAppend(*team) script { return &appendTo{names: named("l", lists)} }

func (s *appendTo) keys() []string { return s.names }

func (s *appendTo) step(c *caller) {
	if c.percent(50) {
		c.read(sheaf.Linearizable, some(c.rng, s.names, 2, len(s.names))...)
		return
	}
	b := &batch{keys: some(c.rng, s.names, 1, 3)}
	f, ok := c.read(sheaf.Linearizable, b.keys...)
	if !ok {
		return
	}
	element := c.fresh()
	for _, old := range f.values {
		list := element
		if old != nil {
			list = *old + "," + element
		}
		b.values = append(b.values, &list)
	}
	b.onlyIf(c, f)
	c.write(b)
}
