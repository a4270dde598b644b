package survey

import (
	"time"

	"github.com/evercache/evercache/internal/remote"
)

// NodeConfig is how to dial a server with data, and how to log in there. It is for
// servers that a survey was logged in to: see Server.Anonymous.
func (t Target) NodeConfig(addr string, limit time.Duration) remote.Config {
	return t.node.config(t.dialable(addr), limit)
}

// DB is the index of the database that is used.
func (t Target) DB() int { return t.node.db }
