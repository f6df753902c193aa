package wire

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sheafdb/sheaf"
)

// Entries is the validated, canonical encoding of a batch's entries: for each
// the tag of field 2 of PutAllRequest, its length and its body. It is a view:
// the bytes belong to whoever made them and must not change while it is used.
type Entries struct {
	raw         []byte
	count       int
	conditional bool // at least one entry has if_version
}

// MaxTypeURLBytes bounds the type_url of an entry.
const MaxTypeURLBytes = 1024

const tagEntries = 2<<3 | byte(protowire.BytesType)

// Len is the number of entries.
func (e Entries) Len() int { return e.count }

// Canonical views entries that AppendEntry has made, whose limits were checked before.
func Canonical(raw []byte) Entries {
	e, err := ParseEntries(raw, shapeOnly)
	if err != nil {
		panic("wire: entries of our own are malformed: " + err.Error())
	}
	return e
}

// CopyTo moves the view to a copy of the encoding, for which write has the place: it appends
// the bytes that are given to append.
func (e Entries) CopyTo(place func(write func(dst []byte) []byte) []byte) Entries {
	e.raw = place(func(dst []byte) []byte { return append(dst, e.raw...) })
	return e
}

// EndOf views the same encoding at the end of data.
func (e Entries) EndOf(data []byte) Entries {
	e.raw = data[len(data)-len(e.raw) : len(data) : len(data)]
	return e
}

// Share is what a number has of a batch's entries.
type Share struct {
	Number  uint64
	Entries Entries
}

// Divide gives each number that numberOf has for a key its share, by ascending number. The
// shares have memory of their own. There may be at most 65,536 numbers, and few are looked up
// fast.
func (e Entries) Divide(numberOf func(key []byte) uint64) (shares []Share) {
	owners, sizes := make([]uint16, 0, e.count), []int(nil)
	for rest := e.raw; len(rest) > 0; {
		body, after := cutBody(rest)
		key, _, usual := parseUsual(body)
		conditional := false
		if !usual {
			entry, _, _ := parseEntry(body)
			key, conditional = entry.Key, entry.HasIfVersion
		}
		number, at := numberOf(key), 0
		for at < len(shares) && shares[at].Number != number {
			at++
		}
		if at == len(shares) {
			shares, sizes = append(shares, Share{Number: number}), append(sizes, 0)
		}
		owners = append(owners, uint16(at))
		sizes[at] += len(rest) - len(after)
		share := &shares[at].Entries
		share.count++
		share.conditional = share.conditional || conditional
		rest = after
	}
	for at, size := range sizes {
		shares[at].Entries.raw = make([]byte, 0, size)
	}
	rest := e.raw
	for _, at := range owners {
		_, after := cutBody(rest)
		share := &shares[at].Entries
		share.raw = append(share.raw, rest[:len(rest)-len(after)]...)
		rest = after
	}
	slices.SortFunc(shares, func(a, b Share) int { return cmp.Compare(a.Number, b.Number) })
	return shares
}

// Raw is the encoding. The caller must not change it.
func (e Entries) Raw() []byte { return e.raw }

// Conditional reports whether any entry has if_version.
func (e Entries) Conditional() bool { return e.conditional }

// All walks the entries in place, with their positions.
func (e Entries) All() iter.Seq2[int, Entry] {
	return func(yield func(int, Entry) bool) {
		rest := e.raw
		for i := 0; len(rest) > 0; i++ {
			var body []byte
			body, rest = cutBody(rest)
			var entry Entry
			var usual bool
			if entry.Key, entry.Value, usual = parseUsual(body); !usual {
				entry, _, _ = parseEntry(body)
			}
			if !yield(i, entry) {
				return
			}
		}
	}
}

// Singles are the entries one by one, each as the encoding of a batch of its own.
func (e Entries) Singles() iter.Seq2[int, Entries] {
	return func(yield func(int, Entries) bool) {
		for i, rest := 0, e.raw; len(rest) > 0; i++ {
			_, after := cutBody(rest)
			one := rest[: len(rest)-len(after) : len(rest)-len(after)]
			if !yield(i, Entries{raw: one, count: 1}) {
				return
			}
			rest = after
		}
	}
}

// cutBody takes the first entry off a canonical run of entries.
func cutBody(run []byte) (body, rest []byte) {
	size, n := int(run[1]), 2
	if size >= 0x80 {
		v, m := binary.Uvarint(run[1:])
		size, n = int(v), 1+m
	}
	return run[n : n+size : n+size], run[n+size:]
}

// AppendEntry appends one entry in canonical form to the encoding of a batch.
// It copies key, value and type_url.
func AppendEntry(dst []byte, e *Entry) []byte {
	dst = append(dst, tagEntries)
	dst = binary.AppendUvarint(dst, uint64(bodySize(e)))
	return appendBody(dst, e)
}

// ParseEntries validates raw, a run of encoded entries, against the limits of
// an entry and of a batch. The result views raw when raw is canonical and a
// copy otherwise. Errors are *sheaf.Error and name the entry by its index.
func ParseEntries(raw []byte, limits sheaf.Limits) (Entries, error) {
	if len(raw) > limits.BatchBytes {
		return Entries{}, TooManyBytes(len(raw), limits)
	}
	set := NewKeySet(expectedEntries(raw, limits))
	defer set.Release()
	return parseEntries(raw, limits, set)
}

// ParseBundle is ParseEntries for the entries of a bundle, in which a key may occur more
// than once.
func ParseBundle(raw []byte, limits sheaf.Limits) (Entries, error) {
	if len(raw) > limits.BatchBytes {
		return Entries{}, TooManyBytes(len(raw), limits)
	}
	return parseEntries(raw, limits, nil)
}

// parseEntries finds keys that are named twice with once, unless that is nil.
func parseEntries(raw []byte, limits sheaf.Limits, once *KeySet) (Entries, error) {
	entries := Entries{raw: raw}
	allCanonical := true
	for rest := raw; len(rest) > 0; {
		if rest[0] != tagEntries {
			return Entries{}, sheaf.Invalid("entries", "unexpected field tag 0x%02x among the entries", rest[0])
		}
		body, n := protowire.ConsumeBytes(rest[1:])
		if n < 0 {
			return Entries{}, sheaf.Invalid(entryField(entries.count, ""), "is cut short or malformed")
		}
		rest = rest[1+n:]
		if entries.count >= limits.BatchEntries {
			return Entries{}, TooManyEntries(limits)
		}
		key, value, canonical := parseUsual(body)
		if !canonical || len(key) > limits.KeyBytes || len(value) > limits.ValueBytes {
			entry, isCanonical, problem := parseEntry(body)
			if problem != "" {
				return Entries{}, sheaf.Invalid(entryField(entries.count, ""), "%s", problem)
			}
			if err := checkEntry(entries.count, &entry, limits); err != nil {
				return Entries{}, err
			}
			key, canonical = entry.Key, isCanonical
			entries.conditional = entries.conditional || entry.HasIfVersion
		}
		if once != nil {
			if first, dup := once.Add(key); dup {
				return Entries{}, sheaf.Invalid(entryField(entries.count, "key"),
					"is the same key as entries[%d]: a batch writes each key once", first)
			}
		}
		allCanonical = allCanonical && canonical && n == protowire.SizeBytes(len(body))
		entries.count++
	}
	if entries.count == 0 {
		return Entries{}, sheaf.Invalid("entries", "the batch is empty: it needs at least one entry")
	}
	if !allCanonical {
		entries.raw = canonicalise(raw)
	}
	return entries, nil
}

// expectedEntries guesses how many entries follow, by the size of the first.
func expectedEntries(raw []byte, limits sheaf.Limits) int {
	body, n := protowire.ConsumeBytes(raw[min(1, len(raw)):])
	if n < 0 {
		return 0
	}
	return min(len(raw)/(len(body)+2), limits.BatchEntries, maxPooledSlots/2)
}

// canonicalise encodes valid entries again, in canonical form.
func canonicalise(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for rest := raw; len(rest) > 0; {
		body, n := protowire.ConsumeBytes(rest[1:])
		entry, _, _ := parseEntry(body)
		out = AppendEntry(out, &entry)
		rest = rest[1+n:]
	}
	return out
}

func checkEntry(i int, e *Entry, limits sheaf.Limits) error {
	switch {
	case len(e.Key) == 0:
		return sheaf.Invalid(entryField(i, "key"), "is empty")
	case len(e.Key) > limits.KeyBytes:
		return sheaf.Invalid(entryField(i, "key"), "has %d bytes: at most %d are allowed", len(e.Key), limits.KeyBytes)
	case len(e.Value) > limits.ValueBytes:
		return &sheaf.Error{
			Code:   sheaf.BatchTooLarge,
			Detail: fmt.Sprintf("%s has %d bytes: at most %d are allowed", entryField(i, "value"), len(e.Value), limits.ValueBytes),
		}
	case e.Delete && len(e.Value) > 0:
		return sheaf.Invalid(entryField(i, ""), "has both a value and delete: choose one")
	case e.Delete && (e.TTLMS != 0 || len(e.TypeURL) > 0):
		return sheaf.Invalid(entryField(i, ""), "is a delete with a ttl_ms or a type_url: leave them out")
	case e.TTLMS < 0:
		return sheaf.Invalid(entryField(i, "ttl_ms"), "is %d: it must not be negative", e.TTLMS)
	case e.TTLMS > sheaf.MaxTTL.Milliseconds():
		return sheaf.Invalid(entryField(i, "ttl_ms"), "is %d: at most %d (100 years) is allowed", e.TTLMS, sheaf.MaxTTL.Milliseconds())
	case len(e.TypeURL) > MaxTypeURLBytes:
		return sheaf.Invalid(entryField(i, "type_url"), "has %d bytes: at most %d are allowed", len(e.TypeURL), MaxTypeURLBytes)
	}
	return nil
}

// TooManyEntries is the error for a batch with more entries than allowed.
func TooManyEntries(limits sheaf.Limits) error {
	return sheaf.Errorf(sheaf.BatchTooLarge, "more than %d entries (limits.batch_entries): split the batch", limits.BatchEntries)
}

// TooManyBytes is the error for a batch with more bytes than allowed.
func TooManyBytes(size int, limits sheaf.Limits) error {
	return sheaf.Errorf(sheaf.BatchTooLarge, "%d bytes, where at most %d are allowed (limits.batch_bytes): split the batch", size, limits.BatchBytes)
}

func entryField(i int, field string) string {
	if field == "" {
		return fmt.Sprintf("entries[%d]", i)
	}
	return fmt.Sprintf("entries[%d].%s", i, field)
}

// Take appends those entries whose keys have the prefix to dst, until dst has most bytes, and
// returns what dst then is, with how many were appended, and the rest. The rest begins with an
// entry that has the prefix, and is empty if none has.
func (e Entries) Take(dst, prefix []byte, most int) (taken, rest Entries) {
	if len(prefix) == 0 && len(dst)+len(e.raw) <= most {
		return Entries{raw: append(dst, e.raw...), count: e.count}, Entries{}
	}
	taken.raw, rest = dst, e
	for len(rest.raw) > 0 {
		body, after := cutBody(rest.raw)
		key, _, usual := parseUsual(body)
		if !usual {
			entry, _, _ := parseEntry(body)
			key = entry.Key
		}
		if bytes.HasPrefix(key, prefix) {
			if len(taken.raw) >= most {
				return taken, rest
			}
			taken.raw = append(taken.raw, rest.raw[:len(rest.raw)-len(after)]...)
			taken.count++
		}
		rest.raw = after
		rest.count--
	}
	return taken, Entries{}
}

// Gathered is what several calls of Take have put into raw, one after the other. A key may be in it
// more than once.
func Gathered(raw []byte, count int) Entries { return Entries{raw: raw, count: count} }
