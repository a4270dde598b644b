// Package redisproc starts real redis-server and redis-sentinel processes on loopback and controls
// them: kill, stop, pause, restart with or without their data. A Process is one of them; a Set is a
// master with its replicas and sentinels.
//
// A process never outlives the program that started it (on Linux, even when that program is killed
// with SIGKILL). Its files live in a temporary directory of its own; passwords are in its
// configuration file (mode 0600), never on a command line, and are cut out of every log tail.
//
// Every wait is bounded, by the caller's context and by a limit of its own.
package redisproc
