package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// Many batches are on their way at once. What became of them all, Close says; of one of them, the
// Pending that Put returns.
func ExampleClient_PutStream() {
	ctx := context.Background()
	c, err := client.New("localhost:7450")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	s, err := c.PutStream(ctx, client.At(sheaf.Sequential))
	if err != nil {
		log.Fatal(err)
	}
	for day := range 365 {
		var entries []sheaf.Entry
		for hour := range 24 {
			entries = append(entries, sheaf.Put(fmt.Sprintf("weather/%d/%d", day, hour), "rain"))
		}
		if _, err = s.Put(ctx, entries); err != nil { // waits while the window is full
			break
		}
	}
	if err := errors.Join(err, s.Close()); err != nil {
		log.Fatal(err)
	}
}
