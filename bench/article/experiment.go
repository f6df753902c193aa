package main

import (
	"context"
	"time"
)

// experiment is one claim of the article, measured.
type experiment struct {
	name, title string
	// about says, above the tables, what is compared.
	about string
	// run hands over each table as soon as it is complete.
	run func(ctx context.Context, p plan, done func(*table) error) error
}

var experiments = []experiment{
	{"putall", "Batch writes in memory", aboutPutAll, runPutAll},
	{"http", "JSON over HTTP", aboutHTTP, runHTTP},
	{"any", "google.protobuf.Any", aboutAny, runAny},
	{"sharing", "False sharing", aboutSharing, runSharing},
}

func experimentNames() []string {
	names := make([]string, len(experiments))
	for i, e := range experiments {
		names[i] = e.name
	}
	return names
}

// sizes is how much work a turn is. Tests make it small.
type sizes struct {
	BatchEntries int           `json:"batch_entries"`
	FewKeys      int           `json:"few_keys"`  // what fits into the processor's caches
	ManyKeys     int           `json:"many_keys"` // what does not
	FewBatches   int           `json:"few_batches"`
	ManyBatches  int           `json:"many_batches"`
	HTTPTurn     time.Duration `json:"http_turn_ns"`
	HTTPCalls    int           `json:"http_calls"` // of a handler without a socket
	Messages     int           `json:"messages"`
	AnyBatches   int           `json:"any_batches"`
	SharedKeys   int           `json:"shared_keys"`
	SharedOps    int           `json:"shared_ops"`  // per goroutine
	CounterOps   int           `json:"counter_ops"` // per goroutine
}

func fullSizes() sizes {
	return sizes{
		BatchEntries: 10_000, FewKeys: 10_000, ManyKeys: 1_000_000, FewBatches: 30, ManyBatches: 10,
		HTTPTurn: 500 * time.Millisecond, HTTPCalls: 5_000,
		Messages: 10_000, AnyBatches: 20,
		SharedKeys: 1_000_000, SharedOps: 500_000, CounterOps: 10_000_000,
	}
}
