package validate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/evercache/evercache/deploy/validate/manifests"
)

// tree is deploy/kubernetes with its secrets, made once.
var tree string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "evercache-")
	if err == nil {
		tree, err = manifests.Tree("..", dir)
	}
	if err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(dir) // a temporary directory
	os.Exit(status)
}

func build(t *testing.T, overlay string) []string {
	t.Helper()
	docs, err := manifests.Build(filepath.Join(tree, "overlays", overlay))
	if err != nil {
		t.Fatalf("%s: %v", overlay, err)
	}
	if len(docs) < 7 {
		t.Fatalf("%s has only %d documents", overlay, len(docs))
	}
	return docs
}

// strict reads documents and takes no field that it does not know.
var strict = func() runtime.Decoder {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, policyv1.AddToScheme, networkingv1.AddToScheme, monitoringv1.AddToScheme,
	} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(s, serializer.EnableStrict).UniversalDeserializer()
}()

func decode(doc string) (runtime.Object, error) {
	o, _, err := strict.Decode([]byte(doc), nil, nil)
	return o, err
}

// objects reads a whole overlay.
func objects(t *testing.T, docs []string) (all []runtime.Object) {
	t.Helper()
	for _, doc := range docs {
		o, err := decode(doc)
		if err != nil {
			t.Errorf("%v:\n%s", err, doc)
			continue
		}
		all = append(all, o)
	}
	return all
}

func TestEveryOverlayIsBuiltAndRead(t *testing.T) {
	for _, overlay := range manifests.Overlays {
		objects(t, build(t, overlay))
	}
	found, err := os.ReadDir(filepath.Join(tree, "overlays"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if !slices.Contains(manifests.Overlays, f.Name()) {
			t.Errorf("nobody builds the overlay %s", f.Name())
		}
	}
}

// doc is the document of a kind and name.
func doc(t *testing.T, docs []string, kind, name string) int {
	t.Helper()
	i := slices.IndexFunc(docs, func(d string) bool {
		return strings.Contains("\n"+d, "\nkind: "+kind+"\n") && strings.Contains(d, "\n  name: "+name+"\n")
	})
	if i < 0 {
		t.Fatalf("there is no %s %s", kind, name)
	}
	return i
}

// spoil replaces a text in one of the documents of an overlay.
func spoil(t *testing.T, docs []string, kind, name, old, text string) []string {
	t.Helper()
	i := doc(t, docs, kind, name)
	spoiled := slices.Clone(docs)
	spoiled[i] = strings.Replace(docs[i], old, text, 1)
	if spoiled[i] == docs[i] {
		t.Fatalf("%s %s has no %q:\n%s", kind, name, old, docs[i])
	}
	return spoiled
}

func TestFaultsOfFieldsAreFound(t *testing.T) {
	docs := build(t, "prod")
	docs = append(docs, build(t, "sidecar")...)
	for _, planted := range []struct{ kind, name, old, text, want string }{
		{"StatefulSet", "redis", "  replicas: 3", "  replica: 3", `unknown field "spec.replica"`},
		{"StatefulSet", "redis", "periodSeconds: 10", "periodSecond: 10", "periodSecond"},
		{"Deployment", "evercache", "  replicas: 3", "  replicas: three", "replicas"},
		{"ServiceMonitor", "evercache", "interval: 15s", "intervall: 15s", "intervall"},
		{"PodMonitor", "evercache-sidecar", "podMetricsEndpoints:", "endpoints:", `unknown field "spec.endpoints"`},
		{"Service", "redis-0", "kind: Service", "kind: Servise", "no kind"},
	} {
		spoiled := spoil(t, docs, planted.kind, planted.name, planted.old, planted.text)
		_, err := decode(spoiled[doc(t, docs, planted.kind, planted.name)])
		if err == nil || !strings.Contains(err.Error(), planted.want) {
			t.Errorf("%s: found %v, want %q", planted.text, err, planted.want)
		}
	}
	bad := t.TempDir()
	if err := os.WriteFile(filepath.Join(bad, "kustomization.yaml"), []byte("resources: [nothing.yaml]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := manifests.Build(bad); err == nil || !strings.Contains(err.Error(), "nothing.yaml") {
		t.Errorf("a missing resource: %v", err)
	}
}
