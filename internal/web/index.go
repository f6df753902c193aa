package web

import (
	"fmt"
	"net/http"
)

const indexText = `Sheaf: a key-value store built around one operation, PutAll.
This is its HTTP API; this node is %s. To write two keys, all or nothing:

  curl --json '{"entries":[{"key":"a","value":"1"},{"key":"b","value":"2"}]}' \
    -H 'Idempotency-Key: any-name-for-this-batch' http://%s/v1/putall

POST /v1/putall, /v1/getall, /v1/deleteall, /v1/import; GET /v1/scan, /v1/watch; PUT, GET, DELETE /v1/keys/{key}.
`

// index serves GET /.
func (a *api) index(x *exchange) error {
	state := "ready"
	if a.cfg.Ready != nil {
		if err := a.cfg.Ready(); err != nil {
			state = "not ready: " + err.Error()
		}
	}
	x.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	x.w.Header().Set("X-Content-Type-Options", "nosniff")
	x.status(http.StatusOK)
	_ = x.write(fmt.Appendf(nil, indexText, state, x.r.Host)) // the client is gone
	return nil
}
