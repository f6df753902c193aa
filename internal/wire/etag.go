package wire

import (
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/sheafdb/sheaf"
)

// ETagSum is the digest of a set of keys with their versions: the sum, modulo
// 2^128, of one hash per key that is there. A key that is absent, deleted or
// expired counts 0. Because it is a sum, groups compute parts of it and a
// coordinator adds them up, in any order.
type ETagSum struct{ Hi, Lo uint64 }

// AddKey counts a key that is there at a version. The hash is XXH3-128 of the
// key, seeded with the version, so every node computes the same.
func (s *ETagSum) AddKey(key []byte, version uint64) {
	h := xxh3.Hash128Seed(key, version)
	s.Add(ETagSum{h.Hi, h.Lo})
}

// Add adds the sum of another, disjoint set of keys.
func (s *ETagSum) Add(other ETagSum) {
	lo := s.Lo + other.Lo
	s.Hi += other.Hi
	if lo < s.Lo {
		s.Hi++
	}
	s.Lo = lo
}

// ETag is the quoted form that callers see.
func (s ETagSum) ETag() sheaf.ETag {
	var quoted [etagBytes]byte
	return sheaf.ETag(s.AppendETag(quoted[:0]))
}

// etagBytes is the length of the quoted form.
const etagBytes = 1 + 32 + 1

// AppendETag appends the quoted form.
func (s ETagSum) AppendETag(dst []byte) []byte {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], s.Hi)
	binary.BigEndian.PutUint64(raw[8:], s.Lo)
	return append(hex.AppendEncode(append(dst, '"'), raw[:]), '"')
}

// Match is a condition on the ETag of a batch's keys: the parsed form of
// If-Match or If-None-Match. The zero value is no condition.
type Match struct {
	// Set: there is a condition, even if no tag of it can ever match.
	Set bool
	// Star: the condition is "*".
	Star bool
	// Tags are the listed tags that this store could have made.
	Tags []ETagSum
}

// MaxMatchTags bounds how many tags one condition may list.
const MaxMatchTags = 64

// Has reports whether a tag is listed.
func (m Match) Has(sum ETagSum) bool {
	for _, tag := range m.Tags {
		if tag == sum {
			return true
		}
	}
	return false
}

// ParseMatch reads the value of If-Match or If-None-Match as RFC 9110 has it: "*"
// or a list of entity tags. Writes compare strongly, so a weak tag is dropped; a
// well-formed tag that some other server made is dropped too, and both leave
// Set true. field names the condition in the error, which is INVALID_BATCH.
func ParseMatch(field, text string) (Match, error) { return parseMatch(field, text, false) }

// ParseWeakMatch reads the If-None-Match of a read, for which RFC 9110 compares weakly: a cache or
// proxy on the way may have made the tag of the node a weak one, and the value is the same.
func ParseWeakMatch(field, text string) (Match, error) { return parseMatch(field, text, true) }

func parseMatch(field, text string, weakly bool) (Match, error) {
	rest := strings.Trim(text, " \t")
	if text == "" {
		return Match{}, nil
	}
	if rest == "*" {
		return Match{Set: true, Star: true}, nil
	}
	match := Match{Set: true}
	for n := 0; ; n++ {
		if n == MaxMatchTags {
			return Match{}, sheaf.Invalid(field, "lists more than %d ETags", MaxMatchTags)
		}
		rest = strings.TrimLeft(rest, " \t")
		weak := strings.HasPrefix(rest, "W/")
		rest = strings.TrimPrefix(rest, "W/")
		if !strings.HasPrefix(rest, `"`) {
			return Match{}, sheaf.Invalid(field, `is malformed: an ETag stands in double quotes, such as "0123…cdef", or is *`)
		}
		end := strings.IndexByte(rest[1:], '"')
		if end < 0 {
			return Match{}, sheaf.Invalid(field, "is malformed: an ETag lacks its closing quote")
		}
		opaque := rest[1 : 1+end]
		for i := range len(opaque) {
			if c := opaque[i]; c < 0x21 || c == 0x7f {
				return Match{}, sheaf.Invalid(field, "is malformed: an ETag holds the byte 0x%02x", c)
			}
		}
		if sum, ok := parseSum(opaque); ok && (weakly || !weak) {
			match.Tags = append(match.Tags, sum)
		}
		rest = strings.TrimLeft(rest[2+end:], " \t")
		if rest == "" {
			return match, nil
		}
		if rest[0] != ',' {
			return Match{}, sheaf.Invalid(field, "is malformed: ETags are separated by commas")
		}
		rest = rest[1:]
	}
}

func parseSum(opaque string) (ETagSum, bool) {
	var raw [16]byte
	if len(opaque) != 32 || strings.ToLower(opaque) != opaque {
		return ETagSum{}, false
	}
	if _, err := hex.Decode(raw[:], []byte(opaque)); err != nil {
		return ETagSum{}, false
	}
	return ETagSum{binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])}, true
}
