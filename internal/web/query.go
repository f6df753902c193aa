package web

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/document"
)

// query is the part of a URL after the question mark. A parameter that the path
// does not know is refused, so that a typing error never means the default.
type query map[string]string

func parseQuery(raw string, names ...string) (query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, sheaf.Invalid("query", "is malformed: %s", err)
	}
	q := make(query, len(values))
	for name, given := range values {
		if !slices.Contains(names, name) {
			return nil, sheaf.Invalid(document.Clip(name), "is not a parameter of this path: there are %s", strings.Join(names, ", "))
		}
		if len(given) > 1 {
			return nil, sheaf.Invalid(name, "is given twice")
		}
		q[name] = given[0]
	}
	return q, nil
}

func (q query) uint(name string) (uint64, error) {
	text, given := q[name]
	if !given {
		return 0, nil
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, sheaf.Invalid(name, "is %q: it must be an integer that is not negative", document.Clip(text))
	}
	return v, nil
}

// ttlMS reads a time to live, which may still be no sensible one; without the parameter it is 0.
func (q query) ttlMS(name string) (int64, error) {
	text, given := q[name]
	if !given {
		return 0, nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, sheaf.Invalid(name, "is %q: it must be an integer from 0 to %d", document.Clip(text), sheaf.MaxTTL.Milliseconds())
	}
	return v, nil
}

// levelAndAfter reads the parameters that every path of one key has.
func (q query) levelAndAfter() (level sheaf.Consistency, after uint64, err error) {
	if level, err = parseConsistency("consistency", q["consistency"]); err != nil {
		return 0, 0, err
	}
	after, err = q.uint("after")
	return level, after, err
}

// bytes reads the parameter name, or name_b64 in its stead.
func (q query) bytes(name string) ([]byte, error) {
	plain, given := q[name]
	encoded, givenB64 := q[name+"_b64"]
	switch {
	case given && givenB64:
		return nil, sheaf.Invalid(name+"_b64", "stands beside %s: send one of them", name)
	case !givenB64:
		return []byte(plain), nil
	}
	// A query turns the + of base64 into a space.
	out, err := document.DecodeBase64(nil, []byte(strings.ReplaceAll(encoded, " ", "+")))
	if err != nil {
		return nil, sheaf.Invalid(name+"_b64", "is not base64: %s", err)
	}
	return out, nil
}
