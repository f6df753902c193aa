package client_test

import (
	"context"
	"fmt"
	"log"
	"strconv"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

func Example() {
	ctx := context.Background()
	c, err := client.New("localhost:7450")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	result, err := c.PutAll(ctx, []sheaf.Entry{
		sheaf.Put("user/7/name", "Ada"),
		sheaf.Put("user/7/mail", "ada@example.org"),
		sheaf.Delete("invitation/7"),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("all three are written at version", result.Version)

	for item, err := range c.Scan(ctx, client.ScanOptions{Prefix: []byte("user/7/")}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s = %s\n", item.Key, item.Value)
	}
}

// A transfer reads two balances and writes both, or neither if one of them has
// changed in between.
func ExampleClient_OnConflict() {
	ctx := context.Background()
	c, err := client.New("localhost:7450")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	accounts := [][]byte{[]byte("account/a"), []byte("account/b")}
	_, err = c.OnConflict(ctx, accounts, func(read client.Values) ([]sheaf.Entry, error) {
		from, _ := strconv.Atoi(string(read.Items[0].Value))
		to, _ := strconv.Atoi(string(read.Items[1].Value))
		if from < 10 {
			return nil, fmt.Errorf("account/a holds %d, which is less than 10", from)
		}
		return []sheaf.Entry{
			sheaf.Put("account/a", strconv.Itoa(from-10)),
			sheaf.Put("account/b", strconv.Itoa(to+10)),
		}, nil
	})
	if err != nil {
		log.Fatal(err)
	}
}

// A write whose outcome is unknown is repeated under its own request ID: it is
// applied once, and the answer says what happened.
func ExampleWithRequestID() {
	ctx := context.Background()
	c, err := client.New("localhost:7450")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	batch := []sheaf.Entry{sheaf.Put("order/1", "paid")}
	result, err := c.PutAll(ctx, batch)
	if sheaf.CodeOf(err) == sheaf.OutcomeUnknown {
		result, err = c.PutAll(ctx, batch, client.WithRequestID(result.RequestID))
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("version", result.Version, "replayed", result.Replayed)
}
