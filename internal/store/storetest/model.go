package storetest

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/sheafdb/sheaf/internal/store"
)

// testModel does random things to a store and to three maps.
func testModel(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		fs := vfs.NewMem()
		s := mustOpen(t, open, fs)
		defer func() { mustClose(rt, s) }()
		m, flushed := newModel(), newModel()
		keys := rapid.SampledFrom([]string{"\x00", "a", "a\x00", "a\xff", "b", "bb", "c", "\xff", "\xff\xff"})
		values := rapid.SliceOfN(rapid.Byte(), 0, 20)
		copyModel := func(from *model) *model {
			to := newModel()
			to.meta = from.meta
			for space, keys := range from.spaces {
				for key, value := range keys {
					to.spaces[space][key] = value
				}
			}
			return to
		}
		rt.Repeat(map[string]func(*rapid.T){
			"apply": func(rt *rapid.T) {
				mutations := &store.Mutations{Meta: metaAt(m.meta.Index + rapid.Uint64Range(1, 5).Draw(rt, "gap"))}
				for _, space := range spaces {
					for _, key := range rapid.SliceOfDistinct(keys, rapid.ID[string]).Draw(rt, "keys") {
						switch {
						case rapid.IntRange(0, 3).Draw(rt, "kind") == 0:
							mutations.Delete(space, []byte(key))
						case space == store.Due:
							mutations.Set(space, []byte(key), nil, nil)
						default:
							mutations.Set(space, []byte(key), values.Draw(rt, "head"), values.Draw(rt, "value"))
						}
					}
				}
				mustApply(rt, s, mutations)
				m.apply(mutations)
			},
			"flush": func(rt *rapid.T) {
				mustFlush(rt, s, m.meta.Index)
				flushed = copyModel(m)
			},
			"reopen": func(rt *rapid.T) {
				mustClose(rt, s)
				s = mustOpen(t, open, fs)
				// A store may flush by itself, but these few bytes give it no reason to.
				m = copyModel(flushed)
			},
			"": func(rt *rapid.T) { checkState(rt, s, m.state()) },
		})
	})
}
