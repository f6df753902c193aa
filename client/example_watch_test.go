package client_test

import (
	"context"
	"fmt"
	"log"

	"github.com/sheafdb/sheaf/client"
)

// A service that remembers in a file how far it is.
func ExampleClient_Watch() {
	ctx := context.Background()
	c, err := client.New("node-1:7450,node-2:7450,node-3:7450")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	handle := func(client.Event) error { return nil }
	load := func() string { return "" }
	save := func(token string) {}

	for event, err := range c.Watch(ctx, client.WatchOptions{Prefix: []byte("orders/"), Token: load()}) {
		if err != nil {
			log.Fatal(err) // COMPACTED: too far behind; else ctx has ended, or the call is wrong
		}
		if err := handle(event); err != nil {
			break
		}
		save(event.Token)
	}
}

// A cache of all keys of a prefix that is always about to be current.
func ExampleClient_Sync() {
	ctx := context.Background()
	c, err := client.New("node-1:7450,node-2:7450,node-3:7450")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	config := make(map[string]string)
	for update, err := range c.Sync(ctx, []byte("config/")) {
		if err != nil {
			log.Fatal(err)
		}
		switch update.Step {
		case client.SyncRestart:
			clear(config)
		case client.SyncItems:
			for _, item := range update.Items {
				config[string(item.Key)] = string(item.Value)
			}
		case client.SyncComplete:
			fmt.Println(len(config), "settings")
		case client.SyncEvent:
			for _, change := range update.Event.Changes {
				if change.Delete {
					delete(config, string(change.Key))
				} else {
					config[string(change.Key)] = string(change.Value)
				}
			}
		}
	}
}
