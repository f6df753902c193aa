package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
	"github.com/sheafdb/sheaf/client/clienttest"
)

func TestEveryRowIsLoadedAndTheLastOfAKeyWins(t *testing.T) {
	c := clienttest.New(t)
	var table strings.Builder
	table.WriteString("id,name\n")
	for i := range 1000 {
		fmt.Fprintf(&table, "%d,\"first, of %d\"\n", i, i)
	}
	for i := range 1000 {
		fmt.Fprintf(&table, "%d,second of %d\n%d,third of %d\n", i, i, i, i)
	}
	loaded, err := load(t.Context(), c, options{prefix: "user/", key: "id", batchEntries: 37, lanes: 4}, strings.NewReader(table.String()))
	if err != nil || loaded != 3000 {
		t.Fatalf("%d rows, %v", loaded, err)
	}
	seen := 0
	users := client.TypedJSON[map[string]string](c, "user/")
	for item, err := range users.Scan(t.Context(), client.ScanOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if want := "third of " + item.Key; item.Value["name"] != want || item.Value["id"] != item.Key {
			t.Errorf("key %s is %v", item.Key, item.Value)
		}
		seen++
	}
	if seen != 1000 {
		t.Errorf("%d keys are there", seen)
	}
}

func TestBatchThatIsRefusedEndsTheLoad(t *testing.T) {
	c := clienttest.New(t)
	table := "id,text\na,1\n" + strings.Repeat("k", 5000) + ",too long a key\nb,2\n"
	loaded, err := load(t.Context(), c, options{batchEntries: 1, lanes: 1}, strings.NewReader(table))
	if sheaf.CodeOf(err) != sheaf.InvalidBatch || loaded != 1 {
		t.Errorf("%d rows, %v", loaded, err)
	}
}

func TestMistakesOfTheCallerAreNamed(t *testing.T) {
	c := clienttest.New(t)
	for _, row := range []struct{ table, key, want string }{
		{"", "", "names the columns"},
		{"id,name\n1,a\n", "nam", `no column "nam"`},
		{"id,name\n1,a\n2\n", "", "line 3"},
	} {
		_, err := load(t.Context(), c, options{key: row.key, batchEntries: 10, lanes: 2}, strings.NewReader(row.table))
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v", row.table, err)
		}
	}
}

func TestInterruptedLoadEnds(t *testing.T) {
	c := clienttest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := load(ctx, c, options{batchEntries: 1, lanes: 2}, strings.NewReader("id\n1\n2\n3\n")); err == nil {
		t.Error("no error")
	}
}
