package node

import (
	"cmp"
	"strconv"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/sheafdb/sheaf"
	"github.com/sheafdb/sheaf/internal/feed"
	"github.com/sheafdb/sheaf/internal/router"
)

// newFeed returns what the node's groups tell of their changes. Tokens are of the cluster, or of
// the disk of a node that is alone: a restored backup is another.
func (n *Node) newFeed() *feed.Feed {
	id := &n.dir.identity
	groups := max(id.Groups, 1)
	return feed.New(feed.Config{
		Groups: groups, GroupOf: router.Equal(groups).GroupOf, Bytes: n.cfg.Watch.HistoryBytes * int64(groups),
		Tag: strconv.FormatUint(xxh3.HashString(cmp.Or(id.Cluster, id.NodeID))>>32, 36),
	})
}

// tickFeed lets the feed give up what it waits for in vain.
func (n *Node) tickFeed() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			n.feed.Tick(now)
		case <-n.life.Done():
			return
		}
	}
}

// endWatches has watchers go to other nodes: they would hold up the drain.
func (n *Node) endWatches() {
	n.feed.Close(&sheaf.Error{Code: sheaf.Draining, Detail: "the node is shutting down: watch again from the last token, at another node or later", RetryAfter: 100 * time.Millisecond})
}
