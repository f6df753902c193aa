package contest

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"github.com/sheafdb/sheaf"
)

// The work, the same for all.
const (
	BatchEntries = 1_000
	KeyBytes     = 32
	ValueBytes   = 128
	KeySpace     = 1_000_000 // the usual number of keys
	BatchBytes   = BatchEntries * (KeyBytes + ValueBytes)
	noiseBytes   = 1 << 20
)

// Workload is a list of keys, each once, in an order that has nothing to do with that of
// their bytes, and the noise that values are cut from. Keys are made when they are drawn: to
// look them up among ten million would take the load's processor as much time as the
// server's takes. Nothing in it changes, so callers share it.
type Workload struct {
	// noise does not compress: values that do would flatter a store that
	// compresses, in a measure nobody could tell.
	noise []byte
	count int
}

// NewWorkload has this many keys, which must be a multiple of BatchEntries and
// below 2^63. Smaller workloads are the beginning of larger ones.
func NewWorkload(keys int) *Workload {
	w := &Workload{noise: make([]byte, noiseBytes+ValueBytes), count: keys}
	rng := rand.New(rand.NewPCG(2, 0))
	for i := range w.noise {
		w.noise[i] = byte(rng.Uint32())
	}
	return w
}

// First is the workload of the first keys only.
func (w *Workload) First(keys int) *Workload { return &Workload{noise: w.noise, count: keys} }

// Keys is how many keys there are.
func (w *Workload) Keys() int { return w.count }

// AppendKey appends the i-th key.
func (w *Workload) AppendKey(dst []byte, i int) []byte {
	var raw [KeyBytes / 2]byte
	// The first half alone makes the key unique.
	binary.BigEndian.PutUint64(raw[:], scatter(uint64(i)))
	binary.BigEndian.PutUint64(raw[8:], scatter(uint64(i)+1<<63))
	return hex.AppendEncode(dst, raw[:])
}

// Key is the i-th key, in memory of its own.
func (w *Workload) Key(i int) []byte { return w.AppendKey(nil, i) }

// Neighbours draws a batch of neighbours in the list of keys, so that no key
// occurs twice, with random values. The keys take the place of those that are in entries,
// whose memory must be the caller's.
func (w *Workload) Neighbours(entries []sheaf.Entry, rng *rand.Rand) {
	w.From(rng.IntN(w.count), entries, rng)
}

// From fills a batch with the keys from the first on, with random values, as Neighbours
// does.
func (w *Workload) From(first int, entries []sheaf.Entry, rng *rand.Rand) {
	for i := range entries {
		entries[i].Key = w.AppendKey(entries[i].Key[:0], (first+i)%w.count)
		entries[i].Value = w.value(rng)
	}
}

// Uniform draws a batch from all over the list of keys. Neighbours were loaded
// together and may lie together in a contestant's memory; these do not. The
// steps between them have no divisor in common with the number of keys, so no
// key occurs twice. It takes memory as Neighbours does.
func (w *Workload) Uniform(entries []sheaf.Entry, rng *rand.Rand) {
	step := 1 + rng.IntN(w.count-1)
	for gcd(step, w.count) != 1 {
		step = step%(w.count-1) + 1
	}
	at := rng.IntN(w.count)
	for i := range entries {
		entries[i].Key = w.AppendKey(entries[i].Key[:0], at)
		entries[i].Value = w.value(rng)
		at = (at + step) % w.count
	}
}

func (w *Workload) value(rng *rand.Rand) []byte {
	at := rng.IntN(noiseBytes)
	return w.noise[at : at+ValueBytes : at+ValueBytes]
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// scatter is the finalizer of SplitMix64 (Steele, Lea and Flood 2014): one to
// one, so that different numbers stay different keys.
func scatter(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
