package node

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sheafdb/sheaf/client"
)

// TestSingleCallsGoTogetherAtAnyNode: writes of many goroutines at a node that does not lead all
// groups, of which each has its own version, which every node then has.
func TestSingleCallsGoTogetherAtAnyNode(t *testing.T) {
	t.Parallel()
	tr := newTrioOf(t, "memory", 3)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const callers, calls = 20, 5
	var clients []*client.Client
	for i := range tr.nodes {
		clients = append(clients, tr.client(i))
	}
	for at, writer := range clients {
		var versions [callers]uint64
		var together atomic.Int32
		name := func(i int) []byte { return fmt.Appendf(nil, "key-%d", i) }
		value := func(i, n int) string { return fmt.Sprint(at, i, n) }
		var wait sync.WaitGroup
		for i := range callers {
			wait.Go(func() {
				for n := range calls {
					result, err := writer.Put(ctx, name(i), []byte(value(i, n)))
					if err != nil || result.Version <= versions[i] || len(result.ETag) == 0 {
						t.Errorf("%+v, %v, after version %d", result, err, versions[i])
					}
					versions[i] = result.Version
					if strings.Contains(string(result.RequestID), "/") {
						together.Add(1)
					}
				}
			})
		}
		wait.Wait()
		if together.Load() == 0 {
			t.Errorf("node %d: no two writes went together", at+1)
		}
		for _, reader := range clients {
			for i := range callers {
				wait.Go(func() {
					item, err := reader.Get(ctx, name(i))
					if err != nil || string(item.Value) != value(i, calls-1) || item.Version != versions[i] || string(item.Key) != string(name(i)) {
						t.Errorf("%+v, %v; want version %d", item, err, versions[i])
					}
				})
			}
			wait.Wait()
		}
	}
}
