package status

import (
	"slices"

	"github.com/evercache/evercache/health"
)

// SetFindings adds to what Health tells: findings of the server around the client.
// It is called before the handlers are used, with a function that does not wait.
func (s *Status) SetFindings(f func() []health.Finding) { s.findings = f }

// health is the client's, with the findings of the server around it.
func (s *Status) health() health.Report {
	h := s.source.Health()
	if s.findings != nil {
		h.Findings = append(slices.Clone(h.Findings), s.findings()...)
	}
	return h
}
