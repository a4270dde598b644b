// Package dev runs a real Redis on this machine for whoever wants to see a failover: a Sentinel set, a
// Cluster or one server, on loopback. It shows who is master, and takes orders to break things.
//
// Run owns everything: the servers, their files, the socket for orders from other terminals. When it
// returns nothing is left. When it is killed, the kernel ends the servers (Linux), and the next Run
// ends and removes what is left: it finds that in a state file.
//
// One goroutine, that of Run, takes the orders and prints. Others look at the servers, read the
// keyboard and answer the socket; they send to it.
package dev
