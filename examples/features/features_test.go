package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/client/clienttest"
)

func TestNoServerReadsFeaturesOlderThanItsRequest(t *testing.T) {
	for _, groups := range []int{1, 4} {
		c := clienttest.New(t, clienttest.WithGroups(groups))
		var out strings.Builder
		if err := play(t.Context(), c, options{users: 200, rounds: 10, servers: 4}, &out); err != nil {
			t.Fatal(err)
		}
		if want := "10 rounds of 200 users injected, 40 requests answered"; !strings.Contains(out.String(), want) {
			t.Error(out.String())
		}
	}
}

func TestFeaturesAreThoseThatWereInjected(t *testing.T) {
	store := Store{Client: clienttest.New(t, clienttest.WithGroups(4))}
	want := Features{Round: 1, Clicks: 7, Score: 0.25}
	version, err := store.Inject(t.Context(), map[string]Features{"a": want, "b": {Round: 1}, "c": {Round: 1}})
	if err != nil || version == 0 {
		t.Fatalf("version %d, %v", version, err)
	}
	got, err := store.Read(t.Context(), []string{"a", "c", "nobody"}, version)
	if err != nil || len(got) != 2 || got["a"] != want {
		t.Errorf("%v, %v", got, err)
	}
}

func TestReadDoesNotAnswerFromOlderStateThanItsVersion(t *testing.T) {
	store := Store{Client: clienttest.New(t)}
	version, err := store.Inject(t.Context(), map[string]Features{"a": {Round: 1}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if got, err := store.Read(ctx, []string{"a"}, version+1); err == nil {
		t.Errorf("version %d was asked for when there was only %d, and the answer is %v", version+1, version, got)
	}
}

func TestMissingPartIsNamed(t *testing.T) {
	whole := client.Result{Parts: []client.Part{{Group: 1, Applied: true}, {Group: 2, Applied: true}}}
	if missing := missingPart(whole); missing != "" {
		t.Error(missing)
	}
	whole.Parts[1] = client.Part{Group: 2, Reason: "NOT_LEADER"}
	if missing := missingPart(whole); missing != "group 2: NOT_LEADER" {
		t.Error(missing)
	}
}

func TestInterruptedPlayEndsWithoutAnError(t *testing.T) {
	c := clienttest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := play(ctx, c, options{users: 1, rounds: 1 << 40, servers: 1}, &strings.Builder{}); err != nil {
		t.Error(err)
	}
}
