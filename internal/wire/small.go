package wire

import "encoding/binary"

// appendSmall appends what a command without entries has; all such kinds share one form.
func (c *Command) appendSmall(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.RequestID)))
	dst = append(dst, c.RequestID...)
	dst = append(dst, c.Fingerprint[:]...)
	dst = binary.AppendUvarint(dst, c.DeadlineMS)
	dst = binary.AppendUvarint(dst, c.Attempt)
	dst = appendBytes(dst, c.HomeKey)
	dst = binary.BigEndian.AppendUint64(dst, c.Condition)
	dst = binary.AppendUvarint(dst, c.Version)
	commit := byte(0)
	if c.Commit {
		commit = 1
	}
	dst = append(dst, commit)
	dst = binary.AppendUvarint(dst, uint64(len(c.Keys)))
	for _, key := range c.Keys {
		dst = appendBytes(dst, key)
	}
	return dst
}

func (c *Command) readSmall(r *reader) {
	c.RequestID = string(r.bytes(r.length()))
	copy(c.Fingerprint[:], r.bytes(len(c.Fingerprint)))
	c.DeadlineMS = r.uvarint()
	c.Attempt = r.uvarint()
	c.HomeKey = r.bytes(r.length())
	c.Condition = r.uint64()
	c.Version = r.uvarint()
	commit := r.byte()
	c.Commit = commit == 1
	r.failed = r.failed || commit > 1
	for range r.length() { // a key has at least the byte of its length
		if c.Keys = append(c.Keys, r.bytes(r.length())); r.failed {
			return
		}
	}
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}
