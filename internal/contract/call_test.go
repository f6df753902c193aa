package contract

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
)

// operation is what a call asks for, whichever face carries it.
type operation int

const (
	putAll operation = iota
	deleteAll
	getAll
	scan
	// The three operations of one key have paths of their own over HTTP; over
	// gRPC they are batches of one.
	putKey
	getKey
	deleteKey
)

// call is one request in neutral form. Its zero values are what a caller leaves out.
type call struct {
	op      operation
	id      string
	entries []sheaf.Entry // of putAll, and the one of putKey
	keys    []string      // of the others; the prefix of scan
	level   sheaf.Consistency

	ifMatch, ifNoneMatch string
	after                uint64

	// start and limit belong to scan.
	start string
	limit uint64

	// timeout is what the caller tells the node that it will wait.
	timeout time.Duration
}

// answer is what a face answered, in neutral form.
type answer struct {
	version            uint64
	etag               string
	replayed, accepted bool
	items              []item
	// token is the watch token of a scan.
	token string
	// refused is nil after a success.
	refused *refusal
}

type item struct {
	key, value, typeURL string
	version             uint64
	found               bool
}

// String is the form in which cases write items: "key=value", or "key absent".
func (i item) String() string {
	if !i.found {
		return i.key + " absent"
	}
	return i.key + "=" + i.value
}

// refusal is an error that the driver has held against its row of the table: the
// status, the outcome, the advice and which details are present.
type refusal struct {
	code        sheaf.Code
	detail      string
	fields      []string // malformed fields
	keys        []string // that a condition failed on
	currentETag string
	token       string // where a watch may begin
	retryAfter  time.Duration
}

// face is one way into a node.
type face interface {
	name() string
	// do carries one call. It fails t when the answer breaks the form that all
	// answers of the face have; what the answer says is for the caller to judge.
	do(t testing.TB, c call) answer
}

// must is do for a call that has to succeed.
func must(t testing.TB, f face, c call) answer {
	t.Helper()
	got := f.do(t, c)
	if got.refused != nil {
		t.Fatalf("%s: %v was refused: %s: %s", f.name(), c.op, got.refused.code, got.refused.detail)
	}
	return got
}

// mustRefuse is do for a call that has to be refused with this code.
func mustRefuse(t testing.TB, f face, c call, code sheaf.Code) refusal {
	t.Helper()
	got := f.do(t, c)
	switch {
	case got.refused == nil:
		t.Fatalf("%s: %v was answered with version %d, not refused with %s", f.name(), c.op, got.version, code)
	case got.refused.code != code:
		t.Fatalf("%s: %v was refused with %s (%s), not %s", f.name(), c.op, got.refused.code, got.refused.detail, code)
	}
	return *got.refused
}

// String is the operation's name.
func (o operation) String() string {
	return [...]string{"putall", "deleteall", "getall", "scan", "put of one key", "get of one key", "delete of one key"}[o]
}

// puts are entries written "key=value"; "key" alone is a delete.
func puts(texts ...string) []sheaf.Entry {
	entries := make([]sheaf.Entry, len(texts))
	for i, text := range texts {
		key, value, isPut := strings.Cut(text, "=")
		entries[i] = sheaf.Put(key, value)
		entries[i].Delete = !isPut
	}
	return entries
}

// numbered are n entries with keys of their own, and small values.
func numbered(prefix string, n int) []sheaf.Entry {
	entries := make([]sheaf.Entry, n)
	for i := range entries {
		entries[i] = sheaf.Put(fmt.Sprintf("%s%06d", prefix, i), "v")
	}
	return entries
}

// keysOf are the keys of a batch, in its order.
func keysOf(entries []sheaf.Entry) []string {
	keys := make([]string, len(entries))
	for i, e := range entries {
		keys[i] = string(e.Key)
	}
	return keys
}
