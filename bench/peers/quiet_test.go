package main

import (
	"slices"
	"testing"
)

func TestRoundsThatOthersDisturbedAreRunAgain(t *testing.T) {
	var ran, kept []int
	waited := 0
	others := []float64{.1, .9, .9, .2}
	err := quietRounds(2, .3, func() error {
		waited++
		return nil
	}, func(n int) (float64, error) {
		ran = append(ran, n)
		return others[len(ran)-1], nil
	}, func() { kept = append(kept, len(ran)-1) })
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ran, []int{0, 1, 1, 1}) || !slices.Equal(kept, []int{0, 3}) || waited != 4 {
		t.Errorf("after %d waits rounds %v ran, and of those %v were kept", waited, ran, kept)
	}
}

func TestAMachineThatIsNeverQuietIsMeasuredAllTheSame(t *testing.T) {
	ran, kept := 0, 0
	err := quietRounds(3, .3, func() error { return nil }, func(int) (float64, error) {
		ran++
		return 2, nil
	}, func() { kept++ })
	if err != nil || kept != 3 || ran != 3+quietRepeats {
		t.Errorf("%d rounds ran, %d were kept, %v", ran, kept, err)
	}
}
