package main

import "runtime/debug"

var libraries = []string{
	"helm.sh/helm/v4", "sigs.k8s.io/kustomize/api", "sigs.k8s.io/yaml", "k8s.io/apimachinery", "k8s.io/client-go",
}

// versions answers the libraries' versions, as built in.
func versions() map[string]string {
	found := map[string]string{}
	built, _ := debug.ReadBuildInfo()
	for _, module := range built.Deps {
		for _, library := range libraries {
			if module.Path == library {
				found[library] = module.Version
			}
		}
	}
	return found
}
