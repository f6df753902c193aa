package main

import (
	"net/http/httptest"
	"strings"
	"testing"
	"unsafe"
)

// answer is what the handler of a service sends.
func (s *service) answer(t *testing.T) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(s.method, s.path, strings.NewReader(s.body))
	r.Header.Set("Content-Type", "application/json")
	s.handler.ServeHTTP(w, r)
	if w.Code != 200 {
		t.Fatalf("%s answers %d: %s", s.name, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// distance is how many bytes the first two counters are apart.
func distance(c counters) uintptr {
	return uintptr(unsafe.Pointer(c(1))) - uintptr(unsafe.Pointer(c(0)))
}
