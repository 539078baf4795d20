package main

import (
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
)

// notes is what Helm prints after an installation, for which its command line wants a cluster.
func notes(chart, release, namespace, valuesFile string) (string, error) {
	loaded, err := loader.Load(chart)
	if err != nil {
		return "", err
	}
	values, err := chartutil.ReadValuesFile(valuesFile)
	if err != nil {
		return "", err
	}
	install := action.NewInstall(new(action.Configuration))
	install.DryRun, install.ClientOnly, install.Replace = true, true, true
	install.ReleaseName, install.Namespace = release, namespace
	done, err := install.Run(loaded, values)
	if err != nil {
		return "", err
	}
	return done.Info.Notes + "\n", nil
}
