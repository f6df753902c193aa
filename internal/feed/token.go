package feed

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Place is a place in a group's log: the events of the entries before Index, and the first Sub
// of the entry at Index itself.
type Place struct{ Index, Sub uint64 }

// whole is Sub when nothing of the entry is left.
const whole = math.MaxUint64

// through is the place behind all of an entry.
func through(index uint64) Place { return Place{index, whole} }

func (p Place) before(q Place) bool {
	return p.Index < q.Index || p.Index == q.Index && p.Sub < q.Sub
}

// Token says how far a reader is: everything up to Seen, of each group by its number less one.
//
// Read is set when the reader's picture began with a scan of several groups, which is of another
// instant in each: what was committed behind Seen but is part of the scan, because its log entry in
// the key's own group is not behind Read, is not sent to it again. It is nil once that is all passed.
type Token struct {
	Seen []Place
	Read []uint64
}

// Encode is the token's text: a tag that names the feed's origin, the places, and what was read:
// "6q3kzr_1.120-2.77.3~1.125-2.80".
func (t Token) encode(tag string) string {
	out := append([]byte(tag), '_')
	for i, place := range t.Seen {
		if i > 0 {
			out = append(out, '-')
		}
		out = strconv.AppendInt(out, int64(i+1), 10)
		out = strconv.AppendUint(append(out, '.'), place.Index, 10)
		if place.Sub != whole {
			out = strconv.AppendUint(append(out, '.'), place.Sub, 10)
		}
	}
	for i, index := range t.Read {
		out = append(out, "~-"[min(i, 1)])
		out = strconv.AppendInt(out, int64(i+1), 10)
		out = strconv.AppendUint(append(out, '.'), index, 10)
	}
	return string(out)
}

var errToken = errors.New("is no token that a watch or a scan has given")

// decode reads a token's text. ours is false if it is of another origin.
func decode(text, tag string, groups int) (t Token, ours bool, err error) {
	origin, places, ok := strings.Cut(text, "_")
	if !ok || origin == "" || len(text) > maxTokenBytes {
		return t, false, errToken
	}
	seen, read, scanned := strings.Cut(places, "~")
	if t.Seen, err = decodePlaces(seen); err != nil {
		return t, false, err
	}
	if scanned {
		parts, err := decodePlaces(read)
		if err != nil || len(parts) != len(t.Seen) {
			return t, false, errToken
		}
		for _, place := range parts {
			if place.Sub != whole {
				return t, false, errToken
			}
			t.Read = append(t.Read, place.Index)
		}
	}
	return t, origin == tag && len(t.Seen) == groups, nil
}

// maxTokenBytes bounds a token's text.
const maxTokenBytes = 64 << 10

func decodePlaces(text string) (places []Place, err error) {
	for i, one := range strings.Split(text, "-") {
		fields := strings.Split(one, ".")
		if len(fields) < 2 || len(fields) > 3 || fields[0] != strconv.Itoa(i+1) {
			return nil, errToken
		}
		place := Place{Sub: whole}
		if place.Index, err = strconv.ParseUint(fields[1], 10, 64); err != nil {
			return nil, errToken
		}
		if len(fields) == 3 {
			if place.Sub, err = strconv.ParseUint(fields[2], 10, 64); err != nil || place.Sub == whole {
				return nil, errToken
			}
		}
		places = append(places, place)
	}
	return places, nil
}
