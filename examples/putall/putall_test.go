package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client/clienttest"
)

func TestTheArticlesFlow(t *testing.T) {
	c := clienttest.New(t, clienttest.WithGroups(4), clienttest.RequireETag())
	var out strings.Builder
	for _, before := range []string{"0", "3"} {
		out.Reset()
		if err := walk(t.Context(), c, []string{"user:1=ada", "user:2=grace", "user:3=alan"}, &out); err != nil {
			t.Fatal(err)
		}
		if want := "read      " + before + " of 3 keys"; !strings.HasPrefix(out.String(), want) || strings.Count(out.String(), "\n") != 5 {
			t.Errorf("got %s", out.String())
		}
	}
	item, err := c.Get(t.Context(), []byte("user:2"))
	if err != nil || string(item.Value) != "grace!" {
		t.Errorf("got %s, %v", item.Value, err)
	}
}

func TestVersionsAreConditionsAndOrder(t *testing.T) {
	store := Store{Client: clienttest.New(t)}
	first, err := store.PutAll(t.Context(), map[string]VersionedValue{"a": {Value: []byte("1")}}, Sequential)
	if err != nil {
		t.Fatal(err)
	}
	next := map[string]VersionedValue{"a": {Value: []byte("2"), Version: first.Version}, "b": {Value: []byte("2")}}
	second, err := store.PutAll(t.Context(), next, Linearizable)
	if err != nil || second.Version <= first.Version {
		t.Fatalf("version %d after %d, %v", second.Version, first.Version, err)
	}
	if _, err := store.PutAll(t.Context(), next, Linearizable); !errors.Is(err, sheaf.VersionMismatch) {
		t.Errorf("a was overwritten at an old version: %v", err)
	}
	accepted, err := store.PutAll(t.Context(), next, Eventual)
	if err != nil || !accepted.Accepted {
		t.Errorf("got %+v, %v", accepted, err)
	}
}

func TestBatchIsNamedByItsKeys(t *testing.T) {
	c := clienttest.New(t)
	for _, args := range [][]string{nil, {"a"}, {"=1"}} {
		if err := walk(t.Context(), c, args, &strings.Builder{}); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}
