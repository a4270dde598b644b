//go:build unix && !linux && !aix && !solaris

package dev

// startOf identifies a process: by its number and this. Its error means that there is no such process.
func startOf(pid int) (string, error) { return psStart(pid) }
