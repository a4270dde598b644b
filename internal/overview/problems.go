package overview

// sentinelProblems is what is not well in a Sentinel set.
func (v *View) sentinelProblems() {
	q := v.Quorum
	switch {
	case q.Answering == 0:
		v.problem("no sentinel answers that watches %s", v.MasterName)
	case v.Master == "":
		v.problem("no sentinel names a master for %s", v.MasterName)
	case q.Agreeing < q.Needed:
		v.problem("no majority of the sentinels names the same master: %d for %s, %d are needed", q.Agreeing, v.Master, q.Needed)
	}
	if m := v.node(v.Master); v.Master != "" {
		switch {
		case m == nil || m.State == stateUnreachable:
			v.problem("the master %s does not answer%s", v.Master, because(m))
		case m.Role != "master":
			v.problem("the master that the sentinels name, %s, says that it is a %s", v.Master, m.Role)
		case m.State != stateWritable:
			v.problem("the master %s: %s", v.Master, m.State)
		}
	}
	replicas := 0
	for i := range v.Nodes {
		if n := &v.Nodes[i]; n.Address != v.Master {
			v.nodeProblem(n)
			if n.Role == "replica" && n.Link == "up" {
				replicas++
			}
		}
	}
	if replicas == 0 && v.Master != "" {
		v.problem("no replica is in sync: there is nothing to fail over to")
	}
	for _, s := range v.Sentinels {
		v.watcherProblem(s)
	}
}

func because(n *Node) string {
	if n == nil || n.Error == "" {
		return ""
	}
	return ": " + n.Error
}

// nodeProblem is about a node that is not the master that counts.
func (v *View) nodeProblem(n *Node) {
	switch {
	case n.State == stateUnreachable:
		v.problem("%s does not answer%s", n.Address, because(n))
	case n.Role == "master" && v.Master != "":
		n.State = stateRival
		v.problem("%s says that it is a master too", n.Address)
	case n.Role != "replica":
	case n.Follows != v.Master && v.Master != "":
		v.problem("%s follows %s", n.Address, n.Follows)
	case n.Link != "up":
		v.problem("%s is not in sync with its master: %s", n.Address, n.State)
	}
}

func (v *View) watcherProblem(s Sentinel) {
	switch {
	case s.State == watcherAway:
		v.problem("sentinel %s does not answer: %s", s.Address, s.Error)
	case s.State == watcherIdle:
		v.problem("sentinel %s: %s", s.Address, s.Error)
	case s.State != watcherOK:
		v.problem("sentinel %s: %s", s.Address, s.State)
	case v.Master != "" && s.Names != v.Master:
		v.problem("sentinel %s names %s", s.Address, s.Names)
	case s.QuorumOK != nil && !*s.QuorumOK:
		v.problem("sentinel %s finds no quorum (SENTINEL CKQUORUM)", s.Address)
	}
}

// single is what is not well with one server.
func (v *View) single() {
	for i, n := range v.Nodes {
		switch {
		case n.State == stateUnreachable:
			v.problem("%s does not answer%s", n.Address, because(&v.Nodes[i]))
		case n.Role == "replica":
			v.problem("%s is a replica of %s: it takes no writes", n.Address, n.Follows)
		case n.State != stateWritable:
			v.problem("%s: %s", n.Address, n.State)
		}
		if n.Role == "master" {
			v.Master = n.Address
		}
	}
}
