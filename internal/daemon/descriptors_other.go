//go:build !unix

package daemon

// descriptorLimit is 0: there is none.
func descriptorLimit() uint64 { return 0 }

func openDescriptors() int { return 0 }
