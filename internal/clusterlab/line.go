package main

// The lines of a file, in the words of the format.

type header struct {
	Kind        string                `json:"kind"`
	Scenario    string                `json:"scenario"`
	About       string                `json:"about"`
	Server      string                `json:"server"`
	Version     string                `json:"version"`
	NodeTimeout int64                 `json:"node_timeout_ms"`
	Coverage    bool                  `json:"full_coverage"`
	Nodes       map[string]headerNode `json:"nodes"`
	Barriers    []shard               `json:"barriers"`
	View        [2]int64              `json:"view_ms"`
	Barrier     [2]int64              `json:"barrier_ms"`
}

type headerNode struct {
	Addr  string   `json:"addr"`
	ID    string   `json:"id"`
	RunID string   `json:"run_id"`
	Role  string   `json:"role"`
	Of    string   `json:"of,omitempty"`
	Slots []string `json:"slots,omitempty"`
}

// moment is where and when a line comes from.
type moment struct {
	T    float64 `json:"t"`
	Src  string  `json:"src"`
	Kind string  `json:"kind"`
	Took float64 `json:"took,omitempty"`
}

func (m *moment) setTime(t float64) { m.T = t }

type action struct {
	moment
	What  string `json:"what"`
	On    string `json:"on,omitempty"`
	To    string `json:"to,omitempty"`
	Slots string `json:"slots,omitempty"`
	Text  string `json:"text,omitempty"`
	Done  bool   `json:"done,omitempty"`
}

type viewLine struct {
	moment
	Error   string            `json:"error,omitempty"`
	Role    any               `json:"role,omitempty"`
	Nodes   string            `json:"nodes,omitempty"`
	Info    map[string]string `json:"info,omitempty"`
	Cluster map[string]string `json:"cluster,omitempty"`
	RunID   string            `json:"run_id,omitempty"`
	Refused map[string]string `json:"refused,omitempty"`
}

type barrierLine struct {
	moment
	Shard string `json:"shard"`
	N     int64  `json:"n"`
	Found int64  `json:"found"`
	Acked int64  `json:"acked"`
	Set   bool   `json:"set,omitempty"` // the SET was answered and the WAIT was not
	Error string `json:"error,omitempty"`
}

type truth struct {
	Kind      string              `json:"kind"`
	Owners    map[string][]string `json:"owners"`
	Strangers []string            `json:"strangers,omitempty"`
	Roles     map[string]string   `json:"roles"`
	Epochs    map[string]uint64   `json:"epochs"`
	Promoted  []change            `json:"promoted"`
	Demoted   []change            `json:"demoted"`
	Started   []change            `json:"started"`
	Writes    map[string]writes   `json:"writes"`
}

type change struct {
	T    float64 `json:"t"`
	Node string  `json:"node"`
}

type writes struct {
	Accepted int          `json:"accepted"`
	Spans    [][2]float64 `json:"spans"`
	Lost     int          `json:"lost"`
}
