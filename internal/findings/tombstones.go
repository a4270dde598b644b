package findings

import (
	"fmt"

	"github.com/evercache/evercache/health"
	"github.com/evercache/evercache/stats"
)

const (
	// tombsShare is the part of maxmemory, in percent, from which tombstones are
	// reported, and tombsMost where it has none, or does not report it.
	tombsShare = 10
	tombsMost  = 256 << 20
)

// tombstones reports when tombstones take much of the server's memory.
func tombstones(t stats.Tombstones, maxMemory uint64) []health.Finding {
	most, of := int64(tombsMost), "Redis has no maxmemory, or does not report it"
	if maxMemory > 0 {
		most = int64(min(maxMemory/100*tombsShare, 1<<50))
		of = fmt.Sprintf("maxmemory is %d MiB", maxMemory>>20)
	}
	if t.Bytes <= most {
		return nil
	}
	return []health.Finding{{
		Code: health.CodeTombstonesMany, Severity: health.SeverityWarning,
		Title:  "Tombstones (traces of deletes) take much of the memory of Redis",
		Detail: fmt.Sprintf("this process has left %d tombstones within the last ten minutes, about %d MiB; %s", t.Live, t.Bytes>>20, of),
		Fix:    "Delete a prefix instead of its keys one by one: that leaves one mark. Let unused keys expire. Otherwise give Redis more memory: a tombstone lives for ten minutes.",
	}}
}
