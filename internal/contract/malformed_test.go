package contract

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sheafdb/sheaf"
)

// TestMalformedRequests: each is INVALID_BATCH on both faces, and names the same
// field on both, with its index.
func TestMalformedRequests(t *testing.T) {
	invalid := func(name string, field string, c call) story {
		if c.id == "" {
			c.id = "R"
		}
		return story{name: name, steps: []step{{call: c, want: want{code: sheaf.InvalidBatch, fields: []string{field}}}}}
	}
	batch := func(entries ...sheaf.Entry) call { return call{entries: append(puts("first=1"), entries...)} }
	long := strings.Repeat("k", 4<<10+1)
	eventually := func(c call) call {
		c.level = sheaf.Eventual
		return c
	}
	conditional := batch(sheaf.Put("a", "1").OnlyIfVersion(0))
	play(t, []string{"pebble", "memory"}, []story{
		invalid("an empty batch", "entries", call{}),
		invalid("an empty DeleteAll", "keys", call{op: deleteAll, keys: []string{}}),
		invalid("an empty GetAll", "keys", call{op: getAll, keys: []string{}}),
		invalid("an empty key", "entries[1].key", batch(sheaf.Put("", "1"))),
		invalid("an empty key of a DeleteAll", "keys[1]", call{op: deleteAll, keys: []string{"a", ""}}),
		invalid("an empty key of a GetAll", "keys[1]", call{op: getAll, keys: []string{"a", ""}}),
		invalid("a duplicate key", "entries[2].key", batch(sheaf.Put("a", "1"), sheaf.Put("a", "1"))),
		invalid("a put and a delete of one key", "entries[1].key", batch(sheaf.Delete("first"))),
		invalid("a duplicate key of a DeleteAll", "keys[2]", call{op: deleteAll, keys: []string{"a", "b", "a"}}),
		invalid("a long key", "entries[1].key", batch(sheaf.Put(long, "1"))),
		invalid("a long key of a DeleteAll", "keys[0]", call{op: deleteAll, keys: []string{long}}),
		invalid("a long key of a GetAll", "keys[1]", call{op: getAll, keys: []string{"a", long}}),
		invalid("a value and a delete", "entries[1]", batch(sheaf.Entry{Key: []byte("a"), Value: []byte("1"), Delete: true})),
		invalid("a delete with a time to live", "entries[1]", batch(sheaf.Delete("a").WithTTL(time.Second))),
		invalid("a negative time to live", "entries[1].ttl_ms", batch(sheaf.Put("a", "1").WithTTL(-time.Millisecond))),
		invalid("a time to live beyond all measure", "entries[1].ttl_ms", batch(sheaf.Put("a", "1").WithTTL(sheaf.MaxTTL+time.Millisecond))),
		invalid("a negative time to live of one key", "ttl_ms", call{op: putKey, entries: []sheaf.Entry{sheaf.Put("a", "1").WithTTL(-1e6)}}).onHTTP(),
		invalid("an unknown level", "consistency", call{entries: puts("a=1"), level: 7}),
		invalid("an unknown level of a DeleteAll", "consistency", call{op: deleteAll, keys: []string{"a"}, level: 7}),
		invalid("an unknown level of a GetAll", "consistency", call{op: getAll, keys: []string{"a"}, level: 7}),
		invalid("an after beyond its bound", "after", call{entries: puts("a=1"), after: 1 << 60}),
		invalid("an after beyond its bound, of a DeleteAll", "after", call{op: deleteAll, keys: []string{"a"}, after: 1<<64 - 1}),
		invalid("an after beyond its bound, of a read", "after", call{op: getAll, keys: []string{"a"}, after: 1 << 60}),
		invalid("an after beyond its bound, of a SEQUENTIAL read", "after", call{op: getAll, keys: []string{"a"}, after: 1 << 60, level: sheaf.Sequential}),
		invalid("an after beyond its bound, at EVENTUAL", "after", eventually(call{entries: puts("a=1"), after: 1 << 60})),
		invalid("if_match at EVENTUAL", "consistency", eventually(call{entries: puts("a=1"), ifMatch: `"x"`})),
		invalid("if_none_match at EVENTUAL", "consistency", eventually(call{entries: puts("a=1"), ifNoneMatch: "*"})),
		invalid("if_version at EVENTUAL", "consistency", eventually(conditional)),
	})
}

// onHTTP keeps a story for the one face whose words it uses: over gRPC one key is
// an entry like any other.
func (s story) onHTTP() story {
	s.httpOnly = true
	return s
}

// TestMalformedJSON: the shapes of JSON that a lenient decoder would let pass.
func TestMalformedJSON(t *testing.T) {
	f := httpFace{sharedNode(t, "pebble")}
	const entry = `{"key":"k","value":"1"}`
	batch := func(entry string) string { return `{"entries":[` + entry + `]}` }
	deep := strings.Repeat("[", 100_000)
	for i, c := range []struct{ path, body, field string }{
		{"putall", ``, "body"},
		{"putall", `{`, "body"},
		{"putall", `null`, "body"},
		{"putall", `[]`, "body"},
		{"putall", `"text"`, "body"},
		{"putall", batch(entry) + `{}`, "body"},
		{"putall", "\xef\xbb\xbf" + batch(entry), "body"},
		{"putall", batch("{\"key\":\"\xff\",\"value\":\"1\"}"), "body"},
		{"putall", deep, "body"},
		{"putall", batch(deep + strings.Repeat("]", 100_000)), "body"},
		{"putall", batch(strings.Repeat("[", 100) + strings.Repeat("]", 100)), "entries[0]"},
		{"putall", `{"entries":{}}`, "entries"},
		{"putall", `{"entries":null}`, "entries"},
		{"putall", `{"Entries":[` + entry + `]}`, "Entries"},
		{"putall", `{"entries":[` + entry + `],"entries":[]}`, "entries"},
		{"putall", `{"entries":[` + entry + `],"ttl":1}`, "ttl"},
		{"putall", `{"entries":[` + entry + `],"consistency":1}`, "consistency"},
		{"putall", `{"entries":[` + entry + `],"consistency":"strong"}`, "consistency"},
		{"putall", `{"entries":[` + entry + `],"after":-1}`, "after"},
		{"putall", `{"entries":[` + entry + `],"after":"18446744073709551616"}`, "after"},
		{"putall", batch(entry + `,null`), "entries[1]"},
		{"putall", batch(entry + `,{"key":"a","val":"1"}`), "entries[1].val"},
		{"putall", batch(entry + `,{"value":"1"}`), "entries[1].key"},
		{"putall", batch(`{"key":"a","key_b64":"YQ==","value":"1"}`), "entries[0].key_b64"},
		{"putall", batch(`{"key":"a","value":"1","value_b64":"MQ=="}`), "entries[0].value_b64"},
		{"putall", batch(`{"key":1,"value":"1"}`), "entries[0].key"},
		{"putall", batch(`{"key":"a","value":1}`), "entries[0].value"},
		{"putall", batch(`{"key_b64":"Y","value":"1"}`), "entries[0].key_b64"},
		{"putall", batch(`{"key":"a","value_b64":"not base64!"}`), "entries[0].value_b64"},
		{"putall", batch(`{"key":"a","value_b64":"//9="}`), "entries[0].value_b64"}, // stray bits
		{"putall", batch(`{"key":"a","value":"\ud800"}`), "entries[0].value"},
		{"putall", batch(`{"key":"a","delete":"true"}`), "entries[0].delete"},
		{"putall", batch(`{"key":"a","value":"1","ttl_ms":1e3}`), "entries[0].ttl_ms"},
		{"putall", batch(`{"key":"a","value":"1","ttl_ms":1.5}`), "entries[0].ttl_ms"},
		{"putall", batch(`{"key":"a","value":"1","ttl_ms":"60000 "}`), "entries[0].ttl_ms"},
		{"putall", batch(`{"key":"a","value":"1","ttl_ms":-1}`), "entries[0].ttl_ms"},
		{"putall", batch(`{"key":"a","value":"1","ttl_ms":9223372036854775808}`), "entries[0].ttl_ms"},
		{"putall", batch(`{"key":"a","value":"1","if_version":-1}`), "entries[0].if_version"},
		{"putall", batch(`{"key":"a","value":"1","if_version":true}`), "entries[0].if_version"},
		{"getall", `{"keys":"a"}`, "keys"},
		{"getall", `{"keys":["a",1]}`, "keys[1]"},
		{"getall", `{"keys":["a",null]}`, "keys[1]"},
		{"getall", `{"keys_b64":["YQ==","*"]}`, "keys_b64[1]"},
		{"getall", `{"keys":["a"],"request_id":"x"}`, "request_id"},
		{"deleteall", `{"keys":["a"],"keys_b64":["YQ=="]}`, "keys_b64[0]"},
		{"deleteall", `{"entries":[` + entry + `]}`, "entries"},
	} {
		resp := f.send(t, "POST", "/v1/"+c.path, []byte(c.body), "Idempotency-Key", fmt.Sprint(t.Name(), i))
		got := refusedWith(t, resp, sheaf.InvalidBatch)
		if len(got.fields) != 1 || got.fields[0] != c.field {
			t.Errorf("%s %.60s: the malformed field is %q, not %q (%s)", c.path, c.body, got.fields, c.field, got.detail)
		}
	}
	for path, field := range map[string]string{
		"/v1/scan?limit=-1": "limit", "/v1/scan?limit=x": "limit", "/v1/scan?prefx=a": "prefx",
		"/v1/scan?prefix=a&prefix=b": "prefix", "/v1/scan?prefix=a&prefix_b64=YQ==": "prefix_b64", "/v1/scan?prefix_b64=!": "prefix_b64",
		"/v1/keys/a?ttl_ms=1": "ttl_ms", "/v1/keys/a?after=x": "after", "/v1/keys/a?consistency=strong": "consistency",
	} {
		if got := refusedWith(t, f.send(t, "GET", path, nil), sheaf.InvalidBatch); got.fields[0] != field {
			t.Errorf("%s: the malformed field is %q, not %q", path, got.fields, field)
		}
	}
}

// TestIntegersAreStringsOrNumbers: both are taken, and null is the same as nothing.
func TestIntegersAreStringsOrNumbers(t *testing.T) {
	f := httpFace{sharedNode(t, "pebble")}
	for i, fields := range []string{
		`"ttl_ms":"60000"`, `"ttl_ms":60000`, `"ttl_ms":0`, `"ttl_ms":null`, `"if_version":"0"`, `"if_version":0`, `"if_version":null`, `"delete":false`,
	} {
		body := fmt.Sprintf(`{"after":%s,"consistency":null,"entries":[{"key":"%s%d","value":"1",%s}]}`,
			[]string{`"1"`, `1`}[i%2], t.Name(), i, fields)
		answered(t, f.send(t, "POST", "/v1/putall", []byte(body), "Idempotency-Key", fmt.Sprint(t.Name(), i)), 200)
	}
}
