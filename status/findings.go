package status

import (
	"slices"

	"github.com/evercache/evercache/health"
)

// SetFindings adds to what Health tells: findings of the server around the client.
// It is called before the handlers are used, with a function that does not wait.
func (s *Status) SetFindings(f func() []health.Finding) { s.findings = f }

// Report is what Health tells, before it becomes JSON: the client's report, with the
// findings of the server around it.
func (s *Status) Report() health.Report {
	h := s.source.Health()
	if s.findings != nil {
		h.Findings = append(slices.Clone(h.Findings), s.findings()...)
	}
	return h
}
