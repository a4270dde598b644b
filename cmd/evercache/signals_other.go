//go:build !unix

package main

import (
	"context"
	"log/slog"
)

// obeyOthers has nothing to decide: the system sends no other signals.
func obeyOthers(*slog.Logger, context.CancelCauseFunc) {}
