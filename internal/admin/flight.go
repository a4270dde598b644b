package admin

import (
	"bytes"
	"errors"
	"runtime/trace"
	"sync"
	"time"
)

// What the recorder keeps: about so much of the past.
const (
	flightAge   = 10 * time.Second
	flightBytes = 16 << 20
	// mostKept bounds what one reading may take.
	mostKept = 4 * flightBytes
)

// Flight is the runtime's flight recorder. One may run in a process at a time.
type Flight struct {
	recorder *trace.FlightRecorder
	reading  sync.Mutex

	mu   sync.Mutex // guards the rest
	at   time.Time
	last []byte
}

// StartFlight starts the recorder, which costs a percent or two of the processor.
func StartFlight() (*Flight, error) {
	f := &Flight{recorder: trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: flightAge, MaxBytes: flightBytes})}
	if err := f.recorder.Start(); err != nil {
		return nil, err
	}
	return f, nil
}

// Stop ends it; what is kept stays.
func (f *Flight) Stop() {
	if f != nil {
		f.recorder.Stop()
	}
}

// Keep keeps what happened until now, in place of what was kept before.
func (f *Flight) Keep() {
	if f == nil {
		return
	}
	part, err := f.take()
	if err != nil {
		return // somebody reads it at this moment
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.last = time.Now(), part
}

// Last is what was kept last.
func (f *Flight) Last() (at time.Time, part []byte, ok bool) {
	if f == nil {
		return at, nil, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at, f.last, f.last != nil
}

// take reads the recorder, one at a time.
func (f *Flight) take() ([]byte, error) {
	if !f.reading.TryLock() {
		return nil, errBusy
	}
	defer f.reading.Unlock()
	b := bounded{left: mostKept}
	if _, err := f.recorder.WriteTo(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// bounded is a buffer with a bound.
type bounded struct {
	bytes.Buffer
	left int
}

var errLong = errors.New("it has recorded more than may be kept")

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errLong
	}
	return b.Buffer.Write(p)
}
