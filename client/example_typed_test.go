package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sheafdb/sheaf/client"
)

// Account is stored as JSON.
type Account struct {
	Owner   string `json:"owner"`
	Balance int    `json:"balance"`
}

// Two accounts in one batch, and a deposit that nobody else's write can undo.
func ExampleTypedJSON() {
	ctx := context.Background()
	c, err := client.New("localhost:7450")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	accounts := client.TypedJSON[Account](c, "accounts/")
	_, err = accounts.PutAll(ctx, map[string]Account{
		"7": {Owner: "Ada", Balance: 10},
		"8": {Owner: "Alan", Balance: 20},
	})
	if err != nil {
		log.Fatal(err)
	}

	_, err = accounts.Update(ctx, "7", func(a Account, found bool) (Account, error) {
		if !found {
			return a, errors.New("there is no such account")
		}
		a.Balance += 5
		return a, nil
	})
	if err != nil {
		log.Fatal(err)
	}
}

// Messages of one type, whose name is stored with them.
func ExampleTypedProto() {
	ctx := context.Background()
	c, err := client.New("localhost:7450")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	timeouts := client.TypedProto[durationpb.Duration](c, "timeouts/")
	if _, err := timeouts.Put(ctx, "login", durationpb.New(time.Minute)); err != nil {
		log.Fatal(err)
	}
	timeout, err := timeouts.Get(ctx, "login")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(timeout.AsDuration())
}
