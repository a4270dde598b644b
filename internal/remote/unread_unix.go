//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package remote

import (
	"net"
	"syscall"
)

// hasUnread reports whether bytes have come that nobody has read yet. It takes none.
func hasUnread(c net.Conn) (unread bool) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		unread = err == nil && n > 0
	})
	return unread
}
