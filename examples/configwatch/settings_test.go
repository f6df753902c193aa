package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/sheafdb/sheaf/client/clienttest"
)

// instance follows the settings of a node until the test ends, and returns its lines.
func instance(t *testing.T, node *clienttest.Node) *bufio.Scanner {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	ended := make(chan error)
	c := node.Client(t)
	go func() { ended <- follow(ctx, c, "config/", time.Minute, out) }()
	t.Cleanup(func() {
		cancel()
		_ = in.Close() // it never fails
		if err := <-ended; err != nil {
			t.Errorf("an instance ended with %v", err)
		}
	})
	return bufio.NewScanner(in)
}

func TestAllInstancesSeeEveryChangeWhole(t *testing.T) {
	node := clienttest.Start(t)
	c := node.Client(t)
	if err := change(t.Context(), c, "config/", []string{"colour=red", "limit=10"}); err != nil {
		t.Fatal(err)
	}
	instances := []*bufio.Scanner{instance(t, node), instance(t, node), instance(t, node)}
	expect := func(want string) {
		t.Helper()
		for i, lines := range instances {
			if !lines.Scan() || lines.Text() != want {
				t.Fatalf("instance %d says %q, not %q", i, lines.Text(), want)
			}
		}
	}
	expect("settings: colour=red limit=10")
	for round := range 20 {
		if err := change(t.Context(), c, "config/", []string{fmt.Sprint("limit=", round), fmt.Sprint("size=", round)}); err != nil {
			t.Fatal(err)
		}
		expect(fmt.Sprintf("settings: colour=red limit=%d size=%d", round, round))
	}
	if _, err := c.Delete(t.Context(), []byte("config/colour")); err != nil {
		t.Fatal(err)
	}
	expect("settings: limit=19 size=19")

	// A node that is away and comes back changes nothing, and no change is missed.
	node.Stop(t)
	node.Start(t)
	if err := change(t.Context(), c, "config/", []string{"limit=99"}); err != nil {
		t.Fatal(err)
	}
	expect("settings: limit=99 size=19")
}

func TestSettingsAreNamedWithAValue(t *testing.T) {
	for _, arg := range []string{"colour", "=red", ""} {
		if err := change(t.Context(), nil, "config/", []string{arg}); err == nil {
			t.Errorf("%q was taken", arg)
		}
	}
}
