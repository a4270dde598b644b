package redisproc

import "github.com/evercache/evercache/internal/faultnet/loopback"

// busDistance is how far a node's bus port is above its port. Before Redis 7 it cannot be chosen.
const busDistance = 10000

func reserveNodePort() (port, error) { return loopback.ReservePair(busDistance) }
