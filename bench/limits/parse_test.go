package main

import (
	"testing"
	"time"
)

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"-callers", "0"},
		{"-callers", "1,x"},
		{"-only", "redis"},
		{"-rounds", "0"},
		{"-seconds", "0"},
		{"extra"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	p, err := parse([]string{"-callers", "2, 8", "-only", "sheaf-memory,fdatasync", "-seconds", "0.5"})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Callers) != 2 || p.Callers[1] != 8 || p.Timed != 500*time.Millisecond {
		t.Errorf("read %+v", p)
	}
	if chosen := p.chosen(); len(chosen) != 2 || chosen[0].name != "fdatasync" || !p.needsServer() {
		t.Errorf("-only chose %+v", chosen)
	}
}
