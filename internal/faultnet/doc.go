// Package faultnet puts a TCP proxy in front of an address and lets a test break the network
// between the two: latency, silence in both directions or in one, resets, refusal.
//
// Faults behave as they do on a wire. What is sent into a silence is not lost but held, and
// delivered when it ends, as TCP's retransmissions would; unless the sender has reset the
// connection meanwhile, then it is gone. A close is held the same way. When a method that sets a
// fault returns, the fault holds: not one more byte passes.
//
// Two things differ from a real wire, because the proxy's kernel answers for the target: a
// connection attempt into a silence succeeds (and then hears nothing), and up to a few megabytes
// sent into it are acknowledged by TCP.
package faultnet
