//go:build !unix

package backup

import "os"

func hold(string) (*os.File, error) { return nil, nil }
