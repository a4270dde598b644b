package cluster

// Endpoint is what a node calls the others in a redirection, and so what clients are to
// dial (cluster-preferred-endpoint-type).
type Endpoint uint8

// A node calls others by a name only where those announce one.
const (
	EndpointUnknown Endpoint = iota // it was not asked, or nobody announces a name
	EndpointAddress
	EndpointName
)

// EndpointIn reads it from a redirection of a node that lists these.
func EndpointIn(r Redirect, lines []Line) Endpoint {
	for i := range lines {
		switch l := &lines[i]; {
		case !l.named():
		case r.Addr == l.Name:
			return EndpointName
		case r.Addr == l.Addr:
			return EndpointAddress
		}
	}
	return EndpointUnknown
}

// named reports whether the node has a name beside its address.
func (l *Line) named() bool { return !l.Name.IsZero() && l.Name != l.Addr }

// Elsewhere is a slot whose keys the node redirects to one with a name, if there is any.
func (a *Answer) Elsewhere() (slot uint16, ok bool) {
	for i := range a.Lines {
		if l := &a.Lines[i]; l.ID != a.Self.ID && l.named() && len(l.Slots) > 0 {
			return l.Slots[0].First, true
		}
	}
	return 0, false
}

// useNames reports whether nodes are dialled by name: all that have told it call the
// others so. While that is being changed, node by node, addresses stay in use.
func (m *Machine) useNames() bool {
	told := false
	for _, n := range m.nodes {
		if n.calls == EndpointAddress {
			return false
		}
		told = told || n.calls == EndpointName
	}
	return told
}
