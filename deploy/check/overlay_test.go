package check

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

func executable(t *testing.T, file string) string {
	t.Helper()
	if err := os.Chmod(file, 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// overlaid is compose.yml with the text of an overlay over it, as docker compose reads
// two files.
func overlaid(t *testing.T, overlay string) (*types.Project, error) {
	t.Helper()
	dir, err := filepath.Abs(compose)
	if err != nil {
		t.Fatal(err)
	}
	return loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: dir,
		ConfigFiles: []types.ConfigFile{
			{Filename: filepath.Join(dir, "compose.yml"), Content: []byte(read(t, filepath.Join(dir, "compose.yml")))},
			{Filename: filepath.Join(dir, "compose.monitoring.yml"), Content: []byte(overlay)},
		},
	})
}

// overlayFaults lists what the schema cannot know of the three servers.
func overlayFaults(p *types.Project, setup string) (all []string) {
	for _, name := range []string{"alertmanager", "grafana", "prometheus"} {
		s, ok := p.Services[name]
		if !ok {
			all = append(all, "no service "+name)
			continue
		}
		for _, f := range append(confinement(s), monitorFaults(s)...) {
			all = append(all, name+": "+f)
		}
	}
	for name, s := range p.Secrets {
		if !strings.Contains(setup, name) || filepath.Base(s.File) != name {
			all = append(all, "setup.sh does not make the secret "+name)
		}
	}
	for _, v := range []string{"prometheus", "alertmanager", "grafana"} {
		if _, ok := p.Volumes[v]; !ok {
			all = append(all, "no volume "+v)
		}
	}
	slices.Sort(all)
	return all
}

func monitorFaults(s types.ServiceConfig) (all []string) {
	if s.HealthCheck == nil {
		all = append(all, "no health check")
	}
	if len(s.Ports) != 1 || s.Ports[0].HostIP != "127.0.0.1" {
		all = append(all, fmt.Sprintf("it is published on %v", s.Ports))
	}
	if _, ok := s.Networks["redis"]; ok {
		all = append(all, "it reaches Redis")
	}
	for name, value := range s.Environment {
		if strings.HasSuffix(name, "PASSWORD") && value != nil {
			all = append(all, "a password in its environment: "+name)
		}
	}
	for _, secret := range s.Secrets {
		if secret.Source != "metrics-token" && secret.Source != "grafana-password" {
			all = append(all, "it has the secret "+secret.Source)
		}
	}
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeBind {
			continue
		}
		if _, err := os.Stat(v.Source); err != nil || !v.ReadOnly {
			all = append(all, fmt.Sprintf("%s is not there, or can be written", v.Source))
		}
	}
	return all
}

// scrapeFaults: evercache is where Prometheus looks for it, and answers to that name.
func scrapeFaults(p *types.Project, prometheus string) (all []string) {
	var config struct {
		Jobs []struct {
			Name   string `yaml:"job_name"`
			Static []struct{ Targets []string }
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(prometheus, "static_configs", "static")), &config); err != nil {
		return []string{err.Error()}
	}
	found := false
	for _, job := range config.Jobs {
		for _, s := range job.Static {
			for _, target := range s.Targets {
				host, port, _ := strings.Cut(target, ":")
				if host == "localhost" {
					continue
				}
				found = true
				env := p.Services[host].Environment
				if listen := env["EVERCACHE_LISTEN"]; listen == nil || *listen != ":"+port {
					all = append(all, fmt.Sprintf("job %s: nobody listens on %s", job.Name, target))
				}
				if hosts := env["EVERCACHE_HOSTS"]; hosts == nil || !slices.Contains(strings.Split(*hosts, ","), host) {
					all = append(all, fmt.Sprintf("job %s: evercache refuses requests to %s: EVERCACHE_HOSTS", job.Name, host))
				}
			}
		}
	}
	if !found {
		all = append(all, "Prometheus reads nothing")
	}
	return all
}

func TestPrometheusReachesEvercacheByAName(t *testing.T) {
	prometheus := read(t, monitoring+"/prometheus.yml")
	p, err := overlaid(t, read(t, filepath.Join(compose, "compose.monitoring.yml")))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range scrapeFaults(p, prometheus) {
		t.Error(f)
	}
	for planted, want := range map[string]string{
		strings.ReplaceAll(prometheus, "evercache:3000", "evercache:3001"): "nobody listens on evercache:3001",
		strings.ReplaceAll(prometheus, "evercache:3000", "cache:3000"):     "refuses requests to cache",
		strings.ReplaceAll(prometheus, "evercache:3000", "localhost:3000"): "reads nothing",
	} {
		if found := strings.Join(scrapeFaults(p, planted), "\n"); !strings.Contains(found, want) {
			t.Errorf("found %q, want %q", found, want)
		}
	}
	delete(p.Services["evercache"].Environment, "EVERCACHE_HOSTS")
	if found := scrapeFaults(p, prometheus); len(found) != 1 || !strings.Contains(found[0], "EVERCACHE_HOSTS") {
		t.Errorf("a name that evercache does not know: found %q", found)
	}
}

func TestTheMonitoringOverlayIsSound(t *testing.T) {
	text, setup := read(t, filepath.Join(compose, "compose.monitoring.yml")), read(t, filepath.Join(compose, "setup.sh"))
	p, err := overlaid(t, text)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range overlayFaults(p, setup) {
		t.Error(f)
	}
	if n := len(p.Services); n != 10 {
		t.Errorf("%d services, want the 7 of compose.yml and 3", n)
	}
	for what, planted := range map[string]struct{ old, text, want string }{
		"a misspelt key":        {"    mem_limit: 512m", "    memlimit: 512m", "memlimit"},
		"a latest image":        {"prom/alertmanager:v0.27.0", "prom/alertmanager:latest", "alertmanager: its image is not pinned"},
		"a public port":         {"127.0.0.1:${GRAFANA_PORT", "0.0.0.0:${GRAFANA_PORT", "grafana: it is published"},
		"a default password":    {"GF_SECURITY_ADMIN_PASSWORD__FILE: /run/secrets/grafana-password", "GF_SECURITY_ADMIN_PASSWORD: admin", "a password in its environment"},
		"a secret of nobody":    {"  grafana-password: {file: ./secrets/grafana-password}", "  grafana-password: {file: ./secrets/grafana}", "setup.sh does not make"},
		"files that can change": {"../monitoring:/etc/prometheus:ro", "../monitoring:/etc/prometheus", "can be written"},
		"a folder of nowhere":   {"../monitoring/grafana/dashboards:", "../monitoring/dashboards:", "is not there"},
		"the way to Redis":      {"networks: [front]", "networks: [front, redis]", "it reaches Redis"},
		"the whole token":       {"    secrets: [metrics-token]\n    volumes", "    secrets: [token]\n    volumes", "prometheus: it has the secret token"},
		"capabilities":          {"cap_drop: [ALL]", "cap_drop: [NET_RAW]", "it keeps capabilities"},
	} {
		spoiled := strings.Replace(text, planted.old, planted.text, 1)
		if spoiled == text {
			t.Errorf("%s: %q is not in the file", what, planted.old)
		}
		p, err := overlaid(t, spoiled)
		found := fmt.Sprint(err)
		if err == nil {
			found = strings.Join(overlayFaults(p, setup), "\n")
		}
		if !strings.Contains(found, planted.want) {
			t.Errorf("%s: found %q, want %q", what, found, planted.want)
		}
	}
}

// What Prometheus, Alertmanager and Grafana are told of each other is what the overlay
// calls them, and the folders are where they are mounted.
func TestTheMonitorsFindEachOther(t *testing.T) {
	p, err := overlaid(t, read(t, filepath.Join(compose, "compose.monitoring.yml")))
	if err != nil {
		t.Fatal(err)
	}
	prometheus := read(t, filepath.Join(monitoring, "prometheus.yml"))
	for _, want := range []string{`"alertmanager:9093"`, `"evercache:3000"`, "/run/secrets/metrics-token"} {
		if !strings.Contains(prometheus, want) {
			t.Errorf("prometheus.yml does not have %s", want)
		}
	}
	var source struct {
		Datasources []struct{ Type, URL string }
	}
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join(monitoring, "grafana/provisioning/datasources/prometheus.yml"))), &source); err != nil {
		t.Fatal(err)
	}
	if len(source.Datasources) != 1 || source.Datasources[0].Type != "prometheus" || source.Datasources[0].URL != "http://prometheus:9090" {
		t.Errorf("the data source is %+v", source)
	}
	var provider struct {
		Providers []struct{ Options struct{ Path string } }
	}
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join(monitoring, "grafana/provisioning/dashboards/evercache.yml"))), &provider); err != nil {
		t.Fatal(err)
	}
	mounted := slices.ContainsFunc(p.Services["grafana"].Volumes, func(v types.ServiceVolumeConfig) bool {
		return len(provider.Providers) == 1 && v.Target == provider.Providers[0].Options.Path && filepath.Base(v.Source) == "dashboards"
	})
	if !mounted {
		t.Errorf("the dashboards are not where %+v looks", provider)
	}
	for _, volume := range p.Services["prometheus"].Volumes {
		if volume.Type == types.VolumeTypeBind && volume.Target != "/etc/prometheus" {
			t.Errorf("prometheus.yml is at %s", volume.Target)
		}
	}
}
