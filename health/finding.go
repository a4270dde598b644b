package health

import "log/slog"

// Severity says how bad a finding is.
type Severity string

const (
	// SeverityInfo: nothing is wrong, but somebody may want to know.
	SeverityInfo Severity = "info"
	// SeverityWarning: something does not work, or soon will not.
	SeverityWarning Severity = "warning"
	// SeverityError: something that was asked for is missing, or data is at risk.
	SeverityError Severity = "error"
)

// Level is the level at which a finding is logged.
func (s Severity) Level() slog.Level {
	switch s {
	case SeverityError:
		return slog.LevelError
	case SeverityWarning:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Finding is one thing that an operator should know and can act on. Code is
// stable: /health, alerts, the log and the runbook use the same. A finding never
// holds a secret, a key or a value of the cache.
type Finding struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`            // what it is
	Detail   string   `json:"detail,omitempty"` // what was seen
	Fix      string   `json:"fix,omitempty"`    // what to do
}

// LogAttrs are the finding as attributes of a line in the log, whose message is
// its title.
func (f Finding) LogAttrs() []slog.Attr {
	return []slog.Attr{slog.String("code", f.Code), slog.String("detail", f.Detail), slog.String("fix", f.Fix)}
}
