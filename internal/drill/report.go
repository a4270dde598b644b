package drill

import (
	"time"
)

// Outcomes.
const (
	Passed = "passed"
	Missed = "failed" // a gate was missed, or the drill itself failed
)

// Report is what a drill found. Fields may be added, none is renamed. It holds no secret.
type Report struct {
	Outcome    string    `json:"outcome"`
	ID         string    `json:"id"`
	At         time.Time `json:"at"`
	Mode       string    `json:"mode"`
	MasterName string    `json:"masterName,omitempty"`
	Trigger    string    `json:"trigger"`
	Did        string    `json:"did,omitempty"` // what the trigger has said
	Rate       int       `json:"rate"`          // calls a second of each client
	TrafficMS  float64   `json:"trafficMs"`
	TriggerMS  *float64  `json:"triggerMs"` // since the beginning of the traffic
	Servers    Marks     `json:"servers"`
	// LostBytes is what the old master had taken and the new one never got, as far as was seen; null: it cannot be told.
	LostBytes   *int64   `json:"lostBytes"`
	Clients     []Client `json:"clients"` // evercache first
	Gates       []Gate   `json:"gates"`
	Faults      []string `json:"faults"` // of the drill itself
	Events      []Event  `json:"events"`
	KeysRemoved int      `json:"keysRemoved"`
}

func newReport(id string, o Options) Report {
	return Report{
		ID: id, At: time.Now().UTC().Truncate(time.Millisecond), Mode: o.Survey.Mode.String(), MasterName: o.Survey.MasterName,
		Trigger: o.Trigger, Rate: o.Rate, Clients: []Client{}, Gates: []Gate{}, Faults: []string{}, Events: []Event{},
	}
}

// finish counts and judges.
func (r *run) finish() {
	rep := &r.report
	r.witness.close()
	rep.Servers, rep.Events = r.witness.marks, append(rep.Events, r.witness.events...)
	if n, ok := r.witness.lostBytes(); ok {
		rep.LostBytes = &n
	}
	pulled := time.Duration(-1)
	if !r.pulled.IsZero() {
		pulled = r.pulled.Sub(r.began)
	}
	for _, e := range r.entries {
		c := count(e.name, e.load.calls, pulled, time.Duration(rep.TrafficMS*float64(time.Millisecond)))
		c.FirstError = e.load.first
		if k := &e.load.keys; k.compared {
			c.Lost, c.Undone = &k.lost, &k.undone
		}
		rep.Clients = append(rep.Clients, c)
	}
	rep.Gates = r.Gates.judge(rep.Clients[0])
	rep.Outcome = outcome(rep.Gates, rep.Faults)
}
