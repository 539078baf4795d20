package main

import (
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
)

// kubernetes is what a cluster without a connection is taken for; Helm's own answer depends on how it was linked.
var kubernetes = &chartutil.KubeVersion{Version: "v1.37.0", Major: "1", Minor: "37"}

// notes is what Helm prints after an installation, for which its command line wants a cluster.
func notes(chartDirectory, release, namespace, valuesFile string) (string, error) {
	loaded, err := loader.Load(chartDirectory)
	if err != nil {
		return "", err
	}
	values, err := chartutil.ReadValuesFile(valuesFile)
	if err != nil {
		return "", err
	}
	_, text, err := render(loaded, release, namespace, values)
	return text + "\n", err
}

// render answers the objects, hooks among them, and the notes.
func render(loaded *chart.Chart, release, namespace string, values map[string]any) (string, string, error) {
	install := action.NewInstall(new(action.Configuration))
	install.DryRun, install.ClientOnly, install.Replace = true, true, true
	install.ReleaseName, install.Namespace = release, namespace
	install.KubeVersion = kubernetes
	done, err := install.Run(loaded, values)
	if err != nil {
		return "", "", err
	}
	objects := []string{done.Manifest}
	for _, hook := range done.Hooks {
		objects = append(objects, hook.Manifest)
	}
	return strings.Join(objects, "---\n"), done.Info.Notes, nil
}
