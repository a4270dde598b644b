package outbox

import (
	"slices"

	"github.com/evercache/evercache/internal/slot"
)

// OfSlots approves of the records in these slots: it is a want for Oldest. The set is
// not to be changed.
func OfSlots(slots *slot.Set) func(*Record) bool {
	return func(r *Record) bool { return slots.Has(r.Slot) }
}

// verifying counts the records to Verify in a Box. They have what room the others leave
// when they come, and take none from those that come later: so a Box may hold twice its
// bounds, half of it to be verified.
type verifying struct {
	entries int
	bytes   int64
	dropped uint64 // had no room
}

func (v *verifying) count(r *Record, n int) {
	if r.Verify {
		v.entries += n
		v.bytes += int64(n) * r.cost()
	}
}

// without is what all but old make up.
func (v *verifying) without(old *Record) (entries int, bytes int64) {
	but := *v
	if old != nil {
		but.count(old, -1)
	}
	return but.entries, but.bytes
}

// roomToVerify lets go of prefixes to Verify that are too many.
func (b *Box) roomToVerify(ps []Prefix) (kept, dropped []Prefix) {
	n, bytes := b.prefixes.len(), b.prefixes.bytes
	for i := len(ps) - 1; i >= 0; i-- { // the newest stay
		p := &ps[i]
		if b.prefixes.get(p.Text) == nil {
			n, bytes = n+1, bytes+prefixCost(p.Text)
			if p.Verify && (n > b.most || bytes > maxPrefixBytes(b.maxBytes)) {
				n, bytes = n-1, bytes-prefixCost(p.Text)
				b.verify.dropped++
				dropped = append(dropped, *p)
				continue
			}
		}
		kept = append(kept, *p)
	}
	slices.Reverse(kept)
	return kept, dropped
}
