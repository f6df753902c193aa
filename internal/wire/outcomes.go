package wire

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// AppendOutcome appends one outcome of a sheaf.v1.PutBundleResponse: that of an entry that was
// applied at a version, or if status is not nil of one that was refused.
func AppendOutcome(dst []byte, version uint64, etag ETagSum, status []byte) []byte {
	const outcomes, outcomeVersion, outcomeETag, outcomeStatus = 1, 1, 2, 3
	dst = append(dst, outcomes<<3|byte(protowire.BytesType))
	if status != nil {
		dst = binary.AppendUvarint(dst, uint64(1+protowire.SizeBytes(len(status))))
		dst = append(dst, outcomeStatus<<3|byte(protowire.BytesType))
		return protowire.AppendBytes(dst, status)
	}
	dst = append(dst, byte(1+protowire.SizeVarint(version)+2+etagBytes)) // less than 128
	dst = append(dst, outcomeVersion<<3|byte(protowire.VarintType))
	dst = binary.AppendUvarint(dst, version)
	dst = append(dst, outcomeETag<<3|byte(protowire.BytesType), etagBytes)
	return etag.AppendETag(dst)
}

// MaxOutcomeBytes is the most that an outcome without a status has.
const MaxOutcomeBytes = 2 + 1 + binary.MaxVarintLen64 + 2 + etagBytes

// AppendBundleReplayed appends the field that says that the request ID had been answered before.
func AppendBundleReplayed(dst []byte) []byte { return append(dst, 2<<3|byte(protowire.VarintType), 1) }
