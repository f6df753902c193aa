package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"
)

// The curves of a soak, one plot below the other.
var soakCurves = []struct {
	name string
	of   func(soakSample) float64
}{
	{"keys/s", func(s soakSample) float64 { return s.KeysPerSecond }},
	{"p95 of a batch, ms", func(s soakSample) float64 { return s.P95MS }},
	{"resident memory, MiB", func(s soakSample) float64 { return float64(s.ResidentBytes) / (1 << 20) }},
	{"log, MiB", func(s soakSample) float64 { return s.LogBytes / (1 << 20) }},
}

const (
	curveHeight = 110
	curveStep   = 150
)

// soakChart draws the curves over time.
func soakChart(f *soakFound) []byte {
	var b bytes.Buffer
	height := chartTop + len(soakCurves)*curveStep + 20
	openSVG(&b, height, fmt.Sprintf("%s for %.0f s at %s keys/s", f.Contestant, f.Seconds, short(f.Target)))
	seconds := 1.0
	for _, s := range f.Samples {
		seconds = max(seconds, s.Second)
	}
	x := func(second float64) float64 { return plotLeft + second/seconds*(plotRight-plotLeft) }
	for i, curve := range soakCurves {
		bottom := chartTop + i*curveStep + curveHeight
		values := column(f.Samples, curve.of)
		most := 0.0
		if len(values) > 0 {
			most = slices.Max(values)
		}
		step := niceStep(most)
		top := max(step, math.Ceil(most/step)*step)
		y := func(value float64) float64 { return float64(bottom) - value/top*curveHeight }
		fmt.Fprintf(&b, "<text class=\"class\" x=\"16\" y=\"%d\">%s</text>\n", bottom-curveHeight/2, curve.name)
		for _, mark := range []float64{0, top} {
			fmt.Fprintf(&b, "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>\n", plotLeft, y(mark), plotRight, y(mark))
			fmt.Fprintf(&b, "<text class=\"soft\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", plotLeft-8, y(mark)+5, short(mark))
		}
		b.WriteString("<polyline class=\"line\" points=\"")
		for n, value := range values {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(f.Samples[n].Second), y(value))
		}
		b.WriteString("\"/>\n")
	}
	for _, share := range []float64{0, .25, .5, .75, 1} {
		fmt.Fprintf(&b, "<text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f s</text>\n", x(share*seconds), height-8, share*seconds)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
