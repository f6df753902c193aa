package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zeebo/xxh3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// A state travels as the files of a directory, in pieces:
//
//	first     group (uvarint), the message of type MsgSnap without Data
//	'F' name  a file begins
//	'D' data  the next bytes of it
//	'E' sum   the end: XXH3-128 of all pieces before it but the first
//
// The receiver has every file on disk, and the sum compared, before the message reaches the
// group.
const (
	pieceFile = 'F'
	pieceData = 'D'
	pieceEnd  = 'E'

	pieceBytes = 1 << 20
	// stateRate bounds what a state takes of the disk and the network, in bytes a second.
	stateRate = 128 << 20
)

// sendState sends the state that a message names, and tells the group how it went.
func (b *Bridge) sendState(id uint64, m *pb.Message) {
	r := b.replica(id)
	if r == nil {
		return
	}
	began := time.Now()
	s := &stateReader{fs: b.cfg.FS, dir: string(m.GetSnapshot().GetData()), began: began}
	err := s.begin(id, m)
	if err == nil {
		err = b.client.SendState(b.ctx, m.GetTo(), s.next)
	}
	if s.file != nil {
		err = errors.Join(err, s.file.Close())
	}
	log := b.cfg.Logger.With("group", id, "node", m.GetTo(), "index", m.GetSnapshot().GetMetadata().GetIndex(), "bytes", s.sent, "took_ms", time.Since(began).Milliseconds())
	if err != nil {
		log.Warn("state was not sent", "err", err)
	} else {
		log.Info("state sent to a replica that was behind")
	}
	r.group.SnapshotSent(m, err == nil)
}

// stateReader makes the pieces.
type stateReader struct {
	fs    vfs.FS
	dir   string
	first []byte
	names []string
	file  vfs.File
	sum   xxh3.Hasher
	sent  int64
	ended bool
	began time.Time
}

func (s *stateReader) begin(id uint64, m *pb.Message) error {
	bare := proto.CloneOf(m)
	bare.Snapshot.Data = nil
	head, err := proto.Marshal(bare)
	if err != nil {
		return err
	}
	s.first = append(binary.AppendUvarint(nil, id), head...)
	s.names, err = s.fs.List(s.dir)
	return err
}

func (s *stateReader) next() ([]byte, error) {
	switch {
	case s.first != nil:
		first := s.first
		s.first = nil
		return first, nil
	case s.file != nil:
		return s.data()
	case len(s.names) > 0:
		name := s.names[0]
		s.names = s.names[1:]
		if name == "LOCK" {
			return s.next()
		}
		var err error
		if s.file, err = s.fs.Open(s.fs.PathJoin(s.dir, name), vfs.SequentialReadsOption); err != nil {
			return nil, err
		}
		return s.piece(append([]byte{pieceFile}, name...)), nil
	case !s.ended:
		s.ended = true
		sum := s.sum.Sum128().Bytes()
		return append([]byte{pieceEnd}, sum[:]...), nil
	}
	return nil, nil
}

func (s *stateReader) data() ([]byte, error) {
	piece := make([]byte, 1+pieceBytes)
	piece[0] = pieceData
	n, err := io.ReadFull(s.file, piece[1:])
	if n == 0 && err == io.EOF { //nolint:errorlint // as io.ReadFull returns it
		err := s.file.Close()
		if s.file = nil; err != nil {
			return nil, err
		}
		return s.next()
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	s.sent += int64(n)
	// Pieces leave no sooner than the rate allows.
	time.Sleep(time.Until(s.began.Add(time.Duration(float64(s.sent) / stateRate * float64(time.Second)))))
	return s.piece(piece[:1+n]), nil
}

func (s *stateReader) piece(p []byte) []byte {
	_, _ = s.sum.Write(p) // which never fails
	return p
}

// State is part of peer.Handler.
func (b *Bridge) State(ctx context.Context, from uint64, next func() ([]byte, error)) error {
	first, err := next()
	if err != nil {
		return err
	}
	id, n := binary.Uvarint(first)
	if n <= 0 {
		return errFrame
	}
	m := &pb.Message{}
	if err := proto.Unmarshal(first[n:], m); err != nil {
		return err
	}
	r := b.replica(id)
	if r == nil || m.GetFrom() != from || m.GetType() != pb.MsgSnap || m.GetSnapshot() == nil {
		return fmt.Errorf("this node takes no state of group %d from node %d", id, from)
	}
	dir := r.place.ForCopy()
	w := &stateWriter{fs: b.cfg.FS, dir: dir}
	if err := w.receive(ctx, next); err != nil {
		r.place.Discard(nil, dir)
		return fmt.Errorf("receive the state of group %d: %w", id, err)
	}
	m.Snapshot.Data = []byte(dir)
	r.group.Receive([]*pb.Message{m})
	return nil
}

// stateWriter writes the pieces to a directory.
type stateWriter struct {
	fs   vfs.FS
	dir  string
	file vfs.File
	sum  xxh3.Hasher
}

func (w *stateWriter) receive(ctx context.Context, next func() ([]byte, error)) (err error) {
	defer func() {
		if w.file != nil {
			err = errors.Join(err, w.file.Close())
		}
	}()
	if err := w.fs.MkdirAll(w.dir, 0o700); err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		piece, err := next()
		if err != nil || len(piece) == 0 {
			return errors.Join(errFrame, err)
		}
		if piece[0] == pieceEnd {
			return w.end(piece[1:])
		}
		_, _ = w.sum.Write(piece) // which never fails
		if err := w.take(piece); err != nil {
			return err
		}
	}
}

func (w *stateWriter) take(piece []byte) error {
	switch rest := piece[1:]; {
	case piece[0] == pieceFile:
		name := string(rest)
		if name != path.Base(name) || strings.ContainsAny(name, `/\`) || name == "." || name == ".." {
			return fmt.Errorf("%w: file name %q", errFrame, name)
		}
		if err := w.closeFile(); err != nil {
			return err
		}
		file, err := w.fs.Create(w.fs.PathJoin(w.dir, name), vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		w.file = vfs.NewSyncingFile(file, vfs.SyncingFileOptions{BytesPerSync: pieceBytes})
		return nil
	case piece[0] == pieceData && w.file != nil:
		_, err := w.file.Write(rest)
		return err
	}
	return errFrame
}

// end has everything on disk before it says that the state is whole.
func (w *stateWriter) end(sum []byte) error {
	if err := w.closeFile(); err != nil {
		return err
	}
	if own := w.sum.Sum128().Bytes(); string(own[:]) != string(sum) {
		return errors.New("its sum is another: it was changed on the way")
	}
	return errors.Join(syncDir(w.fs, w.dir), syncDir(w.fs, w.fs.PathDir(w.dir)))
}

func (w *stateWriter) closeFile() error {
	if w.file == nil {
		return nil
	}
	err := errors.Join(w.file.Sync(), w.file.Close())
	w.file = nil
	return err
}

func syncDir(fs vfs.FS, dir string) error {
	f, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
