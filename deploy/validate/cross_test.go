package validate

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// crossFaults lists what no schema knows: what one document says of another.
func crossFaults(all []runtime.Object) (faults []string) {
	for _, check := range []func([]runtime.Object) []string{
		selectorFaults, serviceFaults, disruptionFaults, referenceFaults, policyFaults, podFaults, memoryFaults, environmentFaults, agreementFaults, monitorFaults,
	} {
		faults = append(faults, check(all)...)
	}
	return faults
}

func matches(s *metav1.LabelSelector, l map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(l))
}

// selectorFaults: a workload finds its own pods, and no other finds them.
func selectorFaults(all []runtime.Object) (faults []string) {
	pods := workloads(all)
	for _, w := range pods {
		for _, other := range pods {
			if w.selector != nil && matches(w.selector, other.meta.Labels) != (w.String() == other.String()) {
				faults = append(faults, fmt.Sprintf("%s: its selector is wrong about the pods of %s", w, other))
			}
		}
	}
	return faults
}

// port is the container port of a name or number in a workload.
func (w workload) port(p intstr.IntOrString) (corev1.ContainerPort, bool) {
	for _, c := range w.containers() {
		for _, have := range c.Ports {
			if p.Type == intstr.String && have.Name == p.StrVal || p.Type == intstr.Int && have.ContainerPort == p.IntVal {
				return have, true
			}
		}
	}
	return corev1.ContainerPort{}, false
}

// serviceFaults: each Service leads to pods that have its ports; each node of a
// StatefulSet has one of its own, which leads to it though it is not ready.
func serviceFaults(all []runtime.Object) (faults []string) {
	services := map[string]*corev1.Service{}
	for _, o := range all {
		s, ok := o.(*corev1.Service)
		if !ok {
			continue
		}
		services[s.Name] = s
		selector := map[string]string{}
		for k, v := range s.Spec.Selector {
			if k != appsv1.StatefulSetPodNameLabel {
				selector[k] = v
			}
		}
		found := false
		for _, w := range workloads(all) {
			if !matches(&metav1.LabelSelector{MatchLabels: selector}, w.meta.Labels) {
				continue
			}
			found = true
			for _, p := range s.Spec.Ports {
				if _, ok := w.port(p.TargetPort); !ok {
					faults = append(faults, fmt.Sprintf("Service %s: %s has no port %s", s.Name, w, p.TargetPort.String()))
				}
			}
		}
		if !found {
			faults = append(faults, fmt.Sprintf("Service %s leads to no pod", s.Name))
		}
	}
	for _, w := range workloads(all) {
		if w.kind != "StatefulSet" {
			continue
		}
		for i := range w.replicas {
			name := fmt.Sprintf("%s-%d", w.name, i)
			s := services[name]
			if s == nil || s.Spec.Selector[appsv1.StatefulSetPodNameLabel] != name {
				faults = append(faults, "the pod "+name+" has no Service of its own")
			} else if !s.Spec.PublishNotReadyAddresses || s.Spec.ClusterIP == corev1.ClusterIPNone {
				faults = append(faults, "Service "+name+" has no address that is always there")
			}
		}
	}
	return faults
}

// disruptionFaults: each workload of more than one pod has a budget, which lets one go
// and not all.
func disruptionFaults(all []runtime.Object) (faults []string) {
	for _, w := range workloads(all) {
		if w.replicas < 2 {
			continue
		}
		budgets := 0
		for _, o := range all {
			b, ok := o.(*policyv1.PodDisruptionBudget)
			if !ok || !matches(b.Spec.Selector, w.meta.Labels) {
				continue
			}
			budgets++
			if most := b.Spec.MaxUnavailable; most == nil || most.Type != intstr.Int || most.IntVal < 1 || most.IntVal*2 > w.replicas {
				faults = append(faults, fmt.Sprintf("PodDisruptionBudget %s: not between one and half of the %d pods of %s", b.Name, w.replicas, w))
			}
		}
		if budgets != 1 {
			faults = append(faults, fmt.Sprintf("%s has %d disruption budgets", w, budgets))
		}
	}
	return faults
}

// held are the keys of the Secrets and ConfigMaps.
func held(all []runtime.Object) map[string][]string {
	keys := map[string][]string{}
	for _, o := range all {
		switch o := o.(type) {
		case *corev1.Secret:
			for k := range o.Data {
				keys["Secret "+o.Name] = append(keys["Secret "+o.Name], k)
			}
		case *corev1.ConfigMap:
			for k := range o.Data {
				keys["ConfigMap "+o.Name] = append(keys["ConfigMap "+o.Name], k)
			}
		}
	}
	return keys
}

// referenceFaults: every Secret, ConfigMap, key, claim and account that a pod names is
// there.
func referenceFaults(all []runtime.Object) (faults []string) {
	keys, others := held(all), map[string]bool{}
	for _, o := range all {
		switch o := o.(type) {
		case *corev1.PersistentVolumeClaim:
			others["claim "+o.Name] = true
		case *corev1.ServiceAccount:
			others["account "+o.Name] = true
		}
	}
	for _, w := range workloads(all) {
		want := func(what string, names ...string) {
			have, ok := keys[what]
			if !ok {
				faults = append(faults, fmt.Sprintf("%s: there is no %s", w, what))
				return
			}
			for _, name := range names {
				if !slices.Contains(have, name) {
					faults = append(faults, fmt.Sprintf("%s: %s has no key %s", w, what, name))
				}
			}
		}
		for _, v := range w.spec.Volumes {
			switch {
			case v.Secret != nil:
				want("Secret "+v.Secret.SecretName, paths(v.Secret.Items)...)
			case v.ConfigMap != nil:
				want("ConfigMap "+v.ConfigMap.Name, paths(v.ConfigMap.Items)...)
			case v.PersistentVolumeClaim != nil && !others["claim "+v.PersistentVolumeClaim.ClaimName]:
				faults = append(faults, fmt.Sprintf("%s: there is no claim %s", w, v.PersistentVolumeClaim.ClaimName))
			}
		}
		for _, c := range w.containers() {
			for _, from := range c.EnvFrom {
				if from.ConfigMapRef != nil {
					want("ConfigMap " + from.ConfigMapRef.Name)
				}
				if from.SecretRef != nil {
					want("Secret " + from.SecretRef.Name)
				}
			}
			for _, e := range c.Env {
				if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
					want("Secret "+e.ValueFrom.SecretKeyRef.Name, e.ValueFrom.SecretKeyRef.Key)
				}
				if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
					want("ConfigMap "+e.ValueFrom.ConfigMapKeyRef.Name, e.ValueFrom.ConfigMapKeyRef.Key)
				}
			}
			faults = append(faults, w.fileFaults(c, keys)...)
		}
		if !others["account "+w.spec.ServiceAccountName] {
			faults = append(faults, fmt.Sprintf("%s: there is no account %q", w, w.spec.ServiceAccountName))
		}
	}
	return faults
}

func paths(items []corev1.KeyToPath) (all []string) {
	for _, i := range items {
		all = append(all, i.Key)
	}
	return all
}

// fileFaults: every file that a container is told of lies in one of its volumes.
func (w workload) fileFaults(c corev1.Container, keys map[string][]string) (faults []string) {
	files := map[string]bool{}
	for _, m := range c.VolumeMounts {
		i := slices.IndexFunc(w.spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
		if i < 0 {
			if !slices.ContainsFunc(w.claims, func(p corev1.PersistentVolumeClaim) bool { return p.Name == m.Name }) {
				faults = append(faults, fmt.Sprintf("%s: there is no volume %s", w, m.Name))
			}
			continue
		}
		switch v := w.spec.Volumes[i]; {
		case v.Secret != nil && len(v.Secret.Items) > 0:
			for _, item := range v.Secret.Items {
				files[m.MountPath+"/"+item.Path] = true
			}
		case v.Secret != nil:
			for _, k := range keys["Secret "+v.Secret.SecretName] {
				files[m.MountPath+"/"+k] = true
			}
		case v.ConfigMap != nil:
			for _, k := range keys["ConfigMap "+v.ConfigMap.Name] {
				files[m.MountPath+"/"+k] = true
			}
		}
	}
	named := slices.Concat(c.Command, c.Args)
	for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		if p != nil && p.Exec != nil {
			named = append(named, p.Exec.Command...)
		}
	}
	if c.Lifecycle != nil && c.Lifecycle.PreStop != nil && c.Lifecycle.PreStop.Exec != nil {
		named = append(named, c.Lifecycle.PreStop.Exec.Command...)
	}
	for _, e := range c.Env {
		if strings.HasSuffix(e.Name, "_FILE") {
			named = append(named, e.Value)
		}
	}
	for _, name := range named {
		if strings.HasSuffix(name, ".sh") && !strings.HasPrefix(name, "/") {
			name = "/set/" + name // of pod.sh
		}
		if (strings.HasSuffix(name, ".sh") || strings.HasPrefix(name, "/secrets/") || strings.HasPrefix(name, "/tls/")) && !files[name] {
			faults = append(faults, fmt.Sprintf("%s: the container %s has no file %s", w, c.Name, name))
		}
	}
	return faults
}

// policyFaults: each pod is closed by a policy, and each of its ports is opened by one.
func policyFaults(all []runtime.Object) (faults []string) {
	for _, w := range workloads(all) {
		var closed, leaves bool
		open := map[string]bool{}
		for _, o := range all {
			p, ok := o.(*networkingv1.NetworkPolicy)
			if !ok || !matches(&p.Spec.PodSelector, w.meta.Labels) {
				continue
			}
			closed = closed || slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress)
			leaves = leaves || slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
			for _, rule := range p.Spec.Ingress {
				for _, port := range rule.Ports {
					have, ok := w.port(*port.Port)
					if !ok {
						faults = append(faults, fmt.Sprintf("NetworkPolicy %s: %s has no port %s", p.Name, w, port.Port.String()))
					}
					open[have.Name] = true
				}
			}
		}
		if w.name == "app" { // the application of the example is nobody's but its owner's
			continue
		}
		if !closed || !leaves {
			faults = append(faults, fmt.Sprintf("%s: no NetworkPolicy closes it", w))
		}
		for _, c := range w.containers() {
			for _, p := range c.Ports {
				if !open[p.Name] {
					faults = append(faults, fmt.Sprintf("%s: no NetworkPolicy lets anybody reach the port %s", w, p.Name))
				}
			}
		}
	}
	return append(faults, egressFaults(all)...)
}

// egressFaults: whoever may come to a port may also leave for it.
func egressFaults(all []runtime.Object) (faults []string) {
	for _, to := range workloads(all) {
		for _, o := range all {
			p, ok := o.(*networkingv1.NetworkPolicy)
			if !ok || !matches(&p.Spec.PodSelector, to.meta.Labels) {
				continue
			}
			for _, rule := range p.Spec.Ingress {
				for _, peer := range rule.From {
					for _, from := range workloads(all) {
						if peer.NamespaceSelector != nil || peer.PodSelector == nil || !matches(peer.PodSelector, from.meta.Labels) {
							continue
						}
						for _, port := range rule.Ports {
							have, _ := to.port(*port.Port)
							if !mayLeave(all, from, to, have.ContainerPort) {
								faults = append(faults, fmt.Sprintf("%s may come to %s at %d, and no NetworkPolicy lets it leave", from, to, have.ContainerPort))
							}
						}
					}
				}
			}
		}
	}
	return faults
}

func mayLeave(all []runtime.Object, from, to workload, port int32) bool {
	for _, o := range all {
		p, ok := o.(*networkingv1.NetworkPolicy)
		if !ok || !matches(&p.Spec.PodSelector, from.meta.Labels) {
			continue
		}
		for _, rule := range p.Spec.Egress {
			if slices.ContainsFunc(rule.Ports, func(q networkingv1.NetworkPolicyPort) bool { return q.Port.IntVal == port }) &&
				slices.ContainsFunc(rule.To, func(q networkingv1.NetworkPolicyPeer) bool {
					return q.PodSelector != nil && matches(q.PodSelector, to.meta.Labels)
				}) {
				return true
			}
		}
	}
	return false
}
