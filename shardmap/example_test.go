package shardmap_test

import (
	"fmt"

	"github.com/sheafdb/sheaf/shardmap"
)

func Example() {
	prices := shardmap.New[int]()
	prices.PutAll([]shardmap.Entry[int]{
		{Key: "apple", Value: 3},
		{Key: "pear", Value: 4},
	})
	fmt.Println(prices.Get("pear"))
	// Output: 4 true
}

func ExampleBytes() {
	m := shardmap.NewBytes()
	defer m.Close()
	m.PutAll([]shardmap.BytesEntry{
		{Key: []byte("user:1"), Value: []byte("ada")},
		{Key: []byte("user:2"), Prefix: []byte("v1 "), Value: []byte("grace")},
	})
	var values shardmap.Values
	m.GetAll([][]byte{[]byte("user:2"), []byte("user:3")}, &values)
	for i := range values.Len() {
		value, ok := values.At(i)
		fmt.Printf("%q %v\n", value, ok)
	}
	// Output:
	// "v1 grace" true
	// "" false
}

func ExampleBytes_Snapshot() {
	m := shardmap.NewBytes()
	defer m.Close()
	m.Put([]byte("a"), nil, []byte("before"))
	snapshot, _ := m.Snapshot()
	defer snapshot.Close()
	m.Put([]byte("a"), nil, []byte("after"))
	for part := range snapshot.Shards() {
		_ = snapshot.Range(part, func(key, value []byte) error {
			fmt.Printf("%s = %s\n", key, value)
			return nil
		})
	}
	// Output: a = before
}
