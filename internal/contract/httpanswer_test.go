package contract

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf"
)

// strictly decodes JSON into a form that says all that may be there.
func strictly(t testing.TB, text []byte, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v: %.200s", err, text)
	}
}

// httpAnswer reads a success, in the one form that its path has.
func httpAnswer(t testing.TB, c call, resp response) answer {
	t.Helper()
	switch c.op {
	case getAll:
		return httpItems(t, resp)
	case scan:
		got := answer{token: resp.Header.Get("Sheaf-Watch-Token")}
		for line := range bytes.Lines(resp.body) {
			var entry jsonItem
			strictly(t, line, &entry)
			got.items = append(got.items, entry.item(t, false))
		}
		return got
	case getKey:
		version := parseVersion(t, resp.Header.Get("X-Sheaf-Version"))
		return answer{etag: resp.Header.Get("ETag"), items: []item{{
			key: c.keys[0], value: string(resp.body), typeURL: resp.Header.Get("X-Sheaf-Type-URL"), version: version, found: true,
		}}}
	}
	if resp.StatusCode == http.StatusAccepted {
		var body struct {
			Accepted bool `json:"accepted"`
			Replayed bool `json:"replayed"`
		}
		strictly(t, resp.body, &body)
		if resp.Header.Get("ETag") != "" {
			t.Errorf("an accepted batch has the ETag %s", resp.Header.Get("ETag"))
		}
		return answer{accepted: body.Accepted, replayed: body.Replayed}
	}
	var body struct {
		Version  *string `json:"version"`
		ETag     *string `json:"etag"`
		Replayed *bool   `json:"replayed"`
	}
	strictly(t, resp.body, &body)
	if resp.StatusCode != http.StatusOK || body.Version == nil || body.ETag == nil || body.Replayed == nil {
		t.Fatalf("a write was answered with %d %s", resp.StatusCode, resp.body)
	}
	if header := resp.Header.Get("ETag"); header != *body.ETag {
		t.Errorf("the header says ETag %s and the body %s", header, *body.ETag)
	}
	return answer{version: parseVersion(t, *body.Version), etag: *body.ETag, replayed: *body.Replayed}
}

func httpItems(t testing.TB, resp response) answer {
	t.Helper()
	var body struct {
		Entries []jsonItem `json:"entries"`
		ETag    string     `json:"etag"`
	}
	strictly(t, resp.body, &body)
	if header := resp.Header.Get("ETag"); header != body.ETag {
		t.Errorf("the header says ETag %s and the body %s", header, body.ETag)
	}
	got := answer{etag: body.ETag}
	for _, entry := range body.Entries {
		got.items = append(got.items, entry.item(t, true))
	}
	return got
}

// jsonItem is all that an entry of getall or a line of a scan may have.
type jsonItem struct {
	Key      *string `json:"key"`
	KeyB64   []byte  `json:"key_b64"`
	Value    *string `json:"value"`
	ValueB64 []byte  `json:"value_b64"`
	TypeURL  string  `json:"type_url"`
	Version  *string `json:"version"`
	Found    *bool   `json:"found"`
}

// item checks the form. An entry of getall says whether it was found; a line of a
// scan does not have to.
func (entry *jsonItem) item(t testing.TB, saysFound bool) item {
	t.Helper()
	got := item{typeURL: entry.TypeURL, found: !saysFound}
	if (entry.Key == nil) == (entry.KeyB64 == nil) || saysFound != (entry.Found != nil) {
		t.Fatalf("not an entry: %+v", entry)
	}
	if entry.Key != nil {
		got.key = *entry.Key
	}
	got.key += string(entry.KeyB64)
	if entry.Found != nil {
		got.found = *entry.Found
	}
	hasValue := entry.Value != nil || entry.ValueB64 != nil
	if got.found != (entry.Version != nil) || got.found != hasValue || entry.Value != nil && entry.ValueB64 != nil {
		t.Fatalf("not an entry: %+v", entry)
	}
	if got.found {
		got.version = parseVersion(t, *entry.Version)
		if entry.Value != nil {
			got.value = *entry.Value
		}
		got.value += string(entry.ValueB64)
	}
	return got
}

func parseVersion(t testing.TB, text string) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("a version is %q", text)
	}
	return v
}

// wellFormed reports whether an ETag is one opaque string in double quotes.
func wellFormed(etag string) bool {
	return len(etag) > 2 && strings.Count(etag, `"`) == 2 && strings.HasPrefix(etag, `"`) && strings.HasSuffix(etag, `"`)
}

// refusedWith fails unless a response is a problem document with this reason.
func refusedWith(t testing.TB, resp response, code sheaf.Code) refusal {
	t.Helper()
	if resp.StatusCode < 300 {
		t.Fatalf("answered %d %.200s: must be refused with %s", resp.StatusCode, resp.body, code)
	}
	got := httpRefusal(t, resp, call{})
	if got.code != code {
		t.Fatalf("refused with %s (%s), not %s", got.code, got.detail, code)
	}
	return *got
}
