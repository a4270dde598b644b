package loopback

import (
	"fmt"
	"os"
)

const (
	lowest  = 10240 // below are the ports that services are known by
	highest = 65535
	enough  = 2000 // a span smaller than this collides too often
)

// ephemeral is the range from which the kernel takes the local ports of outgoing connections.
// Where it cannot be read (not Linux), it is the one that IANA and the BSDs use.
func ephemeral() (low, high int) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(text), &low, &high)
	}
	if err != nil || low <= 0 || high < low {
		return 49152, highest
	}
	return low, high
}

// span is where ports are taken from: [from, to), below the ephemeral range, else above it, else,
// when that range leaves no room, from everything.
func span(ephemeralLow, ephemeralHigh int) (from, to int) {
	switch {
	case ephemeralLow-lowest >= enough:
		return lowest, ephemeralLow
	case highest-ephemeralHigh >= enough:
		return max(ephemeralHigh+1, lowest), highest + 1
	default:
		return lowest, highest + 1
	}
}
