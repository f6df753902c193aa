package sim

import (
	"time"

	"github.com/sheafdb/sheaf/internal/apply"
	"github.com/sheafdb/sheaf/internal/coordinator"
)

// tidyLater has a leader finish, now and then, what coordinators left behind.
func (n *node) tidyLater() {
	n.soon(n.w.between(300*time.Millisecond, 900*time.Millisecond), func() {
		if !n.core.Status().Leading {
			n.tidyLater()
			return
		}
		life := n.life
		carry := &carrier{mortal: true, overAt: n.w.now + 5*time.Second}
		n.w.spawn(carry, func() {
			overdue, err := apply.FindOverdue(n.wallMS(), coordinator.MaxTidy, n.state)
			if err != nil {
				n.w.fail("group %d tidies: %v", n.group.id, err)
			}
			coordinator.Tidy(carry, n.group.id, n.w.groupOf, overdue)
		}, func(bool) {
			if n.life == life {
				n.tidyLater()
			}
		})
	})
}
