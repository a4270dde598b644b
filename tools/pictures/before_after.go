package main

// beforeAfterPicture shows a service with one Redis, and the same service with a Sentinel
// set and evercache.
func beforeAfterPicture() string {
	c := newCanvas(900, 500, "Before and after: one Redis, and a set of three with memory in front")
	c.tips()
	c.text(20, 32, font(18, ink)+` font-weight="600"`, "Before")
	c.text(20, 50, font(12, grey), "One server. When it fails, every call fails.")
	c.box(20, 70, 250, 62, plain, "application", "a plain client")
	c.box(20, 220, 250, 62, sand, "Redis", "the only copy")
	c.arrow(145, 132, 145, 218)
	c.text(155, 180, font(12, grey), "reads and writes")

	c.add(`<line x1="320" y1="20" x2="320" y2="480" stroke="%s" stroke-dasharray="4 4"/>`, line)

	c.text(350, 32, font(18, ink)+` font-weight="600"`, "After")
	c.text(350, 50, font(12, grey), "Memory answers while there is no master. Writes are kept for the next one.")
	c.box(350, 70, 250, 62, plain, "application", "evercache as a library, or over HTTP")
	c.box(350, 170, 250, 80, blue, "evercache", "memory: values, kept writes", "knows the master by the word", "of a majority, and asks ROLE")
	c.arrow(475, 132, 475, 168)

	c.box(640, 170, 240, 80, plain, "3 sentinels", "watch the master, elect, promote:", "a majority of two is enough")
	c.arrow(600, 210, 638, 210)
	c.text(605, 200, font(11, grey), "listens")

	c.box(350, 340, 150, 62, mint, "Redis", "master")
	c.box(540, 340, 150, 62, sand, "Redis", "replica: the next one")
	c.box(730, 340, 150, 62, sand, "Redis", "replica")
	c.arrow(425, 250, 425, 338)
	c.text(415, 300, font(12, grey)+` text-anchor="end"`, "writes")
	c.arrow(500, 371, 538, 371)
	c.add(`<path d="M 425 402 V 440 H 805 V 404" fill="none" stroke="%s" stroke-width="1.5" marker-end="url(#tip)"/>`, grey)
	c.text(560, 457, font(12, grey), "replication")
	c.arrow(700, 250, 480, 338)
	c.arrow(740, 250, 640, 338)
	c.arrow(790, 250, 805, 338)
	return c.end()
}
