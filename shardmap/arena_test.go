package shardmap

import "testing"

// TestAddressesStayInTheirChunk fills the first chunk, opened at its largest size, with
// the smallest records: the last must not get an address of the next chunk.
func TestAddressesStayInTheirChunk(t *testing.T) {
	memory := &allocator{}
	defer memory.close()
	a := arena{memory: memory, current: -1, live: 1 << 30}
	seen := make(map[uint32]bool)
	for range maxChunkBytes/recordAlign + 1000 {
		address := a.add([]byte("k"), nil, nil)
		if address == 0 || seen[address] || int(address>>offsetBits) != a.current {
			t.Fatalf("record %d has the address %#x, in chunk %d", len(seen), address, a.current)
		}
		seen[address] = true
	}
	if len(a.chunks) != 2 {
		t.Errorf("%d chunks", len(a.chunks))
	}
}
