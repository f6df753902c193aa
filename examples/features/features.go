package main

import (
	"context"
	"fmt"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/client"
)

// Features is what a model wants to know of a user.
type Features struct {
	// Round is the run of the pipeline that computed them.
	Round  int     `json:"round"`
	Clicks int     `json:"clicks"`
	Score  float64 `json:"score"`
}

// prefix comes before the user in a key.
const prefix = "features/"

// patience bounds how often a batch is repeated of which a part is missing.
const patience = 10

// Store has the features of users, one key each.
type Store struct{ Client *client.Client }

// Inject writes the features of many users in one batch at SEQUENTIAL: each replica group applies its
// part by itself, without waiting for the others, which is what features need, as they are of one user
// each. The version that it returns goes along with the event that the features were computed for.
func (s Store) Inject(ctx context.Context, features map[string]Features) (version uint64, err error) {
	typed := client.TypedJSON[Features](s.Client, prefix)
	result, err := typed.PutAll(ctx, features, client.At(sheaf.Sequential))
	for round := 1; err == nil; round++ {
		missing := missingPart(result)
		if missing == "" {
			return result.Version, nil
		}
		if round == patience {
			return 0, fmt.Errorf("a part of the batch is missing after %d rounds: %s", round, missing)
		}
		// The same ID: the parts that were applied are not applied again.
		result, err = typed.PutAll(ctx, features, client.At(sheaf.Sequential), client.WithRequestID(result.RequestID))
	}
	return 0, err
}

// missingPart is why a part of the batch was not applied, and empty when all were.
func missingPart(result client.Result) string {
	for _, part := range result.Parts {
		if !part.Applied {
			return fmt.Sprintf("group %d: %s", part.Group, part.Reason)
		}
	}
	return ""
}

// Read returns the features of users, as they were injected at version or later. Any node answers from
// its own state, without asking the leader, if that is so new.
func (s Store) Read(ctx context.Context, users []string, version uint64) (map[string]Features, error) {
	// A session reads at SEQUENTIAL and passes the version along as `after`.
	typed := client.TypedJSON[Features](s.Client.SessionFrom(version), prefix)
	values, err := typed.GetAll(ctx, users)
	if err != nil {
		return nil, err
	}
	features := make(map[string]Features, len(users))
	for _, item := range values.Items {
		if item.Found { // of a user who is new there are none: the model's defaults are used
			features[item.Key] = item.Value
		}
	}
	return features, nil
}
