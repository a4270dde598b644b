package main

import (
	"fmt"
	"strings"
)

// The colours of all pictures. They are on white, so that they can be read on dark
// pages too.
const (
	ink   = "#1f2328"
	grey  = "#59636e"
	line  = "#8c959f"
	good  = "#2da44e"
	kept  = "#bf8700"
	bad   = "#cf222e"
	plain = "#f6f8fa"
	blue  = "#ddf4ff"
	mint  = "#dafbe1"
	sand  = "#fff8c5"
)

// canvas is a picture that is being drawn.
type canvas struct {
	strings.Builder
	width, height int
}

func newCanvas(width, height int, title string) *canvas {
	c := &canvas{width: width, height: height}
	c.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">`, width, height, width, height)
	c.add(`<title>%s</title>`, escape(title))
	c.add(`<rect width="%d" height="%d" rx="8" fill="#ffffff"/>`, width, height)
	return c
}

func (c *canvas) add(format string, a ...any) { fmt.Fprintf(c, format+"\n", a...) }

// end closes the picture.
func (c *canvas) end() string {
	c.add(`</svg>`)
	return c.String()
}

// text writes one line; style is a list of SVG attributes.
func (c *canvas) text(x, y int, style, text string) {
	c.add(`<text x="%d" y="%d" %s>%s</text>`, x, y, style, escape(text))
}

// box is a rectangle with a heading and lines below it.
func (c *canvas) box(x, y, w, h int, fill, heading string, lines ...string) {
	c.add(`<rect x="%d" y="%d" width="%d" height="%d" rx="6" fill="%s" stroke="%s"/>`, x, y, w, h, fill, line)
	c.text(x+12, y+21, font(14, ink)+` font-weight="600"`, heading)
	for i, l := range lines {
		c.text(x+12, y+40+17*i, font(12, grey), l)
	}
}

// arrow goes straight from one point to another.
func (c *canvas) arrow(x1, y1, x2, y2 int) {
	c.add(`<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="%s" stroke-width="1.5" marker-end="url(#tip)"/>`, x1, y1, x2, y2, grey)
}

// tips defines the tip of an arrow.
func (c *canvas) tips() {
	c.add(`<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="%s"/></marker></defs>`, grey)
}

func font(size int, fill string) string { return fmt.Sprintf(`font-size="%d" fill="%s"`, size, fill) }

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
