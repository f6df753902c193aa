package contract

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sheafdb/sheaf"
)

// issued is a request ID of the form that tells its age, made some hours from now.
func issued(t testing.TB, hours int) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	ms := time.Now().Add(time.Duration(hours) * time.Hour).UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return "v7-" + id.String()
}

// TestABatchIsAppliedOnce: within the retention every retry gets the first answer.
func TestABatchIsAppliedOnce(t *testing.T) {
	play(t, []string{"pebble", "memory"}, []story{
		{name: "a retry gets the first answer, even after others have written", steps: []step{
			{call: call{id: "R", entries: puts("a=1", "b=1")}},
			{call: call{id: "other", entries: puts("a=2")}},
			{call: call{id: "R", entries: puts("a=1", "b=1")}, want: want{replays: 1}},
			{call: call{op: getAll, keys: []string{"a", "b"}}, want: want{items: []string{"a=2", "b=1"}, etagNot: 1}},
		}},
		{name: "the order of the entries is part of the batch", steps: []step{
			{call: call{id: "R", entries: puts("a=1", "b=1")}},
			{call: call{id: "R", entries: puts("b=1", "a=1")}, want: want{code: sheaf.RequestIDReused}},
		}},
		{name: "a batch of deletes and a DeleteAll are the same batch", steps: []step{
			{call: call{id: "R", entries: puts("a", "b")}},
			{call: call{op: deleteAll, id: "R", keys: []string{"a", "b"}}, want: want{replays: 1}},
		}},
		{name: "a condition is not part of the batch", steps: []step{
			{call: call{id: "R", entries: puts("a=1")}},
			{call: call{id: "R", entries: []sheaf.Entry{sheaf.Put("a", "1").OnlyIfVersion(0)}}, want: want{replays: 1}},
		}},
		{name: "a time to live is part of the batch", steps: []step{
			{call: call{id: "R", entries: puts("a=1")}},
			{call: call{id: "R", entries: []sheaf.Entry{sheaf.Put("a", "1").WithTTL(time.Hour)}}, want: want{code: sheaf.RequestIDReused}},
		}},
		{name: "one key with a request ID is a batch like any other", steps: []step{
			{call: call{op: putKey, id: "R", entries: puts("a=1")}},
			{call: call{op: putKey, id: "R", entries: puts("a=1")}, want: want{replays: 1}},
			{call: call{id: "R", entries: puts("a=1")}, want: want{replays: 1}},
			{call: call{op: deleteKey, id: "R", keys: []string{"a"}}, want: want{code: sheaf.RequestIDReused}},
		}},
		{name: "without a request ID one key is written again", steps: []step{
			{call: call{op: putKey, entries: puts("a=1")}},
			{call: call{op: putKey, entries: puts("a=1")}, want: want{etagNot: 1}},
		}},
	})
}

// TestRequestIDs: 1 to 128 printable ASCII characters; some tell their own age.
func TestRequestIDs(t *testing.T) {
	n := sharedNode(t, "pebble")
	eachFace(t, n, func(t *testing.T, f face) {
		write := func(id string) call { return call{id: id, entries: puts(t.Name() + "=1")} }
		must(t, f, write(f.name()+strings.Repeat("i", 124)))
		must(t, f, write(f.name()+" !~\\,;=/?[]{}"))
		for name, id := range map[string]string{
			"129 characters":     strings.Repeat("i", 129),
			"a letter not of it": "größe",
			"a character not of": "a\x7fb",
		} {
			if name == "a character not of" && f.name() == "http" {
				continue // net/http refuses to send it
			}
			if got := mustRefuse(t, f, write(id), sheaf.InvalidBatch); len(got.fields) != 1 || got.fields[0] != "request_id" {
				t.Errorf("%s: the malformed field is %q", name, got.fields)
			}
		}
		fresh := issued(t, 0)
		first := must(t, f, write(fresh))
		if again := must(t, f, write(fresh)); !again.replayed || again.version != first.version {
			t.Errorf("a retry was answered %+v, the first attempt %+v", again, first)
		}
		mustRefuse(t, f, write(issued(t, -1)), sheaf.RequestIDExpired)
		// It would be remembered for an hour longer than others.
		mustRefuse(t, f, write(issued(t, 1)), sheaf.InvalidBatch)
	})
}

// TestARetryMayComeThroughTheOtherFace: both faces are doors to the same core, so
// a batch has one identity.
func TestARetryMayComeThroughTheOtherFace(t *testing.T) {
	n := sharedNode(t, "pebble")
	version := uint64(0)
	for i, f := range n.faces() {
		batch := call{id: t.Name() + f.name(), entries: []sheaf.Entry{
			sheaf.Put(t.Name()+"text", "1"), sheaf.Put(t.Name()+"\x00\xff", "\xff\x00"), sheaf.Delete(t.Name() + "old"),
			sheaf.Put(t.Name()+"timed", "x").WithTTL(time.Minute),
			{Key: []byte(t.Name() + "typed"), Value: []byte("p"), TypeURL: "t/T"},
			sheaf.Put(t.Name()+"empty", ""), sheaf.Put(t.Name()+"conditional", "2").OnlyIfVersion(version),
		}}
		first := must(t, f, batch)
		again := must(t, n.faces()[1-i], batch)
		if !again.replayed || again.version != first.version || again.etag != first.etag {
			t.Errorf("%s answered %+v, and the other face to the retry %+v", f.name(), first, again)
		}
		version = first.version
	}
}

// TestTheRequestIDIsRequiredOnBatches: always over HTTP, and over gRPC when the
// node is configured so; never on one key.
func TestTheRequestIDIsRequiredOnBatches(t *testing.T) {
	n := sharedNode(t, "pebble")
	http, rpc := httpFace{n}, grpcFace{n}
	k := t.Name()
	bare := func(path, body string) response { return http.send(t, "POST", path, []byte(body)) }
	refusedWith(t, bare("/v1/putall", `{"entries":[{"key":"`+k+`","value":"1"}]}`), sheaf.RequestIDRequired)
	refusedWith(t, bare("/v1/deleteall", `{"keys":["`+k+`"]}`), sheaf.RequestIDRequired)
	must(t, http, call{op: putKey, entries: puts(k + "=1")})
	must(t, http, call{op: deleteKey, keys: []string{k}})
	must(t, rpc, call{entries: puts(k + "=1")})
	must(t, rpc, call{op: deleteAll, keys: []string{k}})

	strict := grpcFace{sharedNode(t, "strict")}
	mustRefuse(t, strict, call{entries: puts(k + "=1"), ifNoneMatch: "*"}, sheaf.RequestIDRequired)
	mustRefuse(t, strict, call{op: deleteAll, keys: []string{k}, ifNoneMatch: "*"}, sheaf.RequestIDRequired)
}
