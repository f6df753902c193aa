package wire

// Positions is a set of positions in a bundle: bit i%8 of byte i/8 is set for position i. The
// last byte is not 0, so that a set has one encoding; nil is the empty set.
type Positions []byte

// Add adds a position, which must not be there.
func (p *Positions) Add(i int) {
	for len(*p) <= i/8 {
		*p = append(*p, 0)
	}
	(*p)[i/8] |= 1 << (i % 8)
}

// Has reports whether a position is in the set.
func (p Positions) Has(i int) bool { return i/8 < len(p) && p[i/8]&(1<<(i%8)) != 0 }

func (p Positions) canonical() bool { return len(p) == 0 || p[len(p)-1] != 0 }
