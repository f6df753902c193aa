package client_test

import (
	"context"
	"fmt"
	"log"
	"strconv"

	"github.com/sheafdb/sheaf/client"
)

// A session reads what it wrote, at any node.
func ExampleSession() {
	ctx := context.Background()
	c, err := client.New("node-1:7450,node-2:7450,node-3:7450")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	session := c.Session()
	if _, err := session.Put(ctx, []byte("cart/7"), []byte("3 apples")); err != nil {
		log.Fatal(err)
	}
	item, err := session.Get(ctx, []byte("cart/7")) // at least as new, from any node
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", item.Value)

	token := strconv.FormatUint(session.Seen(), 10)
	fmt.Println("for the next process:", token)
}

// A session that another process began.
func ExampleClient_SessionFrom() {
	ctx := context.Background()
	c, err := client.New("localhost:7450")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	token := "1764" // of a cookie
	seen, err := strconv.ParseUint(token, 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	session := c.SessionFrom(seen)
	item, err := session.Get(ctx, []byte("cart/7"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", item.Value)
}
