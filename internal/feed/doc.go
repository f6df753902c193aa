// Package feed keeps what a node's groups have committed lately, in memory, for those who
// watch. Every group's applier tells its [Lane] what each log entry did; the lanes are merged
// into one run of events, which every [Reader] walks at its own pace.
//
// An event is one committed batch, whole, or the keys that expired with one log entry. Its
// place is that of the log entry which committed it: in the log of its group or, if it wrote
// keys of several groups, of the home group that decided it. A reader's position is therefore
// one place per group ([Token]), and means the same on every node, though each node merges in
// an order of its own. What is the same on all of them:
//
//   - Events whose place is in one group come in the order of its log.
//   - Events that write the same key come in the order of its versions.
//
// The second holds across homes because of two rules of the merge. A batch over several groups
// has in each an entry that prepares its part, then home's that decides, then one that resolves
// each other part; nobody else writes its keys between the first and the last. So home's lane
// waits at the decision until every other lane has passed the batch's preparation, and every
// other lane waits at the resolution until the event is out. A wait is always for what is earlier
// in the logs' real order, so lanes never wait for each other in a circle.
//
// What is not there is never passed over silently. What was dropped for want of room, lies before
// the start of the node, or was jumped over when the state of another replica was taken over,
// raises its group's base; a reader that has not seen all up to the base is told COMPACTED.
//
// The package knows no network and no store.
package feed
