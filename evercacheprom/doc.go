// Package evercacheprom shows an evercache client to Prometheus:
//
//	prometheus.MustRegister(evercacheprom.New(client))
//
// Everything is read from one Health and one Stats snapshot at each scrape, so a cache that
// nobody scrapes pays nothing. Every label combination is there with 0 from the
// start: a counter that appears with its first failure would hide that failure
// from increase(). No label holds a key or a value. The addresses of the master, of its
// replicas and of the sentinels are labels, since they are what these metrics are about.
package evercacheprom
