package doctor

import (
	"strings"
	"testing"

	"github.com/evercache/evercache/internal/cluster"
	"github.com/evercache/evercache/internal/survey"
)

// Whatever servers say, no rule panics, and nothing that is shown is unbounded or writes to
// the terminal.
func FuzzExamine(f *testing.F) {
	f.Add("config-epoch", "4", "slave", "127.0.0.1:6379", "07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:30004@31004 myself,master - 0 0 4 connected 0-5460")
	f.Add("quorum", "-1", "", "x", "")
	f.Fuzz(func(t *testing.T, name, value, role, addr, nodes string) {
		if len(name)+len(value)+len(role)+len(addr) > 4<<10 {
			return
		}
		for _, s := range []*survey.Survey{wellSet(), wellServer(), wellCluster()} {
			for i := range s.Sentinels {
				x := &s.Sentinels[i]
				x.Master[name], x.Settings, x.Quorum, x.ID = value, survey.Fields{name: value}, value, name
				x.Peers = append(x.Peers, survey.Fields{"ip": addr, "port": value, "flags": role, name: value})
				x.Replicas = append(x.Replicas, survey.Fields{"ip": value, "port": addr, "flags": role, name: value})
				if i == 0 {
					x.Named = addr
				}
			}
			for i := range s.Nodes {
				n := &s.Nodes[i]
				n.Info[name], n.Config[name], n.Refused = value, value, map[string]string{name: value}
				if i > 0 {
					n.Role = survey.Role{Name: role, Master: addr, Link: value, Replicas: []survey.Attached{{Addr: addr, State: role}}}
					n.Aliases = []string{addr, value}
				}
				if view, err := cluster.ParseNodes(nodes); err == nil && n.Cluster != nil {
					n.Cluster.Nodes = view
				}
			}
			r := NewReport(s, Examine(Input{Survey: s, Settings: wellSettings()}))
			for _, f := range r.Findings {
				for _, text := range []string{f.Subject, f.Title, f.Detail, f.Why, f.Fix} {
					if len(text) > maxText || strings.ContainsAny(text, "\n\r\x1b\x00") {
						t.Errorf("%s shows %q", f.Code, text)
					}
				}
			}
			r.Text(true)
			Plan(Move{Now: s, Then: wellServer(), To: wellServer().Mode}, wellSettings())
		}
	})
}
