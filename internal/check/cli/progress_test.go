package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sheafdb/sheaf/internal/check/drive"
)

func TestAPersonIsToldEveryFewSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		var counts drive.Counts
		counts.OK.Store(900)
		counts.Unknown.Store(100)
		ctx, cancel := context.WithTimeout(t.Context(), 2*progressPeriod+time.Second)
		defer cancel()
		tell(ctx, &out, &counts)
		want := "   2s     500 ops/s  ok 900  refused 0  failed 0  unknown 100\n   4s       0 ops/s  ok 900  refused 0  failed 0  unknown 100\n"
		if out.String() != want {
			t.Errorf("got:\n%swant:\n%s", out.String(), want)
		}
	})
}

// TestEveryCommandSaysWhatItIsFor reads the help texts as a person would.
func TestEveryCommandSaysWhatItIsFor(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"run", "--help"}, {"verify", "--help"}} {
		var out, errs bytes.Buffer
		if code := Main(args, &out, &errs); code != 0 {
			t.Errorf("%v ends with %d: %s", args, code, errs.String())
		}
		for _, part := range []string{"Examples:\n", "Exit codes:\n", "never a pass"} {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%v does not say %q:\n%s", args, part, out.String())
			}
		}
	}
}
