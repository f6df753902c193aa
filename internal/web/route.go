package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/document"
)

// endpoint is one method of one path.
type endpoint struct {
	method string // of HTTP
	name   string // in metrics, traces and logs
	serve  func(*api, *exchange) error
}

// paths are the paths that stand for themselves. A GET answers HEAD too.
var paths = map[string][]endpoint{
	"/":             {{http.MethodGet, "index", (*api).index}},
	"/v1/putall":    {{http.MethodPost, "putall", (*api).putAll}},
	"/v1/getall":    {{http.MethodPost, "getall", (*api).getAll}},
	"/v1/deleteall": {{http.MethodPost, "deleteall", (*api).deleteAll}},
	"/v1/import":    {{http.MethodPost, "import", (*api).importLines}},
	"/v1/scan":      {{http.MethodGet, "scan", (*api).scan}},
	"/v1/watch":     {{http.MethodGet, "watch", (*api).watch}},
}

// keyPath comes before a key.
const keyPath = "/v1/keys/"

var keyEndpoints = []endpoint{
	{http.MethodGet, "get", (*api).getKey},
	{http.MethodPut, "put", (*api).putKey},
	{http.MethodDelete, "delete", (*api).deleteKey},
}

// route finds the endpoint of a request, and the key if its path names one.
//
// It does not use http.ServeMux, which cleans paths: "/v1/keys/a//b" and
// "/v1/keys/../x" name the keys "a//b" and "../x" and must not be redirected.
// The key is everything after the prefix, unescaped once, so "a/b" and "a%2Fb"
// are the same key and %XX can stand for any byte.
func route(r *http.Request) (found endpoint, key []byte, allow string, err error) {
	path := r.URL.EscapedPath()
	endpoints, known := paths[path]
	if escaped, ok := strings.CutPrefix(path, keyPath); ok {
		text, err := url.PathUnescape(escaped)
		if err != nil {
			return endpoint{}, nil, "", sheaf.Invalid("key", "is not percent-encoded correctly: %s", err)
		}
		endpoints, key, known = keyEndpoints, []byte(text), true
	}
	if !known {
		return endpoint{}, nil, "", sheaf.Errorf(sheaf.NotFound, "there is nothing at this path: the API is under /v1 (putall, getall, deleteall, import, scan, watch, keys/{key})")
	}
	var methods []string
	for _, e := range endpoints {
		if r.Method == e.method || r.Method == http.MethodHead && e.method == http.MethodGet {
			return e, key, "", nil
		}
		methods = append(methods, e.method)
		if e.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	allow = strings.Join(methods, ", ")
	return endpoint{}, nil, allow, sheaf.Errorf(sheaf.MethodNotAllowed, "%s is not a method of this path: it takes %s", document.Clip(r.Method), allow)
}
