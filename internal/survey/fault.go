package survey

import (
	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/internal/findings"
	"github.com/evercache/evercache/internal/remote"
)

// Fault is why a server has not answered as it should.
type Fault struct {
	Kind   remote.Kind     // of the error
	Reason findings.Reason // what the error comes from
	Text   string          // the error, without secrets
	// Connected: something has taken the connection. So the address leads somewhere, and
	// what is there hangs or refuses.
	Connected bool
}

// Finding is what the library reports for the same: its code, severity, title and fix.
func (f *Fault) Finding() health.Finding {
	out := findings.ExplainOne(f.Reason)
	out.Detail = f.Text
	return out
}

// Code is that of the finding.
func (f *Fault) Code() string { return f.Finding().Code }
