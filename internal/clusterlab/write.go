package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
)

// compressed is from which size on a file is.
const compressed = 200 << 10

func (e *episode) server() string { return e.head.Server + "-" + e.head.Version }

// write makes the file, in dir, and returns its path.
func (e *episode) write(dir string) (string, error) {
	data, err := e.encode()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(dir, e.name+".jsonl")
	other := file + ".gz"
	if len(data) > compressed {
		if data, err = pack(data); err != nil {
			return "", err
		}
		file, other = other, file
	}
	if err := os.Remove(other); err != nil && !os.IsNotExist(err) {
		return "", err
	}
	return file, os.WriteFile(file, data, 0o644)
}

func (e *episode) encode() ([]byte, error) {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false) // slots that move have an arrow
	if err := out.Encode(e.head); err != nil {
		return nil, err
	}
	slices.SortStableFunc(e.rec.lines, func(a, b stamped) int { return a.at.Compare(b.at) })
	for _, l := range e.rec.lines {
		l.line.setTime(millis(l.at.Sub(e.zero)))
		if err := out.Encode(l.line); err != nil {
			return nil, err
		}
	}
	err := out.Encode(e.truth)
	return b.Bytes(), err
}

func pack(data []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(data); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
