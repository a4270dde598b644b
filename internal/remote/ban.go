package remote

import (
	"sync/atomic"
	"time"
)

// ban is something that the ACL forbids, as far as is known. An ACL can be mended
// without a new connection, so it is tried again now and then.
type ban struct{ at atomic.Pointer[time.Time] }

// banAgain is how soon what is forbidden is tried again.
const banAgain = 2 * time.Second

func (b *ban) set() {
	now := time.Now()
	b.at.Store(&now)
}

func (b *ban) lift() {
	if b.known() {
		b.at.Store(nil)
	}
}

func (b *ban) known() bool { return b.at.Load() != nil }

// holds reports whether it is not worth trying now.
func (b *ban) holds() bool {
	at := b.at.Load()
	return at != nil && time.Since(*at) < banAgain
}
