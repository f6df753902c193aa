package apply

import (
	"fmt"
	"testing"

	"github.com/sheafdb/sheaf/internal/store"
	"github.com/sheafdb/sheaf/internal/wire"
)

// counting counts how often attempts are read.
type counting struct {
	State
	attempts int
}

func (c *counting) Get(space store.Space, key []byte) ([]byte, bool, error) {
	if space == store.Attempts {
		c.attempts++
	}
	return c.State.Get(space, key)
}

// TestACollectReadsAnAttemptOnce: it may hold thousands of the keys, and decoding it takes as
// long as it is large.
func TestACollectReadsAnAttemptOnce(t *testing.T) {
	m := newMachine(t)
	var keys [][]byte
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprint("key-", i))
		keys = append(keys, []byte(names[i]))
	}
	for n, part := range [][]string{names[:25], names[25:]} {
		m.at(10, wire.Command{
			Kind: wire.Prepare, RequestID: fmt.Sprint("r", n), Attempt: 1, HomeKey: []byte("key-0"), DeadlineMS: 100, Entries: batch(part...),
		})
	}
	m.look(func(state State) error {
		counted := &counting{State: state}
		seen, err := Collect(keys, true, 10, counted, func(int) error { return nil })
		for i, s := range seen {
			if want := fmt.Sprint("r", i/25); s.Intent == nil || s.Intent.Holder.RequestID != want || !s.Intent.Live || string(s.Intent.Value) != "v" {
				t.Errorf("%s: %+v, want the intent of %s", keys[i], s.Intent, want)
			}
		}
		if counted.attempts != 2 {
			t.Errorf("two attempts were read %d times", counted.attempts)
		}
		return err
	})
}
