package client_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/sheafdb/sheaf/client"
)

// A read that another node is asked too, when the first has not answered after 20 ms.
func ExampleHedge() {
	ctx := context.Background()
	c, err := client.New("node-1:7450,node-2:7450,node-3:7450")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	keys := [][]byte{[]byte("user/7/name"), []byte("user/7/mail")}
	values, err := c.GetAll(ctx, keys, client.Hedge(20*time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(values.Items), "keys")
}
