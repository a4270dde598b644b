package memlimit

// unmanaged is about what the Go runtime does not count: the program itself, and
// the buffers of sockets.
const unmanaged = 12 << 20

// Soft is what of a limit the Go runtime is to keep to (GOMEMLIMIT).
func Soft(limit int64) int64 {
	return limit - min(max(limit/8, unmanaged), limit/2)
}
