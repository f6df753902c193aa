// Package crashtest pulls the plug on whole nodes and then asks whether the
// promises still hold. It has tests only.
//
// Three kinds of node are tortured: a real process of the built binary, which is
// killed or loses its disk; a node in this process on a file system in memory,
// which loses its power; and a node that starts on files somebody damaged.
//
// All of them carry the same workload and answer to the same verdict. Writers
// send batches over shared groups of keys, every key of a batch stamped with the
// batch's request ID, so that a half batch, a lost one, one applied twice and
// one that nobody wrote can each be seen from outside:
//
//   - history_test.go is what the callers know: which batches were acknowledged,
//     and with which version, and of which the outcome is unknown;
//   - traffic_test.go is the writers;
//   - verdict_test.go holds what a node shows against what the callers know.
//
// Of clusters, cluster_test.go has the processes, link_test.go the ways between them,
// callers_test.go who writes and readers_test.go who reads, conditions_test.go what batches
// depend on, parts_test.go those at SEQUENTIAL, faults_test.go what is done to them,
// health_test.go when all is well again, and chaos_test.go puts them together. Their program is
// built with -tags failpoints, see internal/failpoint.
//
// A moment is random, but never an outcome: each test has a seed, which it logs.
package crashtest
