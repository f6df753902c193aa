// Package cluster joins the nodes: it carries the messages of groups between their replicas,
// takes a command to whoever leads its group, sends states to replicas far behind, and forms
// a new cluster. What a message or a command means is the business of replica and group;
// how bytes travel, that of peer.
//
// The path of a write on a node that does not lead:
//
//	coordinator ─► Group.Propose ─► peer call ─► leader: Bridge.Call ─► group.Propose
//
// A command with a request ID is tried again, under the same ID, until the caller's time is
// over: a group applies it once. One without is tried again only when nothing was done.
//
// Reads need not travel: a replica asks the leader how far it must be, and reads its own
// state when it is there.
package cluster
