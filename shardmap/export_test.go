package shardmap

// SlabBytes is the most that a map takes from the system ahead of its need.
const SlabBytes = slabBytes
