package remote

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestAConnectionAnnouncesSoManyPrefixes and asks the server for no more: none can
// be taken back.
func TestAConnectionAnnouncesSoManyPrefixes(t *testing.T) {
	s := new(feedState)
	for i := range maxTracked {
		s.prefixes = append(s.prefixes, fmt.Sprint("c", i, ":"))
	}
	n := new(Node) // it has no connection
	n.feed.state.Store(s)
	if err := n.Track(t.Context(), "one-more:", time.Second); !errors.Is(err, errTracksMost) {
		t.Errorf("error = %v, want %v", err, errTracksMost)
	}
	if err := n.Track(t.Context(), "c7:", time.Second); err != nil {
		t.Errorf("a prefix that is announced: %v", err)
	}
}
