package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

const alertmanagerFile = monitoring + "/alertmanager.yml"

func amtool(t *testing.T, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "amtool", args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("amtool: %v (make deploy-check installs it)", err)
	}
	return strings.TrimSpace(string(out)), err == nil
}

func TestAlertsAreRoutedBySeverity(t *testing.T) {
	t.Parallel()
	if out, ok := amtool(t, "check-config", alertmanagerFile); !ok {
		t.Fatal(out)
	}
	for severity, want := range map[string]string{"critical": "on-call", "warning": "tickets", "info": "notes", "unheard-of": "tickets"} {
		if got, ok := amtool(t, "config", "routes", "test", "--config.file", alertmanagerFile, "severity="+severity, "alertname=EvercacheDown"); !ok || got[strings.LastIndex(got, "\n")+1:] != want { // a warning comes before
			t.Errorf("%s goes to %q, want %q", severity, got, want)
		}
	}
	bad := strings.Replace(read(t, alertmanagerFile), "receiver: on-call", "receiver: nobody", 1)
	if out, ok := amtool(t, "check-config", write(t, filepath.Join(t.TempDir(), "am.yml"), bad)); ok || !strings.Contains(out, "nobody") {
		t.Errorf("a receiver that is not there is accepted: %s", out)
	}
}

var alertNames = regexp.MustCompile(`alertname=~?"([^"]*)"`)

// inhibitFaults lists names of alerts in the inhibitions that are no alerts, and labels
// that the two cannot have in common.
func inhibitFaults(t *testing.T, text string, all []rule) (faults []string) {
	t.Helper()
	var config struct {
		Rules []struct {
			Source []string `yaml:"source_matchers"`
			Target []string `yaml:"target_matchers"`
			Equal  []string `yaml:"equal"`
		} `yaml:"inhibit_rules"`
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	if len(config.Rules) < 8 {
		faults = append(faults, fmt.Sprintf("only %d inhibitions", len(config.Rules)))
	}
	known := map[string]bool{"Evercache.*": true}
	for _, r := range all {
		known[r.Alert] = true
	}
	for _, r := range config.Rules {
		if len(r.Equal) == 0 || r.Equal[0] != "job" {
			faults = append(faults, fmt.Sprintf("%v silences other jobs", r.Source))
		}
		for _, m := range alertNames.FindAllStringSubmatch(strings.Join(append(r.Source, r.Target...), " "), -1) {
			for name := range strings.SplitSeq(m[1], "|") {
				if !known[name] {
					faults = append(faults, name+" is no alert")
				}
			}
		}
	}
	return faults
}

func TestInhibitionsNameAlertsThatExist(t *testing.T) {
	text, all := read(t, alertmanagerFile), alerts(t)
	for _, f := range inhibitFaults(t, text, all) {
		t.Error(f)
	}
	for planted, want := range map[string]string{
		strings.Replace(text, `alertname="EvercacheQuorumLost"`, `alertname="EvercacheQuorum"`, 1): "EvercacheQuorum is no alert",
		strings.Replace(text, "EvercacheReplicaDown|", "EvercacheReplica|", 1):                     "EvercacheReplica is no alert",
		strings.Replace(text, "equal: [job, instance]", "equal: [instance]", 1):                    "silences other jobs",
	} {
		if found := strings.Join(inhibitFaults(t, planted, all), "\n"); !strings.Contains(found, want) {
			t.Errorf("found %q, want %q", found, want)
		}
	}
}

// alertmanager is a real one with our file.
type alertmanager struct {
	t   *testing.T
	url string
}

func startAlertmanager(t *testing.T) *alertmanager {
	t.Helper()
	program := "alertmanager"
	if _, err := exec.LookPath("prometheus-alertmanager"); err == nil {
		program = "prometheus-alertmanager"
	}
	// group_wait and the like do not matter here: nothing is sent anywhere.
	a := &alertmanager{t: t, url: "http://127.0.0.1:" + freePort(t)}
	p := spawn(t, nil, program, "--config.file="+alertmanagerFile, "--storage.path="+t.TempDir(),
		"--cluster.listen-address=", "--web.listen-address="+strings.TrimPrefix(a.url, "http://"))
	eventually(t, 20*time.Second, "alertmanager", func() error {
		resp, err := http.Get(a.url + "/-/ready")
		if err != nil {
			return fmt.Errorf("%w; its log:\n%s", err, &p.log)
		}
		return resp.Body.Close()
	})
	return a
}

// tell reports firing alerts with these labels.
func (a *alertmanager) tell(labels ...map[string]string) {
	a.t.Helper()
	var all []map[string]any
	for _, l := range labels {
		all = append(all, map[string]any{"labels": l, "endsAt": time.Now().Add(time.Hour)})
	}
	data, err := json.Marshal(all)
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := http.Post(a.url+"/api/v2/alerts", "application/json", bytes.NewReader(data))
	if err != nil || resp.StatusCode != http.StatusOK {
		a.t.Fatalf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
}

// states is active or suppressed for each alert and instance that was told.
func (a *alertmanager) states() map[string]string {
	a.t.Helper()
	resp, err := http.Get(a.url + "/api/v2/alerts")
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	var all []struct {
		Labels map[string]string
		Status struct{ State string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		a.t.Fatal(err)
	}
	states := map[string]string{}
	for _, x := range all {
		states[x.Labels["alertname"]+" "+x.Labels["instance"]] = x.Status.State
	}
	return states
}

func (a *alertmanager) await(want map[string]string) {
	a.t.Helper()
	eventually(a.t, 20*time.Second, "what is suppressed", func() error {
		got := a.states()
		for name, state := range want {
			if got[name] != state {
				return fmt.Errorf("%s is %q, want %q", name, got[name], state)
			}
		}
		return nil
	})
}

func alertOf(t *testing.T, name, instance string) map[string]string {
	t.Helper()
	for _, r := range alerts(t) {
		if r.Alert == name {
			l := map[string]string{"alertname": name, "job": "evercache", "instance": instance}
			for k, v := range r.Labels {
				l[k] = v
			}
			return l
		}
	}
	t.Fatalf("%s is no alert", name)
	return nil
}

func TestTheWorseAlertSilencesWhatFollowsFromIt(t *testing.T) {
	t.Parallel()
	a := startAlertmanager(t)
	a.tell(alertOf(t, "EvercacheDown", "a"), alertOf(t, "EvercacheDegraded", "a"), alertOf(t, "EvercacheDegraded", "b"),
		alertOf(t, "EvercacheOutboxWaiting", "b"), alertOf(t, "EvercacheHitRatioDrop", ""), alertOf(t, "EvercacheDatasetReset", "a"))
	a.await(map[string]string{
		"EvercacheDown a": "active", "EvercacheDegraded a": "suppressed", "EvercacheDatasetReset a": "active",
		"EvercacheDegraded b": "active", "EvercacheOutboxWaiting b": "suppressed", "EvercacheHitRatioDrop ": "suppressed",
	})
}

// drill.sh silences what a drill is expected to raise, as long as it runs and no longer.
func TestADrillIsSilent(t *testing.T) {
	t.Parallel()
	a := startAlertmanager(t)
	a.tell(alertOf(t, "EvercacheDegraded", "a"), alertOf(t, "EvercacheSplitView", "a"))
	done := filepath.Join(t.TempDir(), "done")
	fake := write(t, filepath.Join(t.TempDir(), "evercache"), "#!/bin/sh\necho \"args: $*\"\nuntil [ -e "+done+" ]; do sleep 0.1; done\nexit 1\n")
	p := spawn(t, []string{"ALERTMANAGER_URL=" + a.url, "EVERCACHE=" + executable(t, fake), "JOB=evercache"}, monitoring+"/drill.sh", "--trigger", "failover", "--yes")
	eventually(t, 20*time.Second, "the drill runs", func() error {
		if !strings.Contains(p.log.String(), "args: drill --trigger failover --yes") {
			return fmt.Errorf("it prints %q", p.log.String())
		}
		return nil
	})
	a.await(map[string]string{"EvercacheDegraded a": "suppressed", "EvercacheSplitView a": "active"})
	write(t, done, "")
	<-p.exited
	if status := p.cmd.ProcessState.ExitCode(); status != 1 {
		t.Errorf("it ends with status %d, want that of the drill; its log:\n%s", status, &p.log)
	}
	a.await(map[string]string{"EvercacheDegraded a": "active", "EvercacheSplitView a": "active"})
}
