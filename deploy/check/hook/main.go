// Command hook takes what Alertmanager sends to its receivers, and prints a line for each
// alert: time, receiver, firing or resolved, name. live.sh runs it.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"path"
	"time"
)

const maxBytes = 1 << 20 // of a notification

// notification is the part of one that is printed.
type notification struct {
	Alerts []struct {
		Status string
		Labels map[string]string
	}
}

func main() {
	listen := flag.String("listen", ":80", "where to listen")
	flag.Parse()
	server := &http.Server{Addr: *listen, Handler: http.HandlerFunc(take), ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second}
	log.Fatal("hook: ", server.ListenAndServe())
}

func take(w http.ResponseWriter, r *http.Request) {
	var n notification
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBytes))
	if err == nil {
		err = json.Unmarshal(body, &n)
	}
	if err != nil {
		http.Error(w, "this is no notification: "+err.Error(), http.StatusBadRequest)
		return
	}
	for _, a := range n.Alerts {
		fmt.Println(time.Now().Format(time.TimeOnly), path.Base(r.URL.Path), a.Status, a.Labels["alertname"])
	}
}
