package validate

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/evercache/evercache/deploy/validate/manifests"
)

// workload is what makes pods.
type workload struct {
	kind, name string
	replicas   int32 // 0: it makes pods when it is time
	selector   *metav1.LabelSelector
	meta       metav1.ObjectMeta
	spec       corev1.PodSpec
	claims     []corev1.PersistentVolumeClaim
}

func (w workload) String() string { return w.kind + " " + w.name }

// containers are those of a pod, in the order of their start.
func (w workload) containers() []corev1.Container {
	return append(append([]corev1.Container(nil), w.spec.InitContainers...), w.spec.Containers...)
}

func workloads(all []runtime.Object) (found []workload) {
	for _, o := range all {
		switch o := o.(type) {
		case *appsv1.StatefulSet:
			t := o.Spec.Template
			found = append(found, workload{"StatefulSet", o.Name, replicas(o.Spec.Replicas), o.Spec.Selector, t.ObjectMeta, t.Spec, o.Spec.VolumeClaimTemplates})
		case *appsv1.Deployment:
			t := o.Spec.Template
			found = append(found, workload{"Deployment", o.Name, replicas(o.Spec.Replicas), o.Spec.Selector, t.ObjectMeta, t.Spec, nil})
		case *batchv1.CronJob:
			t := o.Spec.JobTemplate.Spec.Template
			found = append(found, workload{"CronJob", o.Name, 0, nil, t.ObjectMeta, t.Spec, nil})
		case *batchv1.Job:
			t := o.Spec.Template
			found = append(found, workload{"Job", o.Name, 0, nil, t.ObjectMeta, t.Spec, nil})
		}
	}
	return found
}

func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// insecure lists what the pod security standard "restricted" forbids.
func insecure(all []runtime.Object) (faults []string) {
	checks, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []string{err.Error()}
	}
	for _, w := range workloads(all) {
		r := policy.AggregateCheckResults(checks.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &w.meta, &w.spec))
		if !r.Allowed {
			faults = append(faults, fmt.Sprintf("%s: %s", w, r.ForbiddenDetail()))
		}
	}
	return faults
}

func TestEveryPodIsRestricted(t *testing.T) {
	for _, overlay := range manifests.Overlays {
		for _, f := range insecure(objects(t, build(t, overlay))) {
			t.Errorf("%s: %s", overlay, f)
		}
	}
	docs := build(t, "prod")
	for _, planted := range []struct{ old, text, want string }{
		{"runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"},
		{"allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation"},
		{"          capabilities:\n            drop:\n            - ALL\n", "", "capabilities"},
		{"type: RuntimeDefault", "type: Unconfined", "seccompProfile"},
		{"      securityContext:\n        fsGroup", "      hostNetwork: true\n      securityContext:\n        fsGroup", "host namespaces"},
	} {
		found := strings.Join(insecure(objects(t, spoil(t, docs, "StatefulSet", "redis", planted.old, planted.text))), "\n")
		if !strings.Contains(found, planted.want) {
			t.Errorf("%s: found %q, want %q", planted.text, found, planted.want)
		}
	}
}
