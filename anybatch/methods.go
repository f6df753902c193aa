package anybatch

import (
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// methods is how messages of one type are decoded and cleared. They are chosen
// once, at registration, as plain functions: no message pays for an assertion.
type methods[T any] struct {
	// decode merges an encoded message into a cleared one.
	decode func(*T, []byte) error
	// clear makes a message as good as new and keeps its capacity; nil when there
	// is none to keep. The slab then zeroes it: a zero message is a new one.
	clear   func(*T)
	message func(*T) proto.Message
}

func methodsOf[T any, P Message[T]](o options, descriptor protoreflect.MessageDescriptor) (methods[T], error) {
	m := methods[T]{
		decode: func(to *T, value []byte) error {
			return proto.UnmarshalOptions{Merge: true}.Unmarshal(value, P(to))
		},
		message: func(of *T) proto.Message { return P(of) },
	}
	// The names must be constants in the calls of MethodByName: with any other
	// argument the linker keeps every method of the whole program.
	pointer := reflect.TypeFor[P]()
	if method, ok := pointer.MethodByName("UnmarshalVT"); ok {
		if decode, ok := method.Func.Interface().(func(*T, []byte) error); ok {
			m.decode = decode
		}
	}
	if o.alias {
		method, ok := pointer.MethodByName("UnmarshalVTUnsafe")
		if !ok {
			return m, fmt.Errorf("anybatch: %s has no UnmarshalVTUnsafe, which AliasInput needs", descriptor.FullName())
		}
		decode, ok := method.Func.Interface().(func(*T, []byte) error)
		if !ok {
			return m, fmt.Errorf("anybatch: %s has an UnmarshalVTUnsafe of another form", descriptor.FullName())
		}
		m.decode = decode
	}
	if method, ok := pointer.MethodByName("ResetVT"); ok && hasCapacity(descriptor) && keepsCapacity(descriptor, o.alias, nil) {
		if reset, ok := method.Func.Interface().(func(*T)); ok {
			m.clear = reset
		}
	}
	return m, nil
}

// hasCapacity says whether ResetVT has anything to keep.
func hasCapacity(message protoreflect.MessageDescriptor) bool {
	for i := range message.Fields().Len() {
		if field := message.Fields().Get(i); field.IsList() || field.Kind() == protoreflect.BytesKind {
			return true
		}
	}
	return false
}

// keepsCapacity says whether ResetVT may clear a message. It cuts a bytes value to
// length 0 instead of dropping it, which goes wrong in two cases: where the field
// has presence it would be present in the next message, and where it points into
// the input it would hold on to that, and the next append would write there.
func keepsCapacity(message protoreflect.MessageDescriptor, alias bool, seen map[protoreflect.FullName]bool) bool {
	if seen[message.FullName()] {
		return true
	}
	if seen == nil {
		seen = make(map[protoreflect.FullName]bool)
	}
	seen[message.FullName()] = true
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		switch {
		case field.Kind() == protoreflect.BytesKind && (alias || field.HasPresence()):
			return false
		case field.Message() != nil && !keepsCapacity(field.Message(), alias, seen):
			return false
		}
	}
	return true
}
