package client

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/sheafdb/sheaf/anybatch"
)

// typeURLHost is what stands before a message's name in a type URL.
const typeURLHost = "type.googleapis.com/"

// TypedProto returns values that are protobuf messages of one type:
//
//	users := client.TypedProto[userv1.User](c, "users/")
//	result, err := users.Put(ctx, "7", &userv1.User{Name: "Ada"})
//
// They are stored with their type's URL, type.googleapis.com/ and the full name, so that other
// programs can read them as google.protobuf.Any, and values with another are refused. A nil
// message is not written.
func TypedProto[T any, P anybatch.Message[T]](kv KeyValues, prefix string) *Typed[P] {
	name := string(P(new(T)).ProtoReflect().Descriptor().FullName())
	// Equal messages must be equal bytes, for writes that are repeated by hand.
	encode := proto.MarshalOptions{Deterministic: true}
	return &Typed[P]{kv: kv, prefix: prefix, form: form[P]{
		name: name, typeURL: typeURLHost + name,
		accepts: func(typeURL string) bool {
			return typeURL[strings.LastIndexByte(typeURL, '/')+1:] == name
		},
		size: func(value P) int { return encode.Size(value) },
		append: func(to []byte, value P) ([]byte, error) {
			if value == nil {
				return to, errors.New("the message is nil")
			}
			return encode.MarshalAppend(to, value)
		},
		alloc: func(n int) []P {
			messages, pointers := make([]T, n), make([]P, n)
			for i := range messages {
				pointers[i] = &messages[i]
			}
			return pointers
		},
		decode: func(data []byte, into *P) error { return proto.Unmarshal(data, *into) },
	}}
}

// TypedJSON returns values that are JSON, as package encoding/json has it. They are stored
// without a type's URL, and are what the HTTP API shows as they are.
func TypedJSON[T any](kv KeyValues, prefix string) *Typed[T] {
	return &Typed[T]{kv: kv, prefix: prefix, form: form[T]{
		name:    "JSON " + reflect.TypeFor[T]().String(),
		accepts: func(string) bool { return false },
		size:    func(T) int { return 0 },
		append: func(to []byte, value T) ([]byte, error) {
			data, err := json.Marshal(value)
			return append(to, data...), err
		},
		alloc:  func(n int) []T { return make([]T, n) },
		decode: func(data []byte, into *T) error { return json.Unmarshal(data, into) },
	}}
}
