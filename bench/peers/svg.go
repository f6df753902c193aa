package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strconv"

	"github.com/sheafdb/sheaf/bench/contest"
	"github.com/sheafdb/sheaf/bench/measure"
)

// The chart's sizes, in pixels.
const (
	chartWidth  = 860
	plotLeft    = 204
	plotRight   = 770
	barHeight   = 18
	barStep     = 26
	classStep   = 34
	chartTop    = 64
	chartBottom = 52
)

// chartStyle suits a light page and a dark one. Sheaf's bars have a colour of
// their own; so that colour alone tells nothing, their names are bold too.
const chartStyle = `
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 }
  .class, .sheaf-name { font-weight: 600 }
  .soft { fill: #57606a }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .bar { fill: #8c959f }
  .sheaf { fill: #0969da }
  .range { stroke: #24292f; stroke-width: 1.5 }
  .line { fill: none; stroke: #0969da; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .soft { fill: #9198a1 }
    .grid { stroke: #3d444d }
    .bar { fill: #656c76 }
    .sheaf { fill: #4493f8 }
    .range { stroke: #e6edf3 }
    .line { stroke: #4493f8 }
  }
`

// barChart draws the rates of one table as bars, class by class, with a line from
// the slowest to the fastest round.
func barChart(t *table) []byte {
	height, most, last := chartTop+chartBottom, 0.0, class("")
	for i := range t.Rows {
		if t.Rows[i].Class != last {
			last = t.Rows[i].Class
			height += classStep
		}
		height += barStep
		most = max(most, t.Rows[i].MaxRate)
	}
	step := niceStep(most)
	top := max(step, math.Ceil(most/step)*step)
	x := func(rate float64) float64 { return plotLeft + rate/top*(plotRight-plotLeft) }

	var b bytes.Buffer
	openSVG(&b, height, fmt.Sprintf("Keys written per second, %d %s", t.Callers, contest.Plural(t.Callers, "caller")))
	fmt.Fprintf(&b, "<text class=\"soft\" x=\"16\" y=\"48\">batches of %s; the bar is the median round, the line runs from the slowest to the fastest</text>\n",
		measure.Thousands(contest.BatchEntries))
	for rate := 0.0; rate <= top; rate += step {
		fmt.Fprintf(&b, "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n", x(rate), chartTop, x(rate), height-chartBottom)
		fmt.Fprintf(&b, "<text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", x(rate), height-chartBottom+18, short(rate))
	}
	fmt.Fprintf(&b, "<text class=\"soft\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">keys/s</text>\n", (plotLeft+plotRight)/2, height-chartBottom+38)
	y := chartTop
	last = ""
	for i := range t.Rows {
		r := &t.Rows[i]
		if r.Class != last {
			last = r.Class
			y += classStep
			fmt.Fprintf(&b, "<text class=\"class\" x=\"16\" y=\"%d\">%s</text>\n", y-10, html.EscapeString(string(r.Class)))
		}
		drawBar(&b, r, x, y)
		y += barStep
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func drawBar(b *bytes.Buffer, r *row, x func(float64) float64, y int) {
	bar, name := "bar", "soft"
	if isSheaf(r.Contestant) {
		bar, name = "sheaf", "sheaf-name"
	}
	middle := y + barHeight/2
	fmt.Fprintf(b, "<text class=\"%s\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", name, plotLeft-8, middle+5, html.EscapeString(r.Contestant))
	fmt.Fprintf(b, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", bar, plotLeft, y, x(r.Median.KeysPerSecond)-plotLeft, barHeight)
	fmt.Fprintf(b, "<line class=\"range\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n", x(r.MinRate), middle, x(r.MaxRate), middle)
	fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\">%s</text>\n", x(r.MaxRate)+6, middle+5, short(r.Median.KeysPerSecond))
}

func openSVG(b *bytes.Buffer, height int, title string) {
	title = html.EscapeString(title)
	fmt.Fprintf(b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", chartWidth, height, title)
	fmt.Fprintf(b, "<style>%s</style>\n<text class=\"title\" x=\"16\" y=\"26\">%s</text>\n", chartStyle, title)
}

// niceStep is the distance between the marks of an axis up to most: 1, 2 or 5
// times a power of ten, for four to ten marks.
func niceStep(most float64) float64 {
	if most <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, times := range []float64{5, 2} {
		if most/4 >= times*power {
			return times * power
		}
	}
	return power
}

// short is a number with three digits and M or k: 1234567 is 1.23M.
func short(x float64) string {
	unit := ""
	switch {
	case x >= 1e6:
		x, unit = x/1e6, "M"
	case x >= 1e3:
		x, unit = x/1e3, "k"
	}
	text := strconv.FormatFloat(x, 'g', 3, 64)
	if x >= 100 {
		text = strconv.FormatFloat(x, 'f', 0, 64)
	}
	return text + unit
}
