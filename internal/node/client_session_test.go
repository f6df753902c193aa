package node

import (
	"strconv"
	"sync"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// Each caller writes at one node and goes on with its session at the next, whose replica may
// not have the write yet.
func TestASessionReadsItsWritesAtAnyNode(t *testing.T) {
	t.Parallel()
	for _, groups := range []int{1, 3} {
		t.Run(strconv.Itoa(groups), func(t *testing.T) {
			tr := newTrioOf(t, "memory", groups)
			clients := []*client.Client{tr.client(0), tr.client(1), tr.client(2)}
			var callers sync.WaitGroup
			for i := range 6 {
				callers.Go(func() {
					key, other := []byte("k"+strconv.Itoa(i)), []byte("o"+strconv.Itoa(i))
					s := clients[i%3].Session()
					for n := range 30 {
						value := strconv.Itoa(n)
						result, err := s.PutAll(t.Context(), []sheaf.Entry{sheaf.Put(key, value), sheaf.Put(other, value)})
						if err != nil || s.Seen() < result.Version {
							t.Errorf("wrote %+v, %v; seen %d", result, err, s.Seen())
							return
						}
						s = clients[(i+n)%3].SessionFrom(s.Seen())
						values, err := s.GetAll(t.Context(), [][]byte{key, other})
						if err != nil {
							t.Error(err)
							return
						}
						for _, item := range values.Items {
							if string(item.Value) != value || item.Version != result.Version {
								t.Errorf("read %q at version %d after writing %s at %d", item.Value, item.Version, value, result.Version)
								return
							}
						}
					}
				})
			}
			callers.Wait()
		})
	}
}

func TestASessionIsSharedByCallers(t *testing.T) {
	c := clientOf(t, start(t, testConfig(t.TempDir())))
	s := c.Session()
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			for range 20 {
				result, err := s.Put(t.Context(), []byte("k"+strconv.Itoa(i)), []byte("v"))
				if err != nil || s.Seen() < result.Version {
					t.Errorf("wrote %+v, %v; seen %d", result, err, s.Seen())
					return
				}
			}
		})
	}
	callers.Wait()
	other := c.SessionFrom(s.Seen())
	result, err := other.DeleteAll(t.Context(), [][]byte{[]byte("k0"), []byte("k1")})
	if err != nil || result.Version <= s.Seen() {
		t.Errorf("wrote %+v, %v; want a version above %d", result, err, s.Seen())
	}
	if _, err := other.Get(t.Context(), []byte("k0")); sheaf.CodeOf(err) != sheaf.NotFound {
		t.Errorf("got %v of what the session has deleted", err)
	}
	found := 0
	for item, err := range other.Scan(t.Context(), client.ScanOptions{}) {
		if err != nil || !item.Found {
			t.Errorf("got %+v, %v", item, err)
		}
		found++
	}
	if found != 6 {
		t.Errorf("a scan found %d keys, want 6", found)
	}
}
