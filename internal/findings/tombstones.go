package findings

import (
	"fmt"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/stats"
)

const (
	// tombsShare is the part of maxmemory, in percent, from which tombstones are told
	// of, and tombsMost where it has none, or does not tell.
	tombsShare = 10
	tombsMost  = 256 << 20
)

// tombstones tells when tombstones take much of the server's memory.
func tombstones(t stats.Tombstones, maxMemory uint64) []health.Finding {
	most, of := int64(tombsMost), "Redis has no maxmemory, or does not tell it"
	if maxMemory > 0 {
		most = int64(min(maxMemory/100*tombsShare, 1<<50))
		of = fmt.Sprintf("maxmemory is %d MiB", maxMemory>>20)
	}
	if t.Bytes <= most {
		return nil
	}
	return []health.Finding{{
		Code: health.CodeTombstonesMany, Severity: health.SeverityWarning,
		Title:  "The traces of deletes take much of the memory of Redis",
		Detail: fmt.Sprintf("this process has left %d tombstones within the last ten minutes, about %d MiB; %s", t.Live, t.Bytes>>20, of),
		Fix:    "Delete a prefix instead of its keys one by one: that leaves one mark. Let keys that nobody needs expire. Else give Redis more memory: a tombstone lives for ten minutes.",
	}}
}
