package sheaf

// The codes, in the order of the table in docs/errors.md.
const (
	RequestIDRequired    Code = "REQUEST_ID_REQUIRED"
	InvalidBatch         Code = "INVALID_BATCH"
	BatchTooLarge        Code = "BATCH_TOO_LARGE"
	ETagRequired         Code = "ETAG_REQUIRED"
	ETagMismatch         Code = "ETAG_MISMATCH"
	VersionMismatch      Code = "VERSION_MISMATCH"
	RequestIDReused      Code = "REQUEST_ID_REUSED"
	RequestIDExpired     Code = "REQUEST_ID_EXPIRED"
	RateLimited          Code = "RATE_LIMITED"
	NoSpace              Code = "NO_SPACE"
	NotLeader            Code = "NOT_LEADER"
	Draining             Code = "DRAINING"
	OutcomeUnknown       Code = "OUTCOME_UNKNOWN"
	Contention           Code = "CONTENTION"
	StaleReplica         Code = "STALE_REPLICA"
	Compacted            Code = "COMPACTED"
	NotFound             Code = "NOT_FOUND"
	MethodNotAllowed     Code = "METHOD_NOT_ALLOWED"
	UnsupportedMediaType Code = "UNSUPPORTED_MEDIA_TYPE"
	NotProposed          Code = "NOT_PROPOSED"
	Internal             Code = "INTERNAL"
	Unauthenticated      Code = "UNAUTHENTICATED"
	PermissionDenied     Code = "PERMISSION_DENIED"
	Corruption           Code = "CORRUPTION"
)

// Outcome is which of four things is true of the batch of a failed call.
type Outcome string

// The four outcomes. A successful answer with replayed=true is AppliedBefore.
const (
	// NotApplied: the batch is not applied, and this request ID with the same
	// conditions never will be.
	NotApplied Outcome = "not applied"
	// AppliedBefore: an earlier attempt applied it; this answer repeats the first.
	AppliedBefore Outcome = "applied before"
	// CallDidNothing: this call changed nothing; an earlier attempt with the
	// same request ID may have.
	CallDidNothing Outcome = "this call did nothing"
	// Unknown: the batch may be applied, or may yet be. Only a retry with the
	// same request ID tells.
	Unknown Outcome = "unknown"
)

// Retry is what a caller may do next, in a word that a program can test.
type Retry string

// The advice of the table's last column.
const (
	// RetryNever: the same call cannot succeed; correct it.
	RetryNever Retry = "no"
	// RetryReread: read again, merge, and write with a new request ID.
	RetryReread Retry = "reread"
	// RetrySameID: send the identical call again, with the same request ID.
	RetrySameID Retry = "same-id"
	// RetryElsewhere: send it again, here later or to another node at once.
	RetryElsewhere Retry = "elsewhere"
	// RetryAfterSpace: send it again when the disk has room.
	RetryAfterSpace Retry = "after-space"
)

// GRPCCode is a gRPC status code, by its number; it stands here so that this
// package needs no gRPC.
type GRPCCode uint32

// The gRPC codes that the table uses.
const (
	GRPCCancelled          GRPCCode = 1
	GRPCInvalidArgument    GRPCCode = 3
	GRPCDeadlineExceeded   GRPCCode = 4
	GRPCNotFound           GRPCCode = 5
	GRPCPermissionDenied   GRPCCode = 7
	GRPCResourceExhausted  GRPCCode = 8
	GRPCFailedPrecondition GRPCCode = 9
	GRPCAborted            GRPCCode = 10
	GRPCOutOfRange         GRPCCode = 11
	GRPCUnimplemented      GRPCCode = 12
	GRPCInternal           GRPCCode = 13
	GRPCUnavailable        GRPCCode = 14
	GRPCDataLoss           GRPCCode = 15
	GRPCUnauthenticated    GRPCCode = 16
)

// Row is one row of the error table: all that is said about a code, once.
type Row struct {
	Code    Code
	GRPC    GRPCCode
	HTTP    int
	Outcome Outcome
	Retry   Retry
	// FollowsCaller: when the cause is the caller's own deadline or
	// cancellation, the status is DEADLINE_EXCEEDED or CANCELLED (HTTP 504).
	FollowsCaller bool
	// Title is the one-line summary, constant per code (RFC 9457's "title").
	Title string
	// Next tells the caller what to do.
	Next string
}

// Table is the error table. docs/errors.md and `sheaf errors` are printed from
// it, and both faces of the API take their status codes from it.
var Table = []Row{
	{
		RequestIDRequired, GRPCInvalidArgument, 400, NotApplied, RetryNever, false,
		"the request has no request ID",
		"Send an Idempotency-Key (or X-Request-ID) header, or the field request_id, with a fresh ID per batch; repeat it on retries.",
	},
	{
		InvalidBatch, GRPCInvalidArgument, 400, NotApplied, RetryNever, false,
		"the request is malformed",
		"Correct the field that is named; the same bytes will always be refused.",
	},
	{
		BatchTooLarge, GRPCInvalidArgument, 413, NotApplied, RetryNever, false,
		"the request or its answer is larger than a limit",
		"Split it into smaller batches, each with its own request ID, or raise the limit that is named.",
	},
	{
		ETagRequired, GRPCInvalidArgument, 428, NotApplied, RetryNever, false,
		"this node requires an ETag on writes",
		"Read the keys, and send their ETag as If-Match (or If-None-Match: * for new keys).",
	},
	{
		ETagMismatch, GRPCFailedPrecondition, 412, NotApplied, RetryReread, false,
		"the keys have changed since the ETag was read",
		"Read the keys again, merge, and write with the new ETag and a new request ID.",
	},
	{
		VersionMismatch, GRPCFailedPrecondition, 412, NotApplied, RetryReread, false,
		"a key does not have the version that if_version asks for",
		"Read the keys that are named, merge, and write with their versions and a new request ID.",
	},
	{
		RequestIDReused, GRPCInvalidArgument, 422, CallDidNothing, RetryNever, false,
		"this request ID was used for a different batch",
		"Use a fresh request ID for each batch; a retry must repeat its batch byte for byte.",
	},
	{
		RequestIDExpired, GRPCFailedPrecondition, 409, Unknown, RetryNever, false,
		"the request ID is older than the node remembers",
		"Read the keys to see whether the batch was applied; if it was not, write it with a new request ID.",
	},
	{
		RateLimited, GRPCResourceExhausted, 429, CallDidNothing, RetrySameID, false,
		"the node is at its limit",
		"Wait as long as the answer says, then send the same call with the same request ID.",
	},
	{
		NoSpace, GRPCResourceExhausted, 507, CallDidNothing, RetryAfterSpace, false,
		"the node's disk is full",
		"Free space on the data directory's disk or add some; writes resume by themselves. Reads go on.",
	},
	{
		NotLeader, GRPCUnavailable, 503, CallDidNothing, RetrySameID, false,
		"no leader can take the write at the moment",
		"Send the same call with the same request ID again, to the node that is named if there is one.",
	},
	{
		Draining, GRPCUnavailable, 503, CallDidNothing, RetrySameID, false,
		"the node is starting up or shutting down",
		"Send the same call with the same request ID again, to another node if there is one.",
	},
	{
		OutcomeUnknown, GRPCUnavailable, 503, Unknown, RetrySameID, true,
		"the answer was lost: the batch may be applied or not",
		"Send the same call with the same request ID again: it is applied once, and the answer says what happened.",
	},
	{
		Contention, GRPCAborted, 409, CallDidNothing, RetrySameID, false,
		"other batches held the keys until the deadline",
		"Wait as long as the answer says, then send the same call with the same request ID.",
	},
	{
		StaleReplica, GRPCUnavailable, 503, CallDidNothing, RetryElsewhere, false,
		"this replica has not yet seen the version asked for",
		"Send the read again in a moment, or to another node.",
	},
	{
		Compacted, GRPCOutOfRange, 410, CallDidNothing, RetryReread, false,
		"the watch token is older than the history kept",
		"Read the keys again and watch from the token that the answer gives.",
	},
	{
		NotFound, GRPCNotFound, 404, CallDidNothing, RetryNever, false,
		"there is no such key or path",
		"Check the key or the path; a key that has expired is not found either.",
	},
	{
		MethodNotAllowed, GRPCUnimplemented, 405, CallDidNothing, RetryNever, false,
		"the path does not take this method",
		"Use one of the methods in the Allow header; on gRPC, check the address, and that the node's version has this call.",
	},
	{
		UnsupportedMediaType, GRPCInvalidArgument, 415, NotApplied, RetryNever, false,
		"the body's media type is not one this path takes",
		"Send JSON with Content-Type: application/json.",
	},
	{
		NotProposed, GRPCDeadlineExceeded, 504, CallDidNothing, RetrySameID, true,
		"the caller's deadline passed before the batch was begun",
		"Send the same call with the same request ID again, with more time.",
	},
	{
		Internal, GRPCInternal, 500, Unknown, RetryNever, false,
		"a defect of Sheaf",
		"Please report it, with the node's log. The same request ID is safe to send again.",
	},
	{
		Unauthenticated, GRPCUnauthenticated, 401, CallDidNothing, RetryNever, false,
		"the caller is not known",
		"Send valid credentials.",
	},
	{
		PermissionDenied, GRPCPermissionDenied, 403, CallDidNothing, RetryNever, false,
		"the caller may not do this to every key of the request",
		"Ask for access to the keys, or leave them out.",
	},
	{
		Corruption, GRPCDataLoss, 500, Unknown, RetryNever, false,
		"stored data is damaged",
		"Stop and page an operator: the detail names the file. Do not write until it is restored from a backup.",
	},
}

// Row returns the code's row of the table, and false for a code it does not know.
func (c Code) Row() (Row, bool) {
	for _, row := range Table {
		if row.Code == c {
			return row, true
		}
	}
	for _, row := range Table {
		if row.Code == Internal {
			return row, false
		}
	}
	panic("sheaf: the error table has no row INTERNAL")
}

// String is the code's name as gRPC writes it.
func (c GRPCCode) String() string {
	names := map[GRPCCode]string{
		GRPCCancelled: "CANCELLED", GRPCInvalidArgument: "INVALID_ARGUMENT",
		GRPCDeadlineExceeded: "DEADLINE_EXCEEDED", GRPCNotFound: "NOT_FOUND",
		GRPCPermissionDenied: "PERMISSION_DENIED", GRPCResourceExhausted: "RESOURCE_EXHAUSTED",
		GRPCFailedPrecondition: "FAILED_PRECONDITION", GRPCAborted: "ABORTED",
		GRPCOutOfRange: "OUT_OF_RANGE", GRPCUnimplemented: "UNIMPLEMENTED",
		GRPCInternal: "INTERNAL", GRPCUnavailable: "UNAVAILABLE",
		GRPCDataLoss: "DATA_LOSS", GRPCUnauthenticated: "UNAUTHENTICATED",
	}
	return names[c]
}
