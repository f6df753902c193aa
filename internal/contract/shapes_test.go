package contract

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sheafdb/sheaf"
)

// sameJSON compares two JSON texts by what they say.
func sameJSON(t testing.TB, what string, got []byte, want string) {
	t.Helper()
	var gotTree, wantTree any
	if err := json.Unmarshal(got, &gotTree); err != nil {
		t.Fatalf("%s: %v: %s", what, err, got)
	}
	if err := json.Unmarshal([]byte(want), &wantTree); err != nil {
		t.Fatalf("%s: the case itself: %v", what, err)
	}
	if diff := cmp.Diff(wantTree, gotTree); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func answered(t testing.TB, resp response, want int) {
	t.Helper()
	if resp.StatusCode != want {
		t.Fatalf("answered %d, not %d: %.300s", resp.StatusCode, want, resp.body)
	}
}

// TestTheJSONShapes sends the examples of the API's description as they stand
// there, and expects what stands beside them.
func TestTheJSONShapes(t *testing.T) {
	oneGroup(t) // it counts versions
	f := httpFace{start(t, t.TempDir(), nil, nil)}
	post := func(path, body string, headers ...string) response {
		return f.send(t, "POST", path, []byte(body), append(headers, "Content-Type", "application/json")...)
	}

	put := f.send(t, "PUT", "/v1/keys/c", []byte("1"))
	answered(t, put, http.StatusOK)
	sameJSON(t, "PUT", put.body, fmt.Sprintf(`{"version":"1","etag":%q,"replayed":false}`, put.Header.Get("ETag")))
	if got := put.Header.Get("X-Sheaf-Version"); got != "1" {
		t.Errorf("PUT says X-Sheaf-Version: %q", got)
	}

	const batch = `{"consistency":"linearizable","after":"0","entries":[
		{"key":"a","value":"1"}, {"key_b64":"AAE=","value_b64":"//8="}, {"key":"old","delete":true},
		{"key":"t","value":"x","ttl_ms":60000}, {"key":"c","value":"2","if_version":"1"}]}`
	written := post("/v1/putall", batch, "Idempotency-Key", "batch-1")
	answered(t, written, http.StatusOK)
	etag := written.Header.Get("ETag")
	sameJSON(t, "putall", written.body, fmt.Sprintf(`{"version":"2","etag":%q,"replayed":false}`, etag))
	if kind := written.Header.Get("Content-Type"); kind != "application/json" || !wellFormed(etag) {
		t.Errorf("putall answers Content-Type %q and ETag %s", kind, etag)
	}
	again := post("/v1/putall", batch, "X-Request-ID", "batch-1")
	sameJSON(t, "the retry", again.body, fmt.Sprintf(`{"version":"2","etag":%q,"replayed":true}`, etag))
	if again.Header.Get("ETag") != etag {
		t.Errorf("the retry has ETag %s, not %s", again.Header.Get("ETag"), etag)
	}

	read := post("/v1/getall", `{"keys":["a","b"],"keys_b64":[],"consistency":"linearizable","after":"0"}`)
	answered(t, read, http.StatusOK)
	sameJSON(t, "getall", read.body, fmt.Sprintf(
		`{"entries":[{"key":"a","value":"1","version":"2","found":true},{"key":"b","found":false}],"etag":%q}`, read.Header.Get("ETag")))

	// Keys come first and then keys_b64, in the order given, however the body has them.
	mixed := post("/v1/getall", `{"keys_b64":["AAE=","dA=="],"keys":["c","old"]}`)
	sameJSON(t, "getall of both lists", mixed.body, fmt.Sprintf(`{"entries":[
		{"key":"c","value":"2","version":"2","found":true},{"key":"old","found":false},
		{"key":"\u0000\u0001","value_b64":"//8=","version":"2","found":true},
		{"key":"t","value":"x","version":"2","found":true}],"etag":%q}`, mixed.Header.Get("ETag")))

	one := f.send(t, "GET", "/v1/keys/c", nil)
	answered(t, one, http.StatusOK)
	if string(one.body) != "2" || one.Header.Get("X-Sheaf-Version") != "2" || !wellFormed(one.Header.Get("ETag")) {
		t.Errorf("GET answers %q with headers %v", one.body, one.Header)
	}
	refusedWith(t, f.send(t, "GET", "/v1/keys/b", nil), sheaf.NotFound)

	gone := f.send(t, "DELETE", "/v1/keys/c", nil)
	answered(t, gone, http.StatusOK)
	sameJSON(t, "DELETE", gone.body, fmt.Sprintf(`{"version":"3","etag":%q,"replayed":false}`, gone.Header.Get("ETag")))
	answered(t, f.send(t, "DELETE", "/v1/keys/never-there", nil), http.StatusOK)

	all := post("/v1/deleteall", `{"keys":["a"],"keys_b64":["AAE="]}`, "Idempotency-Key", "batch-2")
	answered(t, all, http.StatusOK)
	sameJSON(t, "deleteall", all.body, fmt.Sprintf(`{"version":"5","etag":%q,"replayed":false}`, all.Header.Get("ETag")))

	eventual := post("/v1/putall", `{"consistency":"eventual","entries":[{"key":"e","value":"1"}]}`, "Idempotency-Key", "batch-3")
	answered(t, eventual, http.StatusAccepted)
	sameJSON(t, "EVENTUAL", eventual.body, `{"accepted":true}`)
	if eventual.Header.Get("ETag") != "" {
		t.Errorf("EVENTUAL answers ETag %s", eventual.Header.Get("ETag"))
	}
}

// TestTheProblemShape: an error has the members of RFC 9457 and the table's words,
// and what this case adds.
func TestTheProblemShape(t *testing.T) {
	f := httpFace{sharedNode(t, "pebble")}
	k := t.Name()
	current := must(t, f, call{op: putKey, entries: puts(k + "=1")})
	resp := f.send(t, "POST", "/v1/putall", []byte(`{"entries":[{"key":"`+k+`","value":"2"}]}`), "Idempotency-Key", k, "If-Match", `"x"`)
	answered(t, resp, http.StatusPreconditionFailed)
	var doc map[string]any
	if err := json.Unmarshal(resp.body, &doc); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"type", "title", "status", "detail", "reason", "retry"} {
		if doc[member] == nil {
			t.Errorf("the problem document lacks %q: %s", member, resp.body)
		}
	}
	if doc["reason"] != "ETAG_MISMATCH" || doc["retry"] != "reread" || doc["current_etag"] != current.etag {
		t.Errorf("the problem document is %s", resp.body)
	}
}

// TestBytesSurviveJSON: text comes back as text and other bytes as base64, and no
// byte changes on the way.
func TestBytesSurviveJSON(t *testing.T) {
	f := httpFace{sharedNode(t, "pebble")}
	k := t.Name()
	for i, value := range []string{
		"", "plain", "\x00\x1f\x7f", "\"\\/\b\f\n\r\t", "<>&\u2028\u2029", "größe €𝄞", "\ufffd", "\xff", "a\xc3", "\xed\xa0\x80",
		strings.Repeat("\x00\xfe", 5000),
	} {
		key := fmt.Sprintf("%s-%d-%s", k, i, value[:min(len(value), 20)])
		must(t, f, call{id: key[:len(k)+3], entries: []sheaf.Entry{sheaf.Put(key, value)}})
		for _, op := range []operation{getAll, getKey, scan} {
			got := must(t, f, call{op: op, keys: []string{key}})
			if len(got.items) != 1 || got.items[0].value != value || got.items[0].key != key {
				t.Errorf("%v: %q came back as %+v", op, value, got.items)
			}
		}
	}
}
