package anybatch

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// Message is the pointer to a generated message struct. Callers of Register name
// only the struct; the compiler finds the pointer.
type Message[T any] interface {
	*T
	proto.Message
}

// Builder collects the types of a registry. The zero Builder is ready to use; it
// must not be copied.
type Builder struct {
	kinds []kind
	built bool
	errs  []error
}

// kind is a registered type.
type kind struct {
	name    string // full name of the message
	url     string // its usual URL
	newSlab func() typeSlab
	aliases bool
}

// Option changes how a type is decoded.
type Option func(*options)

type options struct{ alias bool }

// AliasInput decodes with UnmarshalVTUnsafe (vtprotobuf's feature
// unmarshal_unsafe): strings and bytes values are not copied but point into the
// input. The caller must then leave the input as it is until Reset, and must
// neither keep a string of a message beyond Reset nor append to a bytes value of
// it, which would write into the input. What a Stream reads is the batch's own and
// needs no such care before Reset. Build fails for a type without that method.
func AliasInput(o *options) { o.alias = true }

// Register adds a message type and returns its handle. Messages are found by the
// full name that their own descriptor has. What is wrong (a type registered twice,
// one registered after Build) is reported by Build.
func Register[T any, P Message[T]](b *Builder, opts ...Option) Type[T] {
	var o options
	for _, set := range opts {
		set(&o)
	}
	descriptor := P(new(T)).ProtoReflect().Descriptor()
	name := string(descriptor.FullName())
	how, err := methodsOf[T, P](o, descriptor)
	if err != nil {
		b.errs = append(b.errs, err)
	}
	if b.built {
		b.errs = append(b.errs, fmt.Errorf("anybatch: %s is registered after Build", name))
	}
	for _, k := range b.kinds {
		if k.name == name {
			b.errs = append(b.errs, fmt.Errorf("anybatch: %s is registered twice", name))
		}
	}
	b.kinds = append(b.kinds, kind{name: name, url: usualHost + name, newSlab: func() typeSlab { return &slab[T]{how: how} }, aliases: o.alias})
	return Type[T]{id: TypeID(len(b.kinds) - 1), owner: b}
}

// Registry is a closed list of types. It is immutable and safe for concurrent use.
type Registry struct {
	owner   *Builder // tells handles of other registries
	kinds   []kind
	byName  map[string]TypeID
	aliases bool // some type points into its input
	// usual finds a type by the length of its usual URL, which saves a search for
	// the slash and a hash; of types with one length the last is there. -1 is none.
	usual [256]TypeID
}

// usualHost is what encoders write before the name.
const usualHost = "type.googleapis.com/"

// Build returns the registry of what was registered. A Builder builds once.
func (b *Builder) Build() (*Registry, error) {
	if b.built {
		b.errs = append(b.errs, errors.New("anybatch: Build was called before"))
	}
	b.built = true
	if err := errors.Join(b.errs...); err != nil {
		return nil, err
	}
	r := &Registry{owner: b, kinds: b.kinds, byName: make(map[string]TypeID, len(b.kinds))}
	for i := range r.usual {
		r.usual[i] = -1
	}
	for i, k := range b.kinds {
		r.usual[len(k.url)%len(r.usual)] = TypeID(i)
		r.byName[k.name] = TypeID(i)
		r.aliases = r.aliases || k.aliases
	}
	return r, nil
}

// Find returns the type that a URL names, by what stands after its last slash.
// A URL without a slash is a name, as package anypb has it.
func (r *Registry) Find(typeURL string) (TypeID, bool) { return find(r, typeURL) }

// find takes a URL as it comes; the compiler makes no string of bytes to look it up.
func find[S string | []byte](r *Registry, typeURL S) (TypeID, bool) {
	if id := r.usual[len(typeURL)%len(r.usual)]; id >= 0 && r.kinds[id].url == string(typeURL) {
		return id, true
	}
	name := typeURL
	for i := len(typeURL) - 1; i >= 0; i-- {
		if typeURL[i] == '/' {
			name = typeURL[i+1:]
			break
		}
	}
	id, ok := r.byName[string(name)]
	return id, ok
}

// Name is the full name of a registered type's messages. It panics for a number
// that no type has.
func (r *Registry) Name(id TypeID) string { return r.kinds[id].name }
