package main

// architecturePicture shows the layers of the library and what stands beside them. Arrows
// are imports or calls; none goes up.
func architecturePicture() string {
	c := newCanvas(900, 560, "The layers of evercache")
	c.tips()
	c.text(20, 32, font(18, ink)+` font-weight="600"`, "The layers of evercache")
	c.text(20, 50, font(12, grey), "An arrow means: uses. No arrow goes up.")

	c.box(20, 70, 200, 62, plain, "your application", "imports the library")
	c.box(240, 70, 290, 62, plain, "cmd/evercache, internal/daemon", "HTTP for other languages")
	c.box(560, 70, 320, 62, plain, "config, status, evercacheprom", "settings in; health and metrics out")
	c.arrow(530, 101, 558, 101)
	c.arrow(120, 132, 120, 164)
	c.arrow(385, 132, 385, 164)
	c.arrow(620, 132, 620, 164)

	c.box(20, 166, 660, 92, blue, "evercache (root): what a caller may be told",
		"types and codecs · policies of a class · memory (internal/local)",
		"loads, one per key · behaviour in an outage · receipts · events",
		"finds no master and replays nothing")
	c.box(700, 166, 180, 92, plain, "revoke", "the denylist: a set in", "memory, on the same", "shard")
	c.arrow(700, 212, 682, 212)

	c.box(20, 300, 660, 76, mint, "shard: one master at a time, and what is owed to it",
		"read · write · delete · replay · barriers · invalidation feed · lease · downtime",
		"knows bytes and durability; knows no types and no policies")
	c.arrow(350, 258, 350, 298)
	c.text(340, 283, font(11, grey)+` text-anchor="end"`, "calls: bytes down, receipts back")
	c.text(360, 283, font(11, grey), "events: this key changed elsewhere")

	c.box(20, 414, 210, 66, sand, "internal/remote", "one node: wire, scripts,", "heartbeat, breaker")
	c.box(245, 414, 210, 66, sand, "internal/outbox", "what waits for a master, what", "a failover can still lose")
	c.box(470, 414, 210, 66, sand, "internal/journal", "the same in a file, for the", "next process")
	c.arrow(125, 376, 125, 412)
	c.arrow(350, 376, 350, 412)
	c.arrow(575, 376, 575, 412)

	c.box(20, 512, 210, 34, plain, "Redis, sentinels")
	c.box(470, 512, 210, 34, plain, "disk")
	c.arrow(125, 480, 125, 510)
	c.arrow(575, 480, 575, 510)

	c.box(700, 300, 180, 180, plain, "health, stats", "leaves: every layer may", "use them; they use none", "of the others",
		"", "health: findings and what", "to do about them", "stats: counters as values")
	c.arrow(680, 338, 698, 338)
	return c.end()
}
