package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sheafdb/sheaf"
)

// httpFace carries calls as JSON, or raw bytes on the paths of one key.
type httpFace struct{ node *target }

func (httpFace) name() string { return "http" }

func (f httpFace) do(t testing.TB, c call) answer {
	t.Helper()
	method, path, body := httpRequest(t, c)
	headers := []string{}
	add := func(name, value string) {
		if value != "" {
			headers = append(headers, name, value)
		}
	}
	add("Idempotency-Key", c.id)
	add("If-Match", c.ifMatch)
	add("If-None-Match", c.ifNoneMatch)
	if c.timeout > 0 {
		add("Sheaf-Timeout-Ms", strconv.FormatInt(c.timeout.Milliseconds(), 10))
	}
	if c.op == putKey {
		add("X-Sheaf-Type-URL", c.entries[0].TypeURL)
	}
	got := f.send(t, method, path, body, headers...)
	if got.StatusCode >= 300 {
		refused := httpRefusal(t, got, c)
		if c.op == getKey && refused.code == sheaf.NotFound {
			return answer{items: []item{{key: c.keys[0]}}}
		}
		return answer{refused: refused}
	}
	return httpAnswer(t, c, got)
}

// response is an HTTP response with its body read.
type response struct {
	*http.Response
	body []byte
}

// send carries one request; headers are pairs of names and values.
func (f httpFace) send(t testing.TB, method, path string, body []byte, headers ...string) response {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+f.node.httpAddr+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return f.carry(t, req)
}

func (f httpFace) carry(t testing.TB, req *http.Request) response {
	t.Helper()
	resp, err := f.node.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp, got}
}

// httpRequest is the method, the path and the body of a call.
func httpRequest(t testing.TB, c call) (method, path string, body []byte) {
	t.Helper()
	fields := map[string]any{}
	query := url.Values{}
	if c.level != sheaf.Linearizable {
		fields["consistency"] = c.level.String()
		query.Set("consistency", c.level.String())
	}
	if c.after != 0 {
		fields["after"] = strconv.FormatUint(c.after, 10)
		query.Set("after", strconv.FormatUint(c.after, 10))
	}
	switch c.op {
	case putAll:
		list := make([]map[string]any, len(c.entries))
		for i, e := range c.entries {
			list[i] = jsonEntry(e)
		}
		fields["entries"] = list
		path = "/v1/putall"
	case deleteAll, getAll:
		fields["keys"] = c.keys
		if !utf8.ValidString(strings.Join(c.keys, "")) {
			delete(fields, "keys")
			fields["keys_b64"] = asBytes(c.keys) // encoding/json writes bytes as base64
		}
		path = map[operation]string{deleteAll: "/v1/deleteall", getAll: "/v1/getall"}[c.op]
	case scan:
		query.Set("prefix", strings.Join(c.keys, ""))
		query.Set("start", c.start)
		query.Set("limit", fmt.Sprint(c.limit))
		return http.MethodGet, "/v1/scan?" + query.Encode(), nil
	case putKey:
		e := c.entries[0]
		if e.TTL != 0 {
			query.Set("ttl_ms", strconv.FormatInt(e.TTL.Milliseconds(), 10))
		}
		return http.MethodPut, keyPath(string(e.Key)) + "?" + query.Encode(), e.Value
	case getKey:
		return http.MethodGet, keyPath(c.keys[0]) + "?" + query.Encode(), nil
	case deleteKey:
		return http.MethodDelete, keyPath(c.keys[0]) + "?" + query.Encode(), nil
	}
	body, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return http.MethodPost, path, body
}

func keyPath(key string) string { return "/v1/keys/" + url.PathEscape(key) }

func jsonEntry(e sheaf.Entry) map[string]any {
	fields := map[string]any{}
	put := func(name string, data []byte) {
		if utf8.Valid(data) {
			fields[name] = string(data)
		} else {
			fields[name+"_b64"] = data
		}
	}
	put("key", e.Key)
	if !e.Delete || len(e.Value) > 0 {
		put("value", e.Value)
	}
	if e.Delete {
		fields["delete"] = true
	}
	if e.TTL != 0 {
		fields["ttl_ms"] = e.TTL.Milliseconds()
	}
	if e.TypeURL != "" {
		fields["type_url"] = e.TypeURL
	}
	if e.IfVersion != nil {
		fields["if_version"] = strconv.FormatUint(*e.IfVersion, 10)
	}
	return fields
}
