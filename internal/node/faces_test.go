package node

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// TestEndWaitsForRequests: what is under a request is closed only after it.
func TestEndWaitsForRequests(t *testing.T) {
	h := &apiHandler{notYet: func() string { return "the node is starting" }}
	inside, goOn, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var left atomic.Bool
	h.set(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(inside)
		<-goOn
		left.Store(true)
	}))
	go h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/v1/scan", nil))
	<-inside
	go func() {
		h.end()
		close(over)
	}()
	select {
	case <-over:
		t.Fatal("end did not wait")
	default:
	}
	close(goOn)
	<-over
	if !left.Load() {
		t.Error("end returned before the request")
	}
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/v1/scan", nil))
	if answer.Code != http.StatusServiceUnavailable {
		t.Errorf("a request after the end is answered %d", answer.Code)
	}
}
