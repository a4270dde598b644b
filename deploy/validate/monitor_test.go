package validate

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// monitor is what a ServiceMonitor and a PodMonitor have in common.
type monitor struct {
	name      string // of kind and object
	job       string // the label that Prometheus gives to all of it
	selector  metav1.LabelSelector
	endpoints []endpoint
}

type endpoint struct {
	port, path     string
	every, patient monitoringv1.Duration
	token          *monitoringv1.SafeAuthorization
}

func monitors(all []runtime.Object) (found []monitor) {
	for _, o := range all {
		switch o := o.(type) {
		case *monitoringv1.ServiceMonitor:
			m := monitor{name: "ServiceMonitor " + o.Name, selector: o.Spec.Selector}
			for _, e := range o.Spec.Endpoints {
				m.endpoints = append(m.endpoints, endpoint{e.Port, e.Path, e.Interval, e.ScrapeTimeout, e.Authorization})
			}
			found = append(found, m)
		case *monitoringv1.PodMonitor:
			m := monitor{name: "PodMonitor " + o.Name, job: o.Namespace + "/" + o.Name, selector: o.Spec.Selector}
			for _, e := range o.Spec.PodMetricsEndpoints {
				port := ""
				if e.Port != nil {
					port = *e.Port
				}
				m.endpoints = append(m.endpoints, endpoint{port, e.Path, e.Interval, e.ScrapeTimeout, e.Authorization})
			}
			found = append(found, m)
		}
	}
	return found
}

// monitorFaults: each monitor finds a container that shows metrics on that port, to
// others than itself, for the token that the monitor has.
func monitorFaults(all []runtime.Object) (faults []string) {
	for _, m := range monitors(all) {
		if len(m.endpoints) == 0 {
			faults = append(faults, m.name+" has no endpoint")
		}
		for _, e := range m.endpoints {
			faults = append(faults, m.timeFaults(e)...)
			faults = append(faults, m.tokenFaults(e, held(all))...)
			found := 0
			if strings.HasPrefix(m.name, "ServiceMonitor") {
				for _, s := range m.services(all) {
					found += len(s.Spec.Ports)
					faults = append(faults, m.serviceFaults(all, s, e)...)
				}
			} else {
				for _, w := range workloads(all) {
					if matches(&m.selector, w.meta.Labels) {
						found++
						faults = append(faults, m.containerFaults(all, w, e.port, e)...)
					}
				}
				faults = append(faults, jobFaults(m.name, m.job)...)
			}
			if found == 0 {
				faults = append(faults, m.name+" finds nothing")
			}
		}
	}
	return faults
}

func (m monitor) services(all []runtime.Object) (found []*corev1.Service) {
	for _, o := range all {
		if s, ok := o.(*corev1.Service); ok && matches(&m.selector, s.Labels) {
			found = append(found, s)
		}
	}
	return found
}

// serviceFaults follows a port from the Service to the container.
func (m monitor) serviceFaults(all []runtime.Object, s *corev1.Service, e endpoint) (faults []string) {
	i := slices.IndexFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == e.port })
	if i < 0 {
		return []string{fmt.Sprintf("%s: Service %s has no port %s", m.name, s.Name, e.port)}
	}
	for _, w := range workloads(all) {
		if matches(&metav1.LabelSelector{MatchLabels: s.Spec.Selector}, w.meta.Labels) {
			faults = append(faults, m.containerFaults(all, w, s.Spec.Ports[i].TargetPort.String(), e)...)
		}
	}
	return append(faults, jobFaults(m.name, s.Name)...)
}

// jobFaults: the rules of deploy/monitoring take job=~".*evercache.*".
func jobFaults(name, job string) []string {
	if !strings.Contains(job, "evercache") {
		return []string{fmt.Sprintf("%s: the rules do not take the job %s", name, job)}
	}
	return nil
}

// containerFaults: the port belongs to an evercache that others reach, and that knows
// the token of the monitor.
func (m monitor) containerFaults(all []runtime.Object, w workload, port string, e endpoint) (faults []string) {
	add := func(format string, a ...any) { faults = append(faults, m.name+": "+fmt.Sprintf(format, a...)) }
	if e.path != "/metrics" {
		add("the metrics are at /metrics, not at %q", e.path)
	}
	for _, c := range w.containers() {
		i := slices.IndexFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == port })
		if i < 0 {
			continue
		}
		env := environment(all, c)
		host, number, err := net.SplitHostPort(env["EVERCACHE_LISTEN"])
		switch ip := net.ParseIP(host); {
		case err != nil:
			add("%s does not say where it listens: %v", w, err)
		case host == "localhost" || ip != nil && ip.IsLoopback():
			add("%s listens on loopback only", w)
		case number != fmt.Sprint(c.Ports[i].ContainerPort):
			add("%s listens on %s, and its port %s is %d", w, number, port, c.Ports[i].ContainerPort)
		}
		if file := env["EVERCACHE_METRICS_TOKEN_FILE"]; e.token != nil && e.token.Credentials != nil && w.source(c, file) != e.token.Credentials.LocalObjectReference.Name+" "+e.token.Credentials.Key {
			add("%s takes the token of %q (%s), which is another one", w, file, w.source(c, file))
		}
		return faults
	}
	return append(faults, fmt.Sprintf("%s: %s has no port %s", m.name, w, port))
}

// source is the Secret and the key of a file in a container.
func (w workload) source(c corev1.Container, file string) string {
	for _, m := range c.VolumeMounts {
		i := slices.IndexFunc(w.spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name && v.Secret != nil })
		name, inside := strings.CutPrefix(file, m.MountPath+"/")
		if i < 0 || !inside {
			continue
		}
		for _, item := range w.spec.Volumes[i].Secret.Items {
			if item.Path == name {
				return w.spec.Volumes[i].Secret.SecretName + " " + item.Key
			}
		}
	}
	return ""
}

func (m monitor) tokenFaults(e endpoint, keys map[string][]string) []string {
	switch {
	case e.token == nil || e.token.Credentials == nil:
		return []string{m.name + " has no token"}
	case !slices.Contains(keys["Secret "+e.token.Credentials.Name], e.token.Credentials.Key):
		return []string{fmt.Sprintf("%s: there is no Secret %s with a key %s", m.name, e.token.Credentials.Name, e.token.Credentials.Key)}
	}
	return nil
}

// operatorTime is what the operator's schema takes as a time.
var operatorTime = regexp.MustCompile(`^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$`)

// timeFaults: the operator leaves out a monitor that waits longer than its interval.
func (m monitor) timeFaults(e endpoint) (faults []string) {
	for _, d := range []monitoringv1.Duration{e.every, e.patient} {
		if d == "" || !operatorTime.MatchString(string(d)) {
			faults = append(faults, fmt.Sprintf("%s: %q is no time", m.name, d))
		}
	}
	every, err1 := time.ParseDuration(string(e.every))
	patient, err2 := time.ParseDuration(string(e.patient))
	if err1 == nil && err2 == nil && patient > every {
		faults = append(faults, fmt.Sprintf("%s: it waits %v for an answer, and asks every %v", m.name, patient, every))
	}
	return faults
}

func TestMonitorsThatDoNotFitAreFound(t *testing.T) {
	overlays := map[string][]string{"prod": build(t, "prod"), "sidecar": build(t, "sidecar")}
	for overlay, docs := range overlays {
		if found := monitors(objects(t, docs)); len(found) != 1 {
			t.Errorf("%s has %d monitors", overlay, len(found))
		}
	}
	for _, planted := range []struct{ overlay, kind, name, old, text, want string }{
		{"prod", "ServiceMonitor", "evercache", "matchLabels:\n      app.kubernetes.io/name: evercache", "matchLabels:\n      app.kubernetes.io/name: evercash", "finds nothing"},
		{"prod", "ServiceMonitor", "evercache", "port: http", "port: metrics", "has no port metrics"},
		{"prod", "ServiceMonitor", "evercache", "key: metrics-token", "key: token", "which is another one"},
		{"prod", "ServiceMonitor", "evercache", "path: /metrics", "path: /metric", "not at \"/metric\""},
		{"sidecar", "PodMonitor", "evercache-sidecar", `evercache.io/sidecar: "true"`, `evercache.io/sidecar: "yes"`, "finds nothing"},
		{"sidecar", "PodMonitor", "evercache-sidecar", "port: evercache", "port: http", "has no port http"},
		{"sidecar", "PodMonitor", "evercache-sidecar", "port: evercache", "targetPort: 3000", "has no port"},
		{"sidecar", "PodMonitor", "evercache-sidecar", "scrapeTimeout: 10s", "scrapeTimeout: 20s", "it waits 20s for an answer"},
		{"sidecar", "PodMonitor", "evercache-sidecar", "interval: 15s", "interval: 15 s", `"15 s" is no time`},
		{"sidecar", "PodMonitor", "evercache-sidecar", "name: evercache-secrets", "name: evercache-secret", "there is no Secret evercache-secret"},
		{"sidecar", "PodMonitor", "evercache-sidecar", "key: metrics-token", "key: metrics", "with a key metrics"},
		{"sidecar", "PodMonitor", "evercache-sidecar", "  name: evercache-sidecar", "  name: sidecar", "the rules do not take the job shop/sidecar"},
		{"sidecar", "Deployment", "app", "value: :3000", "value: 127.0.0.1:3000", "listens on loopback only"},
		{"sidecar", "Deployment", "app", "value: :3000", "value: :3001", "listens on 3001"},
		{"sidecar", "Deployment", "app", "value: /secrets/metrics-token", "value: /secrets/token", "which is another one"},
		{"sidecar", "Deployment", "app", `evercache.io/sidecar: "true"`, `evercache.io/car: "true"`, "finds nothing"},
	} {
		t.Run(planted.overlay+" "+planted.text, func(t *testing.T) {
			docs := spoil(t, overlays[planted.overlay], planted.kind, planted.name, planted.old, planted.text)
			if found := strings.Join(crossFaults(objects(t, docs)), "\n"); !strings.Contains(found, planted.want) {
				t.Errorf("found %q, want %q", found, planted.want)
			}
		})
	}
}
