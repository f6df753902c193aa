package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/sheafdb/sheaf/client/clienttest"
)

func TestTheSumStaysUnderConcurrentTransfers(t *testing.T) {
	c := clienttest.New(t, clienttest.WithGroups(4)) // so that most transfers are of several groups
	var out strings.Builder
	if err := play(t.Context(), c, options{accounts: 5, transfers: 300, callers: 16}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "the sum was 5000 in all of") {
		t.Error(out.String())
	}
}

func TestTransferIsMadeOnceHoweverOftenItIsCalled(t *testing.T) {
	bank := Bank{Client: clienttest.New(t)}
	if err := bank.Open(t.Context(), []string{"a", "b"}, 100); err != nil {
		t.Fatal(err)
	}
	errs := make([]error, 10)
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() { errs[i] = bank.Transfer(t.Context(), "rent", "a", "b", 60) })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if a, err := bank.Sum(t.Context(), []string{"a"}); err != nil || a != 40 {
		t.Errorf("a has %d, %v", a, err)
	}
	if err := bank.Transfer(t.Context(), "more rent", "a", "b", 60); !errors.Is(err, ErrNotEnough) {
		t.Errorf("40 gave 60: %v", err)
	}
	if err := bank.Transfer(t.Context(), "x", "a", "nobody", 1); err == nil || !strings.Contains(err.Error(), "there is no account/{nobody}") {
		t.Errorf("to nobody: %v", err)
	}
	if sum, err := bank.Sum(t.Context(), []string{"a", "b"}); err != nil || sum != 200 {
		t.Errorf("the sum is %d, %v", sum, err)
	}
}

func TestInterruptedPlayStopsBetweenTransfers(t *testing.T) {
	c := clienttest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	bank := Bank{Client: c}
	ended := make(chan error)
	var out strings.Builder
	go func() {
		ended <- play(ctx, c, options{accounts: 3, transfers: 1 << 40, callers: 4}, &out)
	}()
	for { // until money has moved
		if n, err := bank.Sum(t.Context(), []string{"000"}); err == nil && n != 1000 {
			break
		}
	}
	cancel()
	if err := <-ended; err != nil || !strings.Contains(out.String(), "the sum was 3000") {
		t.Errorf("%v, %s", err, out.String())
	}
}
