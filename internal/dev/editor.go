package dev

// editor turns keys into lines. It is a pure machine: keys in, lines out.
type editor struct {
	line    []byte
	escape  int // in an escape sequence: 1 after ESC, 2 after ESC [
	history []string
	at      int // where in the history the arrow keys are
}

// Bounds of what is typed.
const (
	maxTyped   = 200
	maxHistory = 50
)

// Keys.
const (
	ctrlC     = 0x03
	ctrlD     = 0x04
	backspace = 0x08
	ctrlU     = 0x15
	ctrlW     = 0x17
	escape    = 0x1b
	del       = 0x7f
)

// feed takes what was typed. end: Ctrl-D was pressed on an empty line.
func (e *editor) feed(keys []byte) (lines []string, end bool) {
	for _, k := range keys {
		if e.inEscape(k) {
			continue
		}
		switch {
		case k == '\r' || k == '\n':
			lines = append(lines, e.enter())
		case k == ctrlD && len(e.line) == 0:
			end = true
		case k == escape:
			e.escape = 1
		default:
			e.edit(k)
		}
	}
	return lines, end
}

func (e *editor) edit(k byte) {
	switch {
	case k == backspace || k == del:
		e.line = e.line[:max(0, len(e.line)-1)]
	case k == ctrlU:
		e.line = e.line[:0]
	case k == ctrlW:
		e.dropWord()
	case k >= ' ' && k < del && len(e.line) < maxTyped:
		e.line = append(e.line, k)
	}
}

func (e *editor) dropWord() {
	n := len(e.line)
	for n > 0 && e.line[n-1] == ' ' {
		n--
	}
	for n > 0 && e.line[n-1] != ' ' {
		n--
	}
	e.line = e.line[:n]
}

func (e *editor) enter() string {
	line := string(e.line)
	e.line = e.line[:0]
	if line != "" && (len(e.history) == 0 || e.history[len(e.history)-1] != line) {
		e.history = append(e.history, line)
		e.history = e.history[max(0, len(e.history)-maxHistory):]
	}
	e.at = len(e.history)
	return line
}

// inEscape swallows escape sequences. Arrow up and down walk through the history.
func (e *editor) inEscape(k byte) bool {
	switch e.escape {
	case 1:
		e.escape = 0
		if k == '[' || k == 'O' {
			e.escape = 2
		}
		return true
	case 2:
		if k >= 0x40 && k <= 0x7e {
			e.escape = 0
			e.arrow(k)
		}
		return true
	}
	return false
}

func (e *editor) arrow(k byte) {
	switch k {
	case 'A':
		e.at = max(0, e.at-1)
	case 'B':
		e.at = min(len(e.history), e.at+1)
	default:
		return
	}
	e.line = e.line[:0]
	if e.at < len(e.history) {
		e.line = append(e.line, e.history[e.at]...)
	}
}
