package heapsize

import "reflect"

// walk is one estimate under way.
type walk struct {
	sizer *Sizer
	left  int // looks
	seen  seen
}

// interfaceSize is what a value takes that an interface has.
func (w *walk) interfaceSize(v reflect.Value, level int) int {
	p := w.sizer.plan(v.Type())
	return p.boxed() + w.beyond(p, v, level)
}

// beyond is what v refers to, beside v itself. At the bounds of the walk that is
// what it refers to directly.
func (w *walk) beyond(p *plan, v reflect.Value, level int) int {
	if p.flat {
		return 0
	}
	w.left--
	level++
	deeper := w.left > 0 && level <= maxLevels
	switch p.kind {
	case reflect.String:
		return Allocated(v.Len())
	case reflect.Slice:
		return Allocated(v.Cap()*p.elem.size) + w.elements(p.elem, v, level)
	case reflect.Array:
		return w.elements(p.elem, v, level)
	case reflect.Pointer:
		if v.IsNil() || !w.seen.first(p, v.Pointer()) {
			return 0
		}
		n := Allocated(p.elem.size)
		if deeper {
			n += w.beyond(p.elem, v.Elem(), level)
		}
		return n
	case reflect.Map:
		if v.IsNil() || !w.seen.first(p, v.Pointer()) {
			return 0
		}
		return mapSize(v.Len(), p.key.size, p.elem.size) + w.entries(p, v, level)
	case reflect.Interface:
		if v.IsNil() || !deeper {
			return 0
		}
		return w.interfaceSize(v.Elem(), level)
	}
	n := 0
	for _, f := range p.fields {
		n += w.beyond(f.plan, v.Field(f.index), level)
	}
	return n
}

// elements is what those of a slice or array refer to. Of many some are looked at,
// from all parts of it.
func (w *walk) elements(p *plan, v reflect.Value, level int) (n int) {
	all := v.Len()
	if p.flat || all == 0 {
		return 0
	}
	looks := min(all, maxElements)
	for i := range looks {
		if w.left <= 0 {
			return scaled(n, i, all)
		}
		n += w.beyond(p, v.Index(i*all/looks), level)
	}
	return scaled(n, looks, all)
}

// entries is what the keys and values of a map refer to.
func (w *walk) entries(p *plan, v reflect.Value, level int) (n int) {
	if p.key.flat && p.elem.flat {
		return 0
	}
	looks, key, elem := 0, room(p.key, v), room(p.elem, v)
	for it := v.MapRange(); looks < maxElements && w.left > 0 && it.Next(); looks++ {
		if !p.key.flat {
			n += w.beyond(p.key, taken(key, it.Key, it, reflect.Value.SetIterKey), level)
		}
		if !p.elem.flat {
			n += w.beyond(p.elem, taken(elem, it.Value, it, reflect.Value.SetIterValue), level)
		}
	}
	return scaled(n, looks, v.Len())
}

// room is where entries of a map can be copied to one after the other. There is
// none where the map is in a field that is not exported.
func room(p *plan, of reflect.Value) reflect.Value {
	if p.flat || !of.CanInterface() {
		return reflect.Value{}
	}
	return reflect.New(p.typ).Elem()
}

func taken(room reflect.Value, get func() reflect.Value, it *reflect.MapIter, set func(reflect.Value, *reflect.MapIter)) reflect.Value {
	if !room.IsValid() {
		return get()
	}
	set(room, it)
	return room
}

// scaled is what all come to where looks of them come to n.
func scaled(n, looks, all int) int {
	if looks == 0 || looks >= all {
		return n
	}
	return int(float64(n) / float64(looks) * float64(all))
}

// A map has groups of eight slots, and at most seven in eight slots are used.
const (
	mapHeader    = 48
	groupSlots   = 8
	groupHeader  = 8
	maxInSlot    = 128 // a larger key or value is allocated by itself
	tableSlots   = 1024
	tableHeader  = 40
	pointerBytes = 8
)

// mapSize is about what a map of n entries has allocated, beside what they refer to.
func mapSize(n, key, elem int) int {
	if n == 0 {
		return mapHeader
	}
	beside := 0
	for _, size := range []*int{&key, &elem} {
		if *size > maxInSlot {
			beside += n * Allocated(*size)
			*size = pointerBytes
		}
	}
	slots := groupSlots
	for slots > groupSlots && n > slots/8*7 || slots == groupSlots && n > groupSlots {
		slots *= 2
	}
	slot := (key + elem + pointerBytes - 1) / pointerBytes * pointerBytes
	size := mapHeader + Allocated(slots/groupSlots*(groupHeader+groupSlots*slot)) + beside
	if slots > groupSlots {
		size += (slots + tableSlots - 1) / tableSlots * (tableHeader + pointerBytes)
	}
	return size
}
