package wire

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"

	"github.com/sheafdb/sheaf"
)

// Fingerprint tells two batches under one request ID apart. It covers the
// entries and the level, but no condition (neither if_version nor the ETags):
// a caller may retry the same batch with a fresher condition.
type Fingerprint [16]byte

// FingerprintOf is the XXH3-128 of the entries' encoding without their
// if_version fields, seeded with the level.
func FingerprintOf(entries Entries, level sheaf.Consistency) Fingerprint {
	if !entries.conditional {
		return xxh3.Hash128Seed(entries.raw, uint64(level)).Bytes()
	}
	hasher := xxh3.NewSeed(uint64(level))
	var buf []byte
	for _, entry := range entries.All() {
		buf = append(buf[:0], tagEntries)
		buf = binary.AppendUvarint(buf, uint64(unconditionalSize(&entry)))
		buf = appendUnconditional(buf, &entry)
		_, _ = hasher.Write(buf) // a hash.Hash never returns an error
	}
	return hasher.Sum128().Bytes()
}

// bundleSeed keeps the fingerprints of bundles apart from those of batches.
const bundleSeed = 1 << 8

// BundleFingerprint tells two bundles under one request ID apart. It covers conditions too,
// because what became of each entry is remembered as a whole: under one ID a bundle is
// always the same bytes.
func BundleFingerprint(entries Entries, level sheaf.Consistency) Fingerprint {
	return xxh3.Hash128Seed(entries.raw, bundleSeed|uint64(level)).Bytes()
}

// ConditionHash names the conditions of a batch: the ETag conditions and every
// if_version. It is 0 for a batch that has none.
func ConditionHash(entries Entries, ifMatch, ifNoneMatch Match) uint64 {
	if !ifMatch.Set && !ifNoneMatch.Set && !entries.conditional {
		return 0
	}
	var buf []byte
	for _, match := range []Match{ifMatch, ifNoneMatch} {
		if !match.Set {
			buf = append(buf, 0)
			continue
		}
		buf = appendMatch(append(buf, 1), match)
	}
	if entries.conditional {
		for i, entry := range entries.All() {
			if entry.HasIfVersion {
				buf = binary.AppendUvarint(buf, uint64(i))
				buf = binary.AppendUvarint(buf, entry.IfVersion)
			}
		}
	}
	return max(xxh3.Hash(buf), 1)
}
