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

// Workload holds every key and the noise that values are cut from, made before
// anything is timed. Nothing in it changes, so callers share it.
type Workload struct {
	// keys are all keys one after the other, each once, in an order that has
	// nothing to do with that of their bytes.
	keys []byte
	// noise does not compress: values that do would flatter a store that
	// compresses, in a measure nobody could tell.
	noise []byte
	count int
}

// NewWorkload makes this many keys, which must be a multiple of BatchEntries and
// below 2^63. Smaller workloads are the beginning of larger ones.
func NewWorkload(keys int) *Workload {
	w := &Workload{keys: make([]byte, 0, keys*KeyBytes), noise: make([]byte, noiseBytes+ValueBytes), count: keys}
	var raw [KeyBytes / 2]byte
	for i := range uint64(keys) {
		// The first half alone makes the key unique.
		binary.BigEndian.PutUint64(raw[:], scatter(i))
		binary.BigEndian.PutUint64(raw[8:], scatter(i+1<<63))
		w.keys = hex.AppendEncode(w.keys, raw[:])
	}
	rng := rand.New(rand.NewPCG(2, 0))
	for i := range w.noise {
		w.noise[i] = byte(rng.Uint32())
	}
	return w
}

// First is the workload of the first keys only.
func (w *Workload) First(keys int) *Workload {
	return &Workload{keys: w.keys[:keys*KeyBytes], noise: w.noise, count: keys}
}

// Keys is how many keys there are.
func (w *Workload) Keys() int { return w.count }

// Key is the i-th key. It must not be changed.
func (w *Workload) Key(i int) []byte {
	at := i * KeyBytes
	return w.keys[at : at+KeyBytes : at+KeyBytes]
}

// Neighbours draws a batch of neighbours in the list of keys, so that no key
// occurs twice, with random values. It copies nothing.
func (w *Workload) Neighbours(entries []sheaf.Entry, rng *rand.Rand) {
	w.From(rng.IntN(w.count), entries, rng)
}

// From fills a batch with the keys from the first on, with random values.
func (w *Workload) From(first int, entries []sheaf.Entry, rng *rand.Rand) {
	for i := range entries {
		entries[i].Key = w.Key((first + i) % w.count)
		entries[i].Value = w.value(rng)
	}
}

// Uniform draws a batch from all over the list of keys. Neighbours were loaded
// together and may lie together in a contestant's memory; these do not. The
// steps between them have no divisor in common with the number of keys, so no
// key occurs twice.
func (w *Workload) Uniform(entries []sheaf.Entry, rng *rand.Rand) {
	step := 1 + rng.IntN(w.count-1)
	for gcd(step, w.count) != 1 {
		step = step%(w.count-1) + 1
	}
	at := rng.IntN(w.count)
	for i := range entries {
		entries[i].Key = w.Key(at)
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
