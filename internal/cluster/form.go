package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sheafdb/sheaf/internal/peer"
	"github.com/sheafdb/sheaf/internal/wire"
)

// A new cluster is formed when all its first members have met: each learns every other's
// disk, and from all of them follows the cluster's name. From then on a node whose disk was
// wiped is not the member that it says it is, even if nobody has heard from it before: it
// could have promised something to somebody.

// greeting is what two members of a cluster to be tell each other.
type greeting struct {
	Members []Member `json:"members"`
	Groups  int      `json:"groups"`
	// Joins: the caller wants to become a member of a cluster that is there.
	Joins bool   `json:"joins,omitempty"`
	Self  Member `json:"self"`
	// Store is what a node that joins has; the cluster must have the same.
	Store string `json:"store,omitempty"`
}

// Parse reads "n1=host:port,n2=host:port" and numbers the members by the order of their
// names, which is the same on every node.
func Parse(text string) ([]Member, error) {
	var members []Member
	at := make(map[string]string)
	for part := range strings.SplitSeq(text, ",") {
		name, addr, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || name == "" || addr == "" {
			return nil, fmt.Errorf("%q is not name=host:port", part)
		}
		if !wire.ValidName(name) {
			return nil, fmt.Errorf("%q is no name of a node: use %s", name, wire.NameRule)
		}
		if other := at[addr]; other != "" {
			return nil, fmt.Errorf("nodes %s and %s have the same address, %s", other, name, addr)
		}
		at[addr] = name
		members = append(members, Member{Name: name, Addr: addr})
	}
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	for i := range members {
		members[i].ID = uint64(i + 1)
		if i > 0 && members[i].Name == members[i-1].Name {
			return nil, fmt.Errorf("node %s is named twice", members[i].Name)
		}
	}
	return members, nil
}

// Meet is part of peer.Handler.
func (b *Bridge) Meet(from peer.Identity, request []byte) ([]byte, error) {
	var theirs greeting
	if err := json.Unmarshal(request, &theirs); err != nil {
		return nil, err
	}
	if theirs.Joins {
		return b.welcome(from, theirs)
	}
	if from.Name != theirs.Self.Name {
		return nil, fmt.Errorf("node %s says that it is %s", from.Name, theirs.Self.Name)
	}
	if err := b.note(theirs, from.Disk); err != nil {
		return nil, err
	}
	return json.Marshal(b.greeting())
}

func (b *Bridge) greeting() greeting {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := greeting{Self: b.members[b.self.ID], Groups: b.cfg.Groups}
	for _, m := range b.members {
		m.Disk = ""
		g.Members = append(g.Members, m)
	}
	slices.SortFunc(g.Members, func(x, y Member) int { return int(int64(x.ID) - int64(y.ID)) })
	return g
}

// note compares what another member says with what is known here, and notes its disk.
func (b *Bridge) note(theirs greeting, disk string) error {
	ours := b.greeting()
	if !slices.Equal(ours.Members, theirs.Members) {
		return fmt.Errorf("node %s was told of other members (%s) than node %s (%s): start all with the same --cluster", theirs.Self.Name, names(theirs.Members), ours.Self.Name, names(ours.Members))
	}
	if ours.Groups != theirs.Groups {
		return fmt.Errorf("node %s was told of %d groups and node %s of %d: start all with the same --groups", theirs.Self.Name, theirs.Groups, ours.Self.Name, ours.Groups)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	known, ok := b.members[theirs.Self.ID]
	switch {
	case !ok || known.Name != theirs.Self.Name || theirs.Self.ID == b.self.ID || disk == "" || disk != theirs.Self.Disk:
		return fmt.Errorf("node %s is not one of %s", theirs.Self.Name, names(ours.Members))
	case known.Disk == "":
		known.Disk = disk
		b.members[known.ID] = known
	case known.Disk != disk:
		return fmt.Errorf("node %s has another disk than when it was met first: what it promised then is lost. If the cluster is new, empty the data directories of all nodes and start again; else replace the node under a new name", known.Name)
	}
	return nil
}

func names(members []Member) string {
	var b strings.Builder
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(m.Name + "=" + m.Addr)
	}
	return b.String()
}

// meetEvery is how often a node that was not met is tried again, and meetTime how long one
// try may take.
const (
	meetEvery = 200 * time.Millisecond
	meetTime  = 2 * time.Second
	// joinTime bounds how long a node is kept waiting that wants to join.
	joinTime = 4 * time.Second
)

// Form meets all members and returns the cluster's name and the members with their disks.
// Whoever calls it makes both durable, and then calls Formed. waiting, if not nil, is told
// now and then whom it waits for, and why.
func (b *Bridge) Form(ctx context.Context, waiting func(names string, why error)) (string, []Member, error) {
	b.mu.Lock()
	me := b.members[b.self.ID]
	me.Disk = b.self.Disk
	b.members[me.ID] = me
	b.mu.Unlock()
	told := time.Now()
	var missing string
	var why error
	for {
		name, err := b.meetAll(ctx)
		if name == "" {
			break
		}
		if why == nil || !over(ctx) { // that the time was over says less than what came before
			missing, why = name, err
		}
		if waiting != nil && time.Since(told) > 2*time.Second {
			told = time.Now()
			waiting(missing, why)
		}
		select {
		case <-ctx.Done():
			return "", nil, fmt.Errorf("waiting for node %s: %w: %w", missing, why, ctx.Err())
		case <-time.After(meetEvery):
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var members []Member
	for _, m := range b.members {
		members = append(members, m)
	}
	slices.SortFunc(members, func(x, y Member) int { return int(int64(x.ID) - int64(y.ID)) })
	return NameOf(members, b.cfg.Groups), members, nil
}

// over says whether the time is. A connection that is dialed finds out before ctx does.
func over(ctx context.Context) bool {
	end, bounded := ctx.Deadline()
	return ctx.Err() != nil || bounded && !time.Now().Before(end)
}

// NameOf is the name of the cluster that begins with these members, who all know each other's
// disks.
func NameOf(members []Member, groups int) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%d groups\n", groups)
	for _, m := range members {
		fmt.Fprintf(sum, "%d %s %s\n", m.ID, m.Name, m.Disk)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// meetAll greets every member; missing are those that did not answer.
func (b *Bridge) meetAll(ctx context.Context) (missing string, why error) {
	ours := b.greeting()
	request, err := json.Marshal(ours)
	if err != nil {
		return ours.Self.Name, err
	}
	var away []string
	var whys []error
	for _, m := range ours.Members {
		if m.ID == ours.Self.ID {
			continue
		}
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, meetTime)
			defer cancel()
			answer, err := b.client.Meet(ctx, m.ID, request)
			if err != nil {
				return err
			}
			var theirs greeting
			if err := json.Unmarshal(answer, &theirs); err != nil {
				return err
			}
			if theirs.Self.ID != m.ID {
				return fmt.Errorf("node %s answers at the address of %s, %s: one of the two addresses is wrong", theirs.Self.Name, m.Name, m.Addr)
			}
			return b.note(theirs, theirs.Self.Disk)
		}()
		if err != nil {
			away, whys = append(away, m.Name), append(whys, err)
		}
	}
	if len(away) > 0 {
		return strings.Join(away, ", "), eachWhy(away, whys)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.members { // of whom the cluster's name is made
		if m.Disk == "" {
			return m.Name, errors.New("it has not said which disk it has")
		}
	}
	return "", nil
}

// eachWhy joins the reasons of several into one line.
func eachWhy(names []string, whys []error) error {
	if len(whys) == 1 {
		return whys[0]
	}
	err := fmt.Errorf("%s: %w", names[0], whys[0])
	for i, why := range whys[1:] {
		err = fmt.Errorf("%w; %s: %w", err, names[i+1], why)
	}
	return err
}

// Formed lets the bridge carry: the cluster has a name, and the members their disks.
func (b *Bridge) Formed(cluster string, members []Member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.self.Cluster = cluster
	for _, m := range members {
		b.members[m.ID] = m
	}
}
