package validate

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// podFaults: what makes a pod end well, and start where it should.
func podFaults(all []runtime.Object) (faults []string) {
	for _, w := range workloads(all) {
		add := func(format string, a ...any) { faults = append(faults, w.String()+": "+fmt.Sprintf(format, a...)) }
		if w.spec.EnableServiceLinks == nil || *w.spec.EnableServiceLinks {
			add("variables are made for Services: enableServiceLinks")
		}
		if w.spec.AutomountServiceAccountToken == nil || *w.spec.AutomountServiceAccountToken {
			add("it has a token of the API server")
		}
		if w.kind == "StatefulSet" && len(w.claims) != 1 {
			add("its pods have no volume that stays")
		}
		for _, c := range w.containers() {
			if !pinned(c.Image) {
				add("the image %s is not pinned", c.Image)
			}
			if root := c.SecurityContext; root == nil || root.ReadOnlyRootFilesystem == nil || !*root.ReadOnlyRootFilesystem {
				add("%s may write to its root", c.Name)
			}
			if long := w.kind != "CronJob" && w.kind != "Job" && c.Name != "app"; long && c.LivenessProbe == nil {
				add("%s has no liveness probe", c.Name)
			} else if long && dependent(c.LivenessProbe) {
				add("the liveness of %s depends on others", c.Name)
			}
		}
		if most, grace := w.ending(), w.spec.TerminationGracePeriodSeconds; w.replicas > 0 && (grace == nil || *grace <= int64(most.Seconds())) {
			add("it is killed before its end is over, which may take %v", most)
		}
	}
	return faults
}

// dependent reports a probe that fails when something else fails.
func dependent(p *corev1.Probe) bool {
	switch {
	case p.Exec != nil:
		text := strings.Join(p.Exec.Command, " ")
		return text != "/bin/sh /set/health.sh alive" && !strings.HasSuffix(text, "/livez")
	case p.HTTPGet != nil:
		return p.HTTPGet.Path != "/livez"
	}
	return p.TCPSocket == nil
}

// ending is how long the end of a pod may take: of evercache EVERCACHE_DRAIN_TIMEOUT, of
// Redis the handover and its shutdown-timeout.
func (w workload) ending() (most time.Duration) {
	for _, c := range w.containers() {
		switch {
		case strings.Contains(c.Image, "evercache"):
			most += 10 * time.Second
		case c.Lifecycle != nil && c.Lifecycle.PreStop != nil:
			most += 40 * time.Second
		}
	}
	return most
}

func pinned(image string) bool {
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return strings.Contains(image, "@sha256:") || strings.Count(tag, ".") >= 2
}

// memoryFaults: each container has a limit of memory, and what runs in it keeps below.
func memoryFaults(all []runtime.Object) (faults []string) {
	for _, w := range workloads(all) {
		for _, c := range w.containers() {
			limit, asked := c.Resources.Limits.Memory().Value(), c.Resources.Requests.Memory().Value()
			if limit == 0 || asked != limit {
				faults = append(faults, fmt.Sprintf("%s: the limit of memory of %s is not what it asks for", w, c.Name))
				continue
			}
			env := environment(all, c)
			for name, most := range map[string]float64{"MAXMEMORY": 0.7, "GOMEMLIMIT": 0.9} {
				if name == "MAXMEMORY" && c.Name != "redis" {
					continue // it has the settings of the set, and no Redis in it
				}
				if n, ok := size(env[name]); ok && float64(n) > most*float64(limit) {
					faults = append(faults, fmt.Sprintf("%s: %s=%s is more than %.0f %% of the limit of %s", w, name, env[name], most*100, c.Name))
				}
			}
		}
	}
	return faults
}

var sized = regexp.MustCompile(`(?i)^([0-9]+)(k|m|g)i?b$`)

func size(text string) (bytes int64, ok bool) {
	m := sized.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	return n << (10 * (1 + strings.Index("kmg", strings.ToLower(m[2])))), err == nil
}

// environment is what a container gets, by value or from a ConfigMap.
func environment(all []runtime.Object, c corev1.Container) map[string]string {
	env := map[string]string{}
	for _, from := range c.EnvFrom {
		for _, o := range all {
			if m, ok := o.(*corev1.ConfigMap); ok && from.ConfigMapRef != nil && m.Name == from.ConfigMapRef.Name {
				for k, v := range m.Data {
					env[k] = v
				}
			}
		}
	}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	return env
}

// environmentFaults: evercache itself is asked what it thinks of the settings that the
// documents give it. Its files are those of the test.
func environmentFaults(all []runtime.Object) (faults []string) {
	for _, w := range workloads(all) {
		for _, c := range w.containers() {
			if !strings.Contains(c.Image, "evercache") || len(c.EnvFrom) == 0 {
				continue
			}
			for _, f := range judge(environment(all, c)) {
				faults = append(faults, fmt.Sprintf("%s: %s: %s", w, c.Name, f))
			}
		}
	}
	return faults
}

// agreementFaults: evercache looks for the set that is there.
func agreementFaults(all []runtime.Object) (faults []string) {
	var redis, ours map[string]string
	for _, w := range workloads(all) {
		for _, c := range w.containers() {
			switch env := environment(all, c); {
			case c.Name == "sentinel":
				redis = env
			case c.Name == "evercache" && env["REDIS_SENTINELS"] != "":
				ours = env
			}
		}
	}
	if redis == nil || ours == nil {
		return nil
	}
	for theirs, name := range map[string]string{"MASTER_NAME": "REDIS_SENTINEL_MASTER_NAME", "KEY_PREFIX": "REDIS_KEY_PREFIX", "SENTINELS": "REDIS_SENTINELS"} {
		if redis[theirs] != strings.ReplaceAll(ours[name], ",", " ") {
			faults = append(faults, fmt.Sprintf("%s is %q for evercache and %q for the set", name, ours[name], redis[theirs]))
		}
	}
	slices.Sort(faults)
	return faults
}
