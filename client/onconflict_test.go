package client

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/sheafdb/sheaf"
	sheafv1 "github.com/sheafdb/sheaf/api/sheaf/v1"
)

func putAllOf(names ...string) func(Values) ([]sheaf.Entry, error) {
	return func(Values) ([]sheaf.Entry, error) {
		var entries []sheaf.Entry
		for _, name := range names {
			entries = append(entries, sheaf.Put(name, "merged"))
		}
		return entries, nil
	}
}

func TestOnConflictReadsAgainAndWritesUnderANewID(t *testing.T) {
	node := &fakeNode{
		getall: []readLine{holding(`"1"`, nil), holding(`"2"`, map[string]uint64{"a": 5})},
		putall: []writeLine{refused(sheaf.ETagMismatch), refused(sheaf.VersionMismatch), applied(9)},
	}
	inBubble(t, node, func(t *testing.T, c *Client) {
		var seen []sheaf.ETag
		result, err := c.OnConflict(t.Context(), keysOf("a", "b"), func(v Values) ([]sheaf.Entry, error) {
			seen = append(seen, v.ETag)
			return []sheaf.Entry{sheaf.Put("a", "merged").OnlyIfVersion(77), sheaf.Delete("b")}, nil
		})
		if err != nil || result.Version != 9 {
			t.Fatalf("got %+v, %v", result, err)
		}
		if diff := cmp.Diff([]sheaf.ETag{`"1"`, `"2"`, `"2"`}, seen); diff != "" {
			t.Error(diff)
		}
		ids := map[string]bool{}
		for i, w := range node.writes {
			ids[w.GetRequestId()] = true
			if w.GetIfMatch() != string(seen[i]) || w.GetEntries()[0].IfVersion != nil {
				t.Errorf("round %d wrote %v on condition of %s", i, w, seen[i])
			}
		}
		if len(ids) != 3 {
			t.Errorf("%d request IDs in 3 rounds", len(ids))
		}
	})
}

func TestOnConflictGuardsEachEntryWhenKeysAreLeftOut(t *testing.T) {
	node := &fakeNode{
		getall: []readLine{holding(`"1"`, map[string]uint64{"a": 5, "b": 6})},
		putall: []writeLine{applied(9)},
	}
	inBubble(t, node, func(t *testing.T, c *Client) {
		// The entry named twice is the server's to refuse; it must not make two
		// entries of three keys look like all of them.
		for _, names := range [][]string{{"a", "new"}, {"a", "a", "new"}} {
			if _, err := c.OnConflict(t.Context(), keysOf("a", "b", "new"), putAllOf(names...)); err != nil {
				t.Fatal(err)
			}
		}
		versions := map[string]uint64{"a": 5, "new": 0}
		for _, w := range node.writes {
			if w.GetIfMatch() != "" {
				t.Errorf("wrote on condition of an ETag that covers other keys: %v", w)
			}
			for _, e := range w.GetEntries() {
				want := &sheafv1.Entry{Key: e.GetKey(), Value: []byte("merged"), IfVersion: proto.Uint64(versions[string(e.GetKey())])}
				if diff := cmp.Diff(want, e, protocmp.Transform()); diff != "" {
					t.Error(diff)
				}
			}
		}
	})
}

func TestOnConflictEndsWithoutAWrite(t *testing.T) {
	mine := errors.New("merge refuses")
	for name, test := range map[string]struct {
		merge func(Values) ([]sheaf.Entry, error)
		want  error
	}{
		"a key that was not read": {putAllOf("a", "z"), sheaf.InvalidBatch},
		"an error of merge":       {func(Values) ([]sheaf.Entry, error) { return nil, mine }, mine},
		"nothing to write":        {putAllOf(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			node := &fakeNode{getall: []readLine{holding(`"1"`, nil)}, putall: []writeLine{applied(1)}}
			inBubble(t, node, func(t *testing.T, c *Client) {
				_, err := c.OnConflict(t.Context(), keysOf("a"), test.merge)
				if !errors.Is(err, test.want) || len(node.writes) != 0 {
					t.Errorf("got %v and %d writes, want %v and none", err, len(node.writes), test.want)
				}
			})
		})
	}
}

func TestOnConflictIsBounded(t *testing.T) {
	lines := func() *fakeNode {
		return &fakeNode{getall: []readLine{holding(`"1"`, nil)}, putall: []writeLine{refused(sheaf.ETagMismatch)}}
	}
	node := lines()
	inBubble(t, node, func(t *testing.T, c *Client) {
		_, err := c.OnConflict(t.Context(), keysOf("a"), putAllOf("a"))
		if sheaf.CodeOf(err) != sheaf.ETagMismatch || len(node.writes) != MaxConflictRounds {
			t.Errorf("got %v after %d rounds", err, len(node.writes))
		}
	})
	inBubble(t, lines(), func(t *testing.T, c *Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := c.OnConflict(ctx, keysOf("a"), putAllOf("a"))
		if sheaf.CodeOf(err) != sheaf.NotProposed || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want NOT_PROPOSED that wraps the deadline", err)
		}
	})
}

func TestOnConflictDoesNotRepeatAnUnknownOutcome(t *testing.T) {
	node := &fakeNode{getall: []readLine{holding(`"1"`, nil)}, putall: []writeLine{refused(sheaf.OutcomeUnknown)}}
	inBubble(t, node, func(t *testing.T, c *Client) {
		result, err := c.OnConflict(t.Context(), keysOf("a"), putAllOf("a"))
		if sheaf.CodeOf(err) != sheaf.OutcomeUnknown || len(node.reads) != 1 || result.RequestID == "" {
			t.Errorf("got %+v, %v after %d reads", result, err, len(node.reads))
		}
	}, WithRetry(RetryPolicy{MaxAttempts: 2}))
}
