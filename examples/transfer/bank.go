package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// ErrNotEnough is that an account has less than is to be taken from it.
var ErrNotEnough = errors.New("not enough money in the account")

// receiptTTL is how long a transfer is remembered, and so how long it may be repeated.
const receiptTTL = time.Hour

// patience bounds how often a transfer is repeated whose outcome is unknown.
const patience = 10

// Bank has accounts, "account/{NAME}" each, whose value is a number of the smallest coin.
type Bank struct{ Client *client.Client }

// NewTransferID names a transfer.
func NewTransferID() string { return uuid.NewString() }

// Open opens those of the accounts that are not there yet.
func (b *Bank) Open(ctx context.Context, accounts []string, amount int64) error {
	_, err := b.Client.OnConflict(ctx, keysOf(accounts), func(there client.Values) ([]sheaf.Entry, error) {
		var batch []sheaf.Entry
		for _, item := range there.Items {
			if !item.Found {
				batch = append(batch, sheaf.Put(item.Key, strconv.FormatInt(amount, 10)))
			}
		}
		return batch, nil
	})
	return err
}

// Transfer takes from one account and gives to another, both or neither, and once for each id,
// however often it is called: a receipt is written in the same batch.
//
// OnConflict guards all three keys, so the accounts are what was read, and the receipt is not there.
// When the answer to its write is lost, nobody knows whether the write was made; then the transfer is
// simply begun anew, and the receipt tells.
func (b *Bank) Transfer(ctx context.Context, id, from, to string, amount int64) error {
	if amount < 0 || from == to {
		return fmt.Errorf("%d from %q to %q is no transfer", amount, from, to)
	}
	keys := append(keysOf([]string{from, to}), []byte("transfer/"+id))
	merge := func(read client.Values) ([]sheaf.Entry, error) {
		if read.Items[2].Found {
			return nil, nil // made before
		}
		has, err := balance(read.Items[0])
		if err != nil {
			return nil, err
		}
		gets, err := balance(read.Items[1])
		if err != nil {
			return nil, err
		}
		if has < amount {
			return nil, ErrNotEnough
		}
		return []sheaf.Entry{
			sheaf.Put(keys[0], strconv.FormatInt(has-amount, 10)),
			sheaf.Put(keys[1], strconv.FormatInt(gets+amount, 10)),
			sheaf.Put(keys[2], fmt.Sprintf("%d from %s to %s", amount, from, to)).WithTTL(receiptTTL),
		}, nil
	}
	for round := 1; ; round++ {
		_, err := b.Client.OnConflict(ctx, keys, merge)
		if sheaf.CodeOf(err) != sheaf.OutcomeUnknown || round == patience || ctx.Err() != nil {
			return err
		}
	}
}

// Sum adds the accounts up, as they are at one instant.
func (b *Bank) Sum(ctx context.Context, accounts []string) (sum int64, err error) {
	values, err := b.Client.GetAll(ctx, keysOf(accounts))
	if err != nil {
		return 0, err
	}
	for _, item := range values.Items {
		n, err := balance(item)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func balance(item sheaf.Item) (int64, error) {
	if !item.Found {
		return 0, fmt.Errorf("there is no %s", item.Key)
	}
	n, err := strconv.ParseInt(string(item.Value), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is no amount: %w", item.Key, err)
	}
	return n, nil
}

func keysOf(accounts []string) [][]byte {
	keys := make([][]byte, len(accounts))
	for i, name := range accounts {
		keys[i] = []byte("account/{" + name + "}")
	}
	return keys
}
