package contract

import (
	"fmt"
	"testing"

	"github.com/sheafdb/sheaf"
)

// TestAdmissionComesAfterShape fills a node's memory with requests that do not end,
// and looks what the next ones are told.
func TestAdmissionComesAfterShape(t *testing.T) {
	n := start(t, t.TempDir(), nil, smallLimits)
	web := httpFace{n}
	must(t, web, call{op: putKey, entries: puts("a=1")})
	await(t, "the node is idle", func() bool { return inFlight(t, n) == 0 })
	// Each holds a quarter of what may be in flight, from its header on.
	var holding []*wire
	for i := range smallInFlight / smallBatch {
		w := dial(t, n)
		w.say(t, head(fmt.Sprint("held", i), fmt.Sprintf("Content-Length: %d", smallBatch)))
		waitInFlight(t, n, int64(i+1)*smallBatch)
		holding = append(holding, w)
	}
	write := call{id: "R", entries: puts("b=1")}
	mustRefuse(t, web, call{op: putKey, entries: puts("b=1")}, sheaf.RateLimited)
	eachFace(t, n, func(t *testing.T, f face) {
		if got := mustRefuse(t, f, write, sheaf.RateLimited); got.retryAfter <= 0 {
			t.Error("the refusal does not say how long to wait")
		}
	})
	mustRefuse(t, web, call{op: getAll, keys: []string{"a"}}, sheaf.RateLimited)
	// What can be refused by its header alone is refused for that.
	large := make([]byte, smallInFlight)
	refusedWith(t, web.send(t, "POST", "/v1/putall", large, "Idempotency-Key", "R"), sheaf.BatchTooLarge)
	refusedWith(t, web.send(t, "POST", "/v1/putall", nil, "Content-Type", "text/plain"), sheaf.UnsupportedMediaType)

	for _, w := range holding {
		_ = w.Close() // the node notices, whether it is closed once or twice
	}
	eachFace(t, n, func(t *testing.T, f face) {
		await(t, "there is room again", func() bool { return f.do(t, write).refused == nil })
	})
}
