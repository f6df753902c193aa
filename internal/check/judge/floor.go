package judge

import (
	"fmt"
	"strconv"
	"strings"
)

// Floor is how many operations of each workload must have succeeded for a verdict: a share of
// them, like "20%", or a number.
type Floor string

// DefaultFloor lets a run pass in which nodes were away for most of the time.
const DefaultFloor Floor = "20%"

// leastReads and leastWrites are how many must have succeeded whatever the floor.
const (
	leastReads  = 10
	leastWrites = 10
)

// Validate says what is wrong.
func (f Floor) Validate() error {
	_, _, err := f.parse()
	return err
}

func (f Floor) parse() (share float64, count int, err error) {
	digits, percent := strings.CutSuffix(string(f), "%")
	if percent {
		share, err = strconv.ParseFloat(digits, 64)
		share /= 100
	} else {
		count, err = strconv.Atoi(digits)
	}
	if err != nil || share < 0 || share > 1 || count < 0 {
		return 0, 0, fmt.Errorf("%q is not a share, like 20%%, and not a number of operations", string(f))
	}
	return share, count, nil
}

// Count is the operations of a workload by what became of them.
type Count struct {
	Trials int
	// OK are Reads and Writes; a condition of a Refused one did not hold; a Failed one did
	// nothing.
	OK, Reads, Writes, Refused, Failed, Unknown int
}

func (c *Count) all() int { return c.OK + c.Refused + c.Failed + c.Unknown }

// tooFew says why so much work is too little to say anything, or "".
func (f Floor) tooFew(workload string, c *Count) string {
	share, count, _ := f.parse() // validated before
	tried := c.all() - c.Refused
	switch {
	case c.Reads < leastReads || c.Writes < leastWrites:
		return fmt.Sprintf("of %s only %d reads and %d writes succeeded: that is too few to say anything", workload, c.Reads, c.Writes)
	case c.OK < count || float64(c.OK) < share*float64(tried):
		return fmt.Sprintf("of %s only %d of %d operations succeeded, and the run asks for %s", workload, c.OK, tried, f)
	}
	return ""
}
