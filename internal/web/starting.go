package web

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/sheafdb/sheaf"
)

// Starting answers a request with DRAINING and why: what a node says until it has
// recovered and New's handler takes over.
func Starting(w http.ResponseWriter, why string) {
	p := problemOf(&sheaf.Error{Code: sheaf.Draining, Detail: why, RetryAfter: time.Second})
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that went away needs no answer
}
