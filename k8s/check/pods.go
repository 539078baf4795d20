package main

import (
	"slices"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// checkPod looks at what a pod needs from elsewhere, and whether the restricted Pod Security Standard admits it.
func (all *everything) checkPod(workload workload) {
	if workload.labels[nameLabel] == "" {
		all.problem("pods of %s have no label %s", workload.name, nameLabel)
	}
	var volumes []string
	for _, volume := range workload.spec.Volumes {
		volumes = append(volumes, volume.Name)
		if source := volume.ConfigMap; source != nil && len(all.configMaps) > 0 && !all.configMaps[source.Name] {
			all.problem("%s mounts a ConfigMap %s that is not there", workload.name, source.Name)
		}
	}
	for _, claim := range workload.claims {
		if slices.Contains(volumes, claim.Name) {
			all.problem("%s has a volume and a claim %s", workload.name, claim.Name)
		}
		volumes = append(volumes, claim.Name)
	}
	for _, container := range workload.spec.Containers {
		for _, mount := range container.VolumeMounts {
			if !slices.Contains(volumes, mount.Name) {
				all.problem("%s mounts a volume %s that is not there", workload.name, mount.Name)
			}
		}
		all.checkProbes(workload, container)
		all.checkRestricted(workload, container)
	}
}

func (all *everything) checkProbes(workload workload, container core.Container) {
	for _, probe := range []*core.Probe{container.LivenessProbe, container.ReadinessProbe, container.StartupProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Port.Type != intstr.String {
			continue
		}
		if !slices.Contains(portNames(workload.spec), probe.HTTPGet.Port.StrVal) {
			all.problem("%s is probed on a port %s that it does not have", workload.name, probe.HTTPGet.Port.StrVal)
		}
	}
}

func (all *everything) checkRestricted(workload workload, container core.Container) {
	pod, own := workload.spec.SecurityContext, container.SecurityContext
	if own == nil || pod == nil {
		all.problem("container %s of %s has no security context", container.Name, workload.name)
		return
	}
	yes := func(flag *bool) bool { return flag != nil && *flag }
	rules := map[string]bool{
		"runAsNonRoot":                    yes(pod.RunAsNonRoot) || yes(own.RunAsNonRoot),
		"seccompProfile RuntimeDefault":   pod.SeccompProfile != nil && pod.SeccompProfile.Type == core.SeccompProfileTypeRuntimeDefault,
		"readOnlyRootFilesystem":          yes(own.ReadOnlyRootFilesystem),
		"no allowPrivilegeEscalation":     own.AllowPrivilegeEscalation != nil && !*own.AllowPrivilegeEscalation,
		"capabilities.drop ALL":           own.Capabilities != nil && slices.Contains(own.Capabilities.Drop, "ALL") && own.Capabilities.Add == nil,
		"enableServiceLinks false":        workload.spec.EnableServiceLinks != nil && !*workload.spec.EnableServiceLinks,
		"no token of the service account": workload.spec.AutomountServiceAccountToken != nil && !*workload.spec.AutomountServiceAccountToken,
		"a memory limit":                  !container.Resources.Limits.Memory().IsZero(),
	}
	for rule, holds := range rules {
		if !holds {
			all.problem("container %s of %s lacks %s", container.Name, workload.name, rule)
		}
	}
}
