package sim

// Mutant is a way to break the driver of a replica. Each must be found out by the checks.
type Mutant int

// The mutants.
const (
	None Mutant = iota
	// ReplyBeforeSync sends votes and acknowledgements when a write begins.
	ReplyBeforeSync
	// SkipSync takes one write in ten for durable without a sync: a crash loses it.
	SkipSync
	// ReadAtOnce serves a read without asking a quorum.
	ReadAtOnce
	// AnswerBeforeCommit acknowledges a batch when it is in the leader's own log.
	AnswerBeforeCommit
	// ForgetRows drops the request IDs from snapshots.
	ForgetRows
	// ApplyTwice applies the last entries again after a restart.
	ApplyTwice
	// ApplyWithClock stamps the replica's own clock into what it applies.
	ApplyWithClock
	// CutAhead cuts the log up to what is applied, durable or not.
	CutAhead
	// LoseVote does not write the hard state when it comes without entries.
	LoseVote
	// StatusByWallClock judges an attempt by the leader's clock, which no log has.
	StatusByWallClock
	// ForgetConf keeps no changes of replicas with the state.
	ForgetConf
	// LoggedBeforeSync counts an entry as logged when its write begins: what is committed
	// may be beyond the durable log.
	LoggedBeforeSync

	// The others are of the levels below LINEARIZABLE.

	// LoseRound proposes what is accepted at EVENTUAL once, whatever comes of it.
	LoseRound
	// ReadOther serves a SEQUENTIAL read of a replica, whatever version it has come to.
	ReadOther
	// ForgetPart answers a SEQUENTIAL batch when the first of its parts is applied.
	ForgetPart
	mutants

	firstOfLevels = LoseRound
)

var mutantNames = [mutants]string{
	"none", "reply-before-sync", "skip-sync", "read-at-once", "answer-before-commit",
	"forget-rows", "apply-twice", "apply-with-clock", "cut-ahead", "lose-vote", "status-by-wall-clock", "forget-conf",
	"logged-before-sync", "lose-round", "read-other", "forget-part",
}

// String is the name of its test.
func (m Mutant) String() string { return mutantNames[m] }
