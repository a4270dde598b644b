// Package dashboards writes the dashboards under deploy/monitoring/grafana: a table of
// panels becomes JSON. So ids, places and variables are made in one place.
package dashboards

import (
	"encoding/json"
	"strings"
)

// Query is one line of a panel: $job and $instance are chosen above the dashboard.
type Query struct{ Expr, Legend string }

// Panel is one picture.
type Panel struct {
	Kind        string // timeseries, stat, table, state-timeline
	Title       string
	Description string
	Unit        string // as Grafana names it
	Width       int    // of 24; 0: 8
	Queries     []Query
	Words       map[string]string // what a value means, in place of a number
}

// Row is a heading and the panels below it.
type Row struct {
	Title  string
	Panels []Panel
}

// Dashboard is one file.
type Dashboard struct {
	UID, Title, Description string
	Variables               []Variable
	Rows                    []Row
}

// Variable is a choice above the dashboard: the values of a label.
type Variable struct{ Name, Query string }

const height = 7 // of a panel

type object = map[string]any

// datasource is what every panel asks: the one that is chosen above the dashboard.
var datasource = object{"type": "prometheus", "uid": "${datasource}"}

// JSON is the file that Grafana reads.
func (d Dashboard) JSON() ([]byte, error) {
	var panels []object
	id, y := 1, 0
	for _, r := range d.Rows {
		panels = append(panels, object{
			"id": id, "type": "row", "title": r.Title, "collapsed": false, "panels": []object{},
			"gridPos": object{"x": 0, "y": y, "w": 24, "h": 1},
		})
		id, y = id+1, y+1
		x := 0
		for _, p := range r.Panels {
			w := p.Width
			if w == 0 {
				w = 8
			}
			if x+w > 24 {
				x, y = 0, y+height
			}
			panels = append(panels, p.object(id, object{"x": x, "y": y, "w": w, "h": height}))
			id, x = id+1, x+w
		}
		y += height
	}
	data, err := json.MarshalIndent(object{
		"uid": d.UID, "title": d.Title, "description": d.Description, "tags": []string{"evercache"},
		"schemaVersion": 39, "version": 1, "editable": false, "graphTooltip": 1, "refresh": "30s", "timezone": "browser",
		"time":        object{"from": "now-3h", "to": "now"},
		"annotations": object{"list": []object{annotation()}},
		"templating":  object{"list": d.variables()},
		"panels":      panels,
	}, "", "  ")
	return append(data, '\n'), err
}

// annotation marks each failover in every panel.
func annotation() object {
	return object{
		"name": "Failovers", "enable": true, "iconColor": "red", "datasource": datasource,
		"expr":        `max by (job) (changes(evercache_failover_last_timestamp_seconds{job=~"$job"}[1m])) > 0 or max by (job) (changes(evercache_cluster_failover_last_timestamp_seconds{job=~"$job"}[1m])) > 0`,
		"titleFormat": "failover", "step": "1m",
	}
}

func (d Dashboard) variables() []object {
	list := []object{{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}}
	for _, v := range d.Variables {
		list = append(list, object{
			"name": v.Name, "label": strings.ReplaceAll(v.Name, "_", " "), "type": "query", "datasource": datasource,
			"query": v.Query, "definition": v.Query, "refresh": 2, "sort": 1,
			"multi": true, "includeAll": true, "allValue": ".*", "current": object{"text": "All", "value": "$__all"},
		})
	}
	return list
}

func (p Panel) object(id int, at object) object {
	var targets []object
	for i, q := range p.Queries {
		t := object{"refId": string(rune('A' + i)), "datasource": datasource, "expr": q.Expr, "legendFormat": q.Legend}
		if p.Kind == "table" {
			t["format"], t["instant"] = "table", true
		}
		targets = append(targets, t)
	}
	defaults := object{"unit": p.Unit}
	if len(p.Words) > 0 {
		options := object{}
		for value, word := range p.Words {
			options[value] = object{"text": word}
		}
		defaults["mappings"] = []object{{"type": "value", "options": options}}
	}
	o := object{
		"id": id, "type": p.Kind, "title": p.Title, "description": p.Description, "gridPos": at,
		"datasource": datasource, "targets": targets,
		"fieldConfig": object{"defaults": defaults, "overrides": []object{}},
	}
	switch p.Kind {
	case "stat":
		o["options"] = object{"reduceOptions": object{"calcs": []string{"lastNotNull"}}, "colorMode": "none"}
	case "timeseries":
		o["options"] = object{"legend": object{"displayMode": "table", "placement": "bottom", "calcs": []string{"lastNotNull", "max"}}}
	case "table":
		o["transformations"] = []object{{"id": "organize", "options": object{"excludeByName": object{"Time": true, "Value": true, "__name__": true}}}}
	}
	return o
}
