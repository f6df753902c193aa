package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// answer is what the first handlers send, in the shape of Sheaf's getall.
type answer struct {
	Entries []answerEntry `json:"entries"`
}

type answerEntry struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Version string `json:"version"`
	Found   bool   `json:"found"`
}

// entriesAtHand are those of every answer.
func entriesAtHand() []answerEntry {
	entries := make([]answerEntry, httpEntries)
	for i := range entries {
		entries[i] = answerEntry{
			Key: fmt.Sprintf("user:%06d", i), Value: strings.Repeat(strconv.Itoa(i), valueBytes), Version: "1", Found: true,
		}
	}
	return entries
}

// jsonServices are the contestants; the first is what the others are compared with.
func jsonServices(n *node) ([]*service, error) {
	entries := entriesAtHand()
	once, err := json.Marshal(answer{entries})
	if err != nil {
		return nil, err
	}
	var getAll strings.Builder
	getAll.WriteString(`{"keys":[`)
	for i, e := range entries {
		if err := n.put(e.Key, e.Value); err != nil {
			return nil, err
		}
		if i > 0 {
			getAll.WriteByte(',')
		}
		getAll.WriteString(strconv.Quote(e.Key))
	}
	getAll.WriteString("]}")
	get := func(name string, handler http.HandlerFunc) *service {
		return &service{name: name, handler: handler, method: http.MethodGet, path: "/"}
	}
	return []*service{
		get("a map, json.Marshal", func(w http.ResponseWriter, _ *http.Request) { answerMap(w, entries) }),
		get("a struct, json.Marshal", func(w http.ResponseWriter, _ *http.Request) {
			text, err := json.Marshal(answer{entries})
			send(w, text, err)
		}),
		get("a struct, json.Encoder", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(answer{entries})
		}),
		get("appended to a pooled buffer", func(w http.ResponseWriter, _ *http.Request) { answerAppended(w, entries) }),
		get("encoded once, before", func(w http.ResponseWriter, _ *http.Request) { send(w, once, nil) }),
		{name: "Sheaf, POST /v1/getall", handler: n.handler, method: http.MethodPost, path: "/v1/getall", body: getAll.String()},
		{name: "Sheaf, GET /v1/keys/{key}", handler: n.handler, method: http.MethodGet, path: "/v1/keys/" + entries[0].Key},
	}, nil
}

// send is the end of a handler. A client that is gone is no error here.
func send(w http.ResponseWriter, text []byte, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}

// answerMap builds what it sends from maps, as code without types for its answers does.
func answerMap(w http.ResponseWriter, entries []answerEntry) {
	list := make([]map[string]any, len(entries))
	for i, e := range entries {
		list[i] = map[string]any{"key": e.Key, "value": e.Value, "version": e.Version, "found": e.Found}
	}
	text, err := json.Marshal(map[string]any{"entries": list})
	send(w, text, err)
}

// buffers hold answers that are being made.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func answerAppended(w http.ResponseWriter, entries []answerEntry) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	*buffer = appendAnswer((*buffer)[:0], entries)
	send(w, *buffer, nil)
}

func appendAnswer(dst []byte, entries []answerEntry) []byte {
	dst = append(dst, `{"entries":[`...)
	for i, e := range entries {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(dst, `{"key":`...), e.Key)
		dst = appendText(append(dst, `,"value":`...), e.Value)
		dst = appendText(append(dst, `,"version":`...), e.Version)
		dst = strconv.AppendBool(append(dst, `,"found":`...), e.Found)
		dst = append(dst, '}')
	}
	return append(dst, "]}"...)
}

// appendText appends a JSON string. Text that needs an escape is left to
// encoding/json: it is rare, and not what is measured.
func appendText(dst []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(text)
			if err != nil { // a string has no way to fail
				panic(err)
			}
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), text...), '"')
}
