// Package failpoint lets tests break a real process from outside: end it at a named place, or
// make its disk slow, hanging or failing.
//
// It is there only in builds with -tags failpoints. In any other, Enabled is false, every
// function is empty, and the file system is the one that was given.
//
// In such a build the environment variable FAILPOINTS has the rules, or names a file
// that has them (@FILE), which is looked at again every few milliseconds. A rule is
//
//	PLACE=ACTION[:PROBABILITY]
//
// and several have commas between. The actions are
//
//	kill                 the process ends at once, as by kill -9
//	error                the place fails, where it can
//	hang                 the place is not left until the rule is gone
//	sleep LEAST-MOST     it takes so long, at random between the two
//
// The places are log.sync and disk.sync, which are any sync of the log and of the data
// directory, and coordinator.WHEN-STEP, where WHEN is before, amid or after, and STEP one of
// prepare, decide, reject, resolve and done (see internal/coordinator/driver.go).
package failpoint
