package coordinator

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheafdb/sheaf/internal/wire"
)

func TestWhatIsSaidLaterIsSaidInOneRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &slowGroup{}
		l := newLater(g)
		life, end := context.WithCancel(context.Background())
		go l.run(life)
		for round := range 2 {
			for i := range 10 {
				l.put(&wire.Command{RequestID: fmt.Sprint(round, i)})
			}
			synctest.Wait()
			if n := len(g.seen()); n != round {
				t.Fatalf("%d rounds before the time was over, want %d", n, round)
			}
			time.Sleep(gatherTime)
			synctest.Wait()
			if rounds := g.seen(); len(rounds) != round+1 || len(rounds[round]) != 10 {
				t.Fatalf("rounds %v, want one of 10 more than %d", rounds, round)
			}
		}
		end()
	})
}

func TestOfTooManyThingsToSaySomeAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &slowGroup{}
		l := newLater(g)
		for i := range maxLater + 1 {
			l.put(&wire.Command{RequestID: fmt.Sprint(i)})
		}
		life, end := context.WithCancel(context.Background())
		go l.run(life)
		time.Sleep(gatherTime)
		synctest.Wait()
		if len(g.rounds) != 1 || len(g.rounds[0]) != maxLater {
			t.Errorf("%d rounds, want one of %d", len(g.rounds), maxLater)
		}
		end()
	})
}
