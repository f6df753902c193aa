// Package judge holds a history against what Sheaf promises.
//
// Its main witness is the versions that a server answered: with them, each rule is a look at
// a sorted list. Because a server that is wrong may be wrong about versions too, two other
// judges do not look at them: a search for one order of all operations on a few keys that
// agrees with what clients saw and when (porcupine), and, for lists, a search for cycles among
// the operations, whose order the lists themselves tell.
//
// What a version says: it is larger than every earlier one of the same keys, and than the
// `after` of its batch. It says nothing about keys that no batch has joined, and two batches
// may have the same one. So versions are compared key by key, and keys are only joined by the
// batches that wrote them.
//
// A verdict is that the promises hold, are violated, or that it could not be found out. The
// last is never a pass.
package judge
