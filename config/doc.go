// Package config reads the settings of evercache from environment variables.
//
// One table drives everything: parsing, the defaults, docs/configuration.md and
// deploy/env.example. FromEnv lists every fault at once and never prints a
// secret. What an operator should know without being stopped is a Finding in
// Config.Redis.Findings.
//
// The library's own Options are strict; the one fallback there is, from an
// incomplete Sentinel configuration to a single server, is decided here.
package config

//go:generate go test . -run ^TestGeneratedFilesAreFresh$ -update
