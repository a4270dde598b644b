package dev

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// startOf identifies a process: the boot of the system, and when the process began since, in ticks of
// 10 ms. Two processes of one number differ in it. Its error means that there is no such process.
func startOf(pid int) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return psStart(pid)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", errNoProcess
	}
	ticks, err := parseStat(stat)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(boot)) + " " + ticks, nil
}

// parseStat takes the start from /proc/<pid>/stat: the twentieth field after the name, which is in
// parentheses and may hold anything. A zombie has ended.
func parseStat(stat []byte) (string, error) {
	rest := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(rest) < 20 || len(rest[19]) > 32 || string(rest[0]) == "Z" || string(rest[0]) == "X" {
		return "", errNoProcess
	}
	return string(rest[19]), nil
}
