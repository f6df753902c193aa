package shardmap

import "golang.org/x/sys/unix"

func adviseHuge(data []byte) error { return unix.Madvise(data, unix.MADV_HUGEPAGE) }
