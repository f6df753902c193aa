// Package drive makes calls to a server or a cluster, through the public client alone, and
// records them.
//
// A workload is a kind of work. A team of up to five clients does it on one trial after
// another: a few fresh keys, some hundred steps, then everything that is unknown is asked for
// again and the keys are read a last time at every endpoint. Five clients and some hundred
// operations are what the search for an order can take in milliseconds; the many trials make
// up for it.
//
// In the workload watch two followers are sent what the clients write, by a Watch that goes on from
// node to node with the token of what came last, and by a Sync.
//
// A client behaves as badly as callers do. It asks any endpoint, gives up soon or lets the
// client package try again, sends a batch twice at the same time, repeats one that was
// answered, and comes back to an unknown one at once or much later.
//
// Whether what came of it is right is not known here: see package judge.
package drive
