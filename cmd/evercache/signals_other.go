//go:build !unix

package main

import (
	"context"
	"log/slog"
	"os"
)

// obeyOthers has nothing to decide: the system sends no other signals.
func obeyOthers(*slog.Logger, context.CancelCauseFunc) {}

// endBy ends the process. There is no status that names a signal.
func endBy(os.Signal) { os.Exit(exitFailed) }
