package cluster

import (
	"fmt"
	"strings"

	"github.com/evercache/evercache/internal/sentinel"
	"github.com/evercache/evercache/internal/slot"
)

// Redirect is an error reply that names another node: MOVED or ASK.
type Redirect struct {
	Ask  bool // for this one command only
	Slot uint16
	Addr Addr // zero where the reply names none that can be dialled
}

// ParseRedirect reads "MOVED slot host:port" and "ASK slot host:port". An empty
// host means the one that the connection leads to: from is that node's address.
func ParseRedirect(text string, from Addr) (Redirect, error) {
	if len(text) > 512 {
		return Redirect{}, fmt.Errorf("redirection of %d bytes", len(text))
	}
	f := strings.Fields(text)
	if len(f) != 3 || f[0] != "MOVED" && f[0] != "ASK" {
		return Redirect{}, fmt.Errorf("redirection %s is not MOVED or ASK, slot, address", quote(text))
	}
	s, err := slot.Parse(f[1])
	if err != nil {
		return Redirect{}, fmt.Errorf("redirection: %w", err)
	}
	r := Redirect{Ask: f[0] == "ASK", Slot: s}
	i := strings.LastIndexByte(f[2], ':')
	if i < 0 {
		return r, nil
	}
	host, port := strings.Trim(f[2][:i], "[]"), f[2][i+1:]
	if host == "" {
		host = from.Host
	}
	r.Addr, _ = sentinel.ParseAddr(host, port)
	r.Addr = own(r.Addr)
	return r, nil
}

// ReplyFault classifies an error reply by its first word.
func ReplyFault(text string) Fault {
	code, _, _ := strings.Cut(text, " ")
	if f, ok := faultCodes[code]; ok {
		return f
	}
	return FaultOther
}
