// Package sim runs a cluster in one goroutine: the replicas' cores and the state machine
// that serve, on simulated time, disks and network, all of it decided by one seed. What
// takes a real cluster a day of bad luck happens here in a fraction of a second, and
// happens again for the same seed.
//
// A world has replicas, clients, queues of EVENTUAL batches, and a nemesis. Messages are dropped, doubled, delayed and
// so reordered; links are cut, one way or both; replicas crash at any point, with what
// was not synced lost or not; they stop for a while; their clocks jump; their logs are
// cut, so that others need snapshots; offices are handed over; replicas are added and
// removed. Then all faults end, and the world must come to rest.
//
// What is checked, always and at the end:
//   - all replicas apply the same entries at the same indexes, and have the same state
//     after each;
//   - an acknowledged batch is applied once, at the version that was answered, however
//     often it was sent; one that was said not to be written is not; each entry of a bundle is
//     a batch like that;
//   - LINEARIZABLE reads are linearizable and never see a part of a batch (see check.go);
//   - below that a session never goes back, no read has half of a group's part, a scan is as
//     new as its beginning, and what was accepted is written, but for the last window of a
//     crash (see promises.go).
//
// A check that cannot fail proves nothing, so the driver here can be broken on purpose: see
// Mutant.
//
// The disk, the network and the clock are models. Package crashtest kills real
// processes on real files.
package sim
