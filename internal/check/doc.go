// Package check is the engine of cmd/sheafcheck: it drives any Sheaf server or cluster through
// the public client, records a history, and judges it.
//
// Its parts are history (what is written down), drive (who calls), judge (what is wrong) and
// cli (the commands). The rule that keeps it honest: of Sheaf it knows the packages sheaf and
// client, as any caller does, and nothing of how a server works.
//
// It is for tests, so it stands beside the floors, and no room of a server imports it.
package check
