package contract

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf"
)

// The small print of the HTTP face. Bodies and headers are written out, because
// their very letters are what is promised.

func TestRequestIDHeaders(t *testing.T) {
	f := httpFace{sharedNode(t, "pebble")}
	k := t.Name()
	put := func(id string, headers ...string) response {
		body := `{"entries":[{"key":"` + k + `","value":"1"}]}`
		if id != "" {
			body = `{"request_id":"` + id + `",` + body[1:]
		}
		return f.send(t, "POST", "/v1/putall", []byte(body), headers...)
	}
	replayed := func(resp response) bool {
		t.Helper()
		return httpAnswer(t, call{}, resp).replayed
	}
	const key, other = "Idempotency-Key", "X-Request-ID"
	if replayed(put("", key, k)) {
		t.Error("the first attempt was a replay")
	}
	for name, resp := range map[string]response{
		"quoted":                        put("", key, `"`+k+`"`),
		"as X-Request-ID":               put("", other, k),
		"in the body":                   put(k),
		"in the body and in the header": put(k, key, k),
		"in the body and quoted":        put(k, key, `"`+k+`"`),
		"in the body and X-Request-ID":  put(k, other, k),
		// A proxy adds X-Request-ID on its own, so it yields.
		"before another X-Request-ID": put("", key, k, other, "of-a-proxy"),
		"before it, and in the body":  put(k, key, k, other, "of-a-proxy"),
		"twice, the same":             put("", key, k, key, k),
	} {
		if resp.StatusCode != http.StatusOK || !replayed(resp) {
			t.Errorf("%s: it is not the same request ID: %d %s", name, resp.StatusCode, resp.body)
		}
	}
	for name, resp := range map[string]response{
		"the body and the header differ":       put("one"+k, key, "two"+k),
		"the body and X-Request-ID differ":     put("one"+k, other, "two"+k),
		"the header comes twice and differs":   put("", key, "one"+k, key, "two"+k),
		"the quoted string does not end":       put("", key, `"`+k),
		"something follows the quoted string":  put("", key, `"`+k+`" x`),
		"the quoted string is empty":           put("", key, `""`),
		"the quoted string has a stray escape": put("", key, `"\x"`),
	} {
		if got := refusedWith(t, resp, sheaf.InvalidBatch); len(got.fields) != 1 || got.fields[0] != "request_id" {
			t.Errorf("%s: the malformed field is %q", name, got.fields)
		}
	}
	if quoted := put("", key, `"a\"b\\`+k+`"`); replayed(quoted) || !replayed(put("", key, `a"b\`+k)) {
		t.Error(`"a\"b\\" is not the request ID a"b\`)
	}
}

func TestConditionsInTheBodyAndInHeaders(t *testing.T) {
	f := httpFace{sharedNode(t, "pebble")}
	k := t.Name()
	etag := must(t, f, call{op: putKey, entries: puts(k + "=1")}).etag
	n := 0
	put := func(fields string, headers ...string) response {
		n++
		body := `{` + fields + `"entries":[{"key":"` + k + `","value":"1"}]}`
		return f.send(t, "POST", "/v1/putall", []byte(body), append(headers, "Idempotency-Key", k+strings.Repeat("i", n))...)
	}
	inBody := func(tag string) string { return `"if_match":"` + strings.ReplaceAll(tag, `"`, `\"`) + `",` }
	accept := func(resp response) {
		t.Helper()
		answered(t, resp, http.StatusOK)
		etag = resp.Header.Get("ETag")
	}
	accept(put(inBody(etag)))
	accept(put(inBody(etag), "If-Match", etag))
	accept(put("", "If-Match", `"other"`, "If-Match", etag)) // two lines are one list
	refusedWith(t, put(inBody(`"other"`)), sheaf.ETagMismatch)
	refusedWith(t, put(`"if_none_match":"*",`), sheaf.ETagMismatch)
	for name, resp := range map[string]response{
		"if_match":      put(inBody(etag), "If-Match", "*"),
		"if_none_match": put(`"if_none_match":"*",`, "If-None-Match", `"x"`),
	} {
		if got := refusedWith(t, resp, sheaf.InvalidBatch); len(got.fields) != 1 || got.fields[0] != name {
			t.Errorf("%s differs between body and header: the malformed field is %q", name, got.fields)
		}
	}
	refusedWith(t, put("", "If-Match", ""), sheaf.InvalidBatch)
}

func TestGetHonoursConditions(t *testing.T) {
	f := httpFace{sharedNode(t, "pebble")}
	k := "/v1/keys/" + t.Name()
	etag := f.send(t, "PUT", k, []byte("1")).Header.Get("ETag")
	get := func(headers ...string) response { return f.send(t, "GET", k, nil, headers...) }
	for _, tags := range []string{etag, `"other", ` + etag, "W/" + etag, "*"} { // a weak one is compared weakly
		resp := get("If-None-Match", tags)
		answered(t, resp, http.StatusNotModified)
		if resp.Header.Get("ETag") != etag || len(resp.body) > 0 {
			t.Errorf("304 has the ETag %s and %d bytes", resp.Header.Get("ETag"), len(resp.body))
		}
	}
	answered(t, get("If-None-Match", `"other"`), http.StatusOK)
	answered(t, get("If-None-Match", `W/"other"`), http.StatusOK)
	answered(t, get("If-Match", etag), http.StatusOK)
	refusedWith(t, get("If-Match", `"other"`), sheaf.ETagMismatch)
	refusedWith(t, get("If-Match", "W/"+etag), sheaf.ETagMismatch)
	refusedWith(t, get("If-None-Match", "unquoted"), sheaf.InvalidBatch)
	refusedWith(t, get("If-Match", "unquoted"), sheaf.InvalidBatch)
}

func TestPathsOfKeys(t *testing.T) {
	f := httpFace{sharedNode(t, "pebble")}
	base := "/v1/keys/" + t.Name()
	for _, same := range [][]string{
		{"/a/b", "/a%2Fb", "/a%2fb", "/%61/b"},
		{"/a//b", "/a%2F/b"},
		{"/../x", "/%2e%2e/x"},
		{"/a+b", "/a%2Bb"},
		{"/%00%FF"},
		{"/gr%C3%B6%C3%9Fe"},
		{"/a b%3Fc", "/a%20b%3fc"},
		{"/a/", "/a%2F"},
	} {
		put := f.send(t, "PUT", base+strings.ReplaceAll(same[0], " ", "%20"), []byte(same[0]))
		answered(t, put, http.StatusOK)
		for _, path := range same {
			got := f.send(t, "GET", base+strings.ReplaceAll(path, " ", "%20"), nil)
			if string(got.body) != same[0] || got.Header.Get("ETag") != put.Header.Get("ETag") {
				t.Errorf("%s is not the key of %s: %d %s", path, same[0], got.StatusCode, got.body)
			}
		}
	}
	// The path says the same bytes as a body does.
	if got := must(t, f, call{op: getAll, keys: []string{t.Name() + "/\x00\xff"}}); got.items[0].value != "/%00%FF" {
		t.Errorf("the key \\x00\\xff of a path is not that of a body: %v", got.items)
	}
	if got := refusedWith(t, f.send(t, "PUT", "/v1/keys/", []byte("1")), sheaf.InvalidBatch); got.fields[0] != "key" {
		t.Errorf("an empty key in a path is malformed in %q", got.fields)
	}
}

// TestTypesTravelInAHeader, but for those that no header can carry.
func TestTypesTravelInAHeader(t *testing.T) {
	f := httpFace{sharedNode(t, "pebble")}
	k := t.Name()
	must(t, f, call{id: k, entries: []sheaf.Entry{
		{Key: []byte(k + "1"), Value: []byte("p"), TypeURL: "type.example/T"},
		{Key: []byte(k + "2"), Value: []byte("p"), TypeURL: "two\nlines"},
	}})
	if got := must(t, f, call{op: getKey, keys: []string{k + "1"}}); got.items[0].typeURL != "type.example/T" {
		t.Errorf("the type is %q", got.items[0].typeURL)
	}
	if got := must(t, f, call{op: getAll, keys: []string{k + "2"}}); got.items[0].typeURL != "two\nlines" {
		t.Errorf("the type is %q", got.items[0].typeURL)
	}
	mustRefuse(t, f, call{op: getKey, keys: []string{k + "2"}}, sheaf.InvalidBatch)
}

// TestPathsMethodsAndMediaTypes are the rows that only HTTP can ask for.
func TestPathsMethodsAndMediaTypes(t *testing.T) {
	f := httpFace{sharedNode(t, "pebble")}
	for _, path := range []string{"/v1", "/v1/", "/v1/nothing", "/v1/keys", "/v1/putall/", "/V1/putall", "/v2/putall"} {
		refusedWith(t, f.send(t, "GET", path, nil), sheaf.NotFound)
	}
	for path, method := range map[string]string{
		"/v1/putall": "GET", "/v1/getall": "PUT", "/v1/deleteall": "DELETE", "/v1/scan": "POST", "/v1/keys/a": "PATCH",
	} {
		resp := f.send(t, method, path, nil)
		refusedWith(t, resp, sheaf.MethodNotAllowed)
		if resp.Header.Get("Allow") == "" {
			t.Errorf("%s %s: the answer does not say what is allowed", method, path)
		}
	}
	batch := []byte(`{"request_id":"` + t.Name() + `","entries":[{"key":"` + t.Name() + `","value":"1"}]}`)
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json5", "json", ";", "application/json; charset=latin1"} {
		refusedWith(t, f.send(t, "POST", "/v1/putall", batch, "Content-Type", kind), sheaf.UnsupportedMediaType)
	}
	refusedWith(t, f.send(t, "POST", "/v1/putall", batch, "Content-Encoding", "gzip"), sheaf.UnsupportedMediaType)
	for _, kind := range []string{"application/json", "Application/JSON; charset=UTF-8"} {
		answered(t, f.send(t, "POST", "/v1/putall", batch, "Content-Type", kind), http.StatusOK)
	}
}
