// Package manifests builds the overlays of deploy/kubernetes as kubectl kustomize does.
package manifests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Overlays are the folders that somebody may apply.
var Overlays = []string{"dev", "prod", "tls", "existing-redis", "cluster", "sidecar", "valkey-chart"}

// Tree copies deploy (the folder) to dir, with the secrets and certificates that its
// scripts make, so that the overlays can be built. It returns where kubernetes is.
func Tree(deploy, dir string) (string, error) {
	for _, part := range []string{"kubernetes", "compose"} {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(deploy, part))); err != nil {
			return "", err
		}
	}
	root := filepath.Join(dir, "kubernetes")
	setup := filepath.Join(dir, "compose", "setup.sh")
	for _, o := range Overlays {
		if err := run("sh", setup, filepath.Join(root, "overlays", o, "secrets")); err != nil {
			return "", err
		}
	}
	return root, run("sh", filepath.Join(root, "overlays", "tls", "certificates.sh"))
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// Build returns the documents of an overlay, each as YAML.
func Build(overlay string) ([]string, error) {
	all, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), overlay)
	if err != nil {
		return nil, err
	}
	var docs []string
	for _, r := range all.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			return nil, err
		}
		docs = append(docs, string(text))
	}
	return docs, nil
}
