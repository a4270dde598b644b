package apiserver

import (
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/apis/apps"
	appsinstall "k8s.io/kubernetes/pkg/apis/apps/install"
	appsval "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/batch"
	batchinstall "k8s.io/kubernetes/pkg/apis/batch/install"
	batchval "k8s.io/kubernetes/pkg/apis/batch/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	coreinstall "k8s.io/kubernetes/pkg/apis/core/install"
	coreval "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	networkinginstall "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingval "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	policyinstall "k8s.io/kubernetes/pkg/apis/policy/install"
	policyval "k8s.io/kubernetes/pkg/apis/policy/validation"

	"github.com/evercache/evercache/deploy/validate/manifests"
)

// decoder reads as the API server does: strictly, with defaults, into its own types.
var decoder = func() runtime.Decoder {
	s := runtime.NewScheme()
	coreinstall.Install(s)
	appsinstall.Install(s)
	batchinstall.Install(s)
	policyinstall.Install(s)
	networkinginstall.Install(s)
	return serializer.NewCodecFactory(s, serializer.EnableStrict).UniversalDecoder()
}()

// refused is what the API server would say against a document; known is false for a
// kind that it has only with an operator.
func refused(doc string) (faults []string, known bool) {
	if strings.Contains(doc, "apiVersion: monitoring.coreos.com/") {
		return nil, false
	}
	o, _, err := decoder.Decode([]byte(doc), nil, nil)
	if err != nil {
		return []string{err.Error()}, true
	}
	if m, err := meta.Accessor(o); err == nil && m.GetNamespace() == "" {
		if _, cluster := o.(*core.Namespace); !cluster {
			return []string{"it has no namespace"}, true
		}
	}
	var errs field.ErrorList
	switch o := o.(type) {
	case *core.Namespace:
		errs = coreval.ValidateNamespace(o)
	case *core.Service:
		if o.Spec.ClusterIP != "" { // the API server fills in the list
			o.Spec.ClusterIPs = []string{o.Spec.ClusterIP}
		}
		errs = coreval.ValidateServiceCreate(o)
	case *core.Secret:
		errs = coreval.ValidateSecret(o)
	case *core.ConfigMap:
		errs = coreval.ValidateConfigMap(o)
	case *core.ServiceAccount:
		errs = coreval.ValidateServiceAccount(o)
	case *core.PersistentVolumeClaim:
		errs = coreval.ValidatePersistentVolumeClaim(o, coreval.PersistentVolumeClaimSpecValidationOptions{})
	case *apps.StatefulSet:
		errs = appsval.ValidateStatefulSet(o, coreval.PodValidationOptions{})
	case *apps.Deployment:
		errs = appsval.ValidateDeployment(o, coreval.PodValidationOptions{})
	case *batch.CronJob:
		errs = batchval.ValidateCronJobCreate(o, coreval.PodValidationOptions{})
	case *batch.Job:
		// As in a CronJob: the API server makes the selector.
		errs = batchval.ValidateJobTemplateSpec(&batch.JobTemplateSpec{Spec: o.Spec}, field.NewPath("template"), coreval.PodValidationOptions{})
	case *policy.PodDisruptionBudget:
		errs = policyval.ValidatePodDisruptionBudget(o, policyval.PodDisruptionBudgetValidationOptions{})
	case *networking.NetworkPolicy:
		errs = networkingval.ValidateNetworkPolicy(o, networkingval.NetworkPolicyValidationOptions{})
	default:
		return []string{"nothing validates this kind"}, true
	}
	for _, e := range errs {
		faults = append(faults, e.Error())
	}
	return faults, true
}

func TestTheAPIServerWouldTakeEveryDocument(t *testing.T) {
	tree, err := manifests.Tree("../..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, overlay := range manifests.Overlays {
		docs, err := manifests.Build(filepath.Join(tree, "overlays", overlay))
		if err != nil {
			t.Fatal(err)
		}
		validated := 0
		for _, doc := range docs {
			faults, known := refused(doc)
			for _, f := range faults {
				t.Errorf("%s: %s\n%s", overlay, f, doc)
			}
			if known {
				validated++
			}
		}
		if validated < 7 || validated < len(docs)-2 {
			t.Errorf("%s: only %d of %d documents were validated", overlay, validated, len(docs))
		}
	}
}

func TestWhatTheAPIServerRefusesIsFound(t *testing.T) {
	tree, err := manifests.Tree("../..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	docs, err := manifests.Build(filepath.Join(tree, "overlays", "prod"))
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(docs, "---\n")
	for _, planted := range []struct{ old, text, want string }{
		{"name: redis\n          protocol: TCP\n        readinessProbe", "name: redis-with-a-long-name\n          protocol: TCP\n        readinessProbe", "must be no more than 15 characters"},
		{"            - alive\n          failureThreshold: 6", "            - alive\n          successThreshold: 3\n          failureThreshold: 6", "successThreshold"},
		{"maxUnavailable: 1\n  selector", "maxUnavailable: 1\n  minAvailable: 2\n  selector", "cannot be both set"},
		{"schedule: 17 */6 * * *", "schedule: 17 */6 * *", "spec.schedule"},
		{"port: 26379\n    protocol: TCP\n    targetPort", "port: 126379\n    protocol: TCP\n    targetPort", "must be between 1 and 65535"},
		{"memory: 4Gi\n          requests:\n            cpu: 500m\n            memory: 4Gi", "memory: 4Gi\n          requests:\n            cpu: 500m\n            memory: 5Gi", "must be less than or equal to memory limit"},
		{"mountPath: /data", "mountPath: /tmp", "must be unique"},
		{"cidr: 169.254.20.10/32", "cidr: 169.254.20.10", "CIDR"},
		{"  name: evercache\n", "  name: Evercache\n", "RFC 1123"},
		{"readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true", "unknown field"},
	} {
		spoiled := strings.Replace(all, planted.old, planted.text, 1)
		if spoiled == all {
			t.Errorf("%q is in no document", planted.old)
			continue
		}
		var found []string
		for doc := range strings.SplitSeq(spoiled, "---\n") {
			faults, _ := refused(doc)
			found = append(found, faults...)
		}
		if text := strings.Join(found, "\n"); !strings.Contains(text, planted.want) {
			t.Errorf("%s: found %q, want %q", planted.text, text, planted.want)
		}
	}
}
