package main

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"github.com/sheafdb/sheaf"
)

// The work, the same for all.
const (
	batchEntries = 1_000
	keyBytes     = 32
	valueBytes   = 128
	keySpace     = 1_000_000
	batchBytes   = batchEntries * (keyBytes + valueBytes)
	noiseBytes   = 1 << 20
)

// workload holds every key and the noise that values are cut from, made before
// anything is timed. Nothing in it changes, so callers share it.
type workload struct {
	// keys are keySpace keys one after the other, each once, in an order that
	// has nothing to do with that of their bytes.
	keys []byte
	// noise does not compress: values that do would flatter a store that
	// compresses, in a measure nobody could tell.
	noise []byte
}

func newWorkload() *workload {
	w := &workload{keys: make([]byte, 0, keySpace*keyBytes), noise: make([]byte, noiseBytes+valueBytes)}
	var raw [keyBytes / 2]byte
	for i := range uint64(keySpace) {
		// The first half alone makes the key unique.
		binary.BigEndian.PutUint64(raw[:], scatter(i))
		binary.BigEndian.PutUint64(raw[8:], scatter(i+keySpace))
		w.keys = hex.AppendEncode(w.keys, raw[:])
	}
	rng := rand.New(rand.NewPCG(2, 0))
	for i := range w.noise {
		w.noise[i] = byte(rng.Uint32())
	}
	return w
}

// fill draws a batch: neighbours in the list of keys, so that no key occurs
// twice, with random values. It copies nothing.
func (w *workload) fill(entries []sheaf.Entry, rng *rand.Rand) {
	first := rng.IntN(keySpace)
	for i := range entries {
		at := (first + i) % keySpace * keyBytes
		entries[i].Key = w.keys[at : at+keyBytes : at+keyBytes]
		at = rng.IntN(noiseBytes)
		entries[i].Value = w.noise[at : at+valueBytes : at+valueBytes]
	}
}

// scatter is the finalizer of SplitMix64 (Steele, Lea and Flood 2014): one to
// one, so that different numbers stay different keys.
func scatter(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
