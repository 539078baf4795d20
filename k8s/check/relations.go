package main

import (
	"fmt"
	"slices"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// nameLabel is what `kubectl get pods,svc,pvc -l app.kubernetes.io/name=kafka` looks for.
const nameLabel = "app.kubernetes.io/name"

// workload is something that makes pods.
type workload struct {
	name   string
	labels map[string]string
	spec   *core.PodSpec
	claims []core.PersistentVolumeClaim
}

type everything struct {
	workloads  []workload
	services   []*core.Service
	configMaps map[string]bool
	problems   []string
}

// relations says what does not fit together: selectors that select nothing, ports and volumes that nobody has.
func relations(objects []any) []string {
	all := collect(objects)
	for _, object := range objects {
		all.checkObject(object)
	}
	for _, workload := range all.workloads {
		all.checkPod(workload)
	}
	return all.problems
}

func collect(objects []any) *everything {
	all := &everything{configMaps: map[string]bool{}}
	for _, object := range objects {
		switch o := object.(type) {
		case *apps.StatefulSet:
			template := &o.Spec.Template
			all.workloads = append(all.workloads, workload{o.Name, template.Labels, &template.Spec, o.Spec.VolumeClaimTemplates})
		case *apps.Deployment:
			template := &o.Spec.Template
			all.workloads = append(all.workloads, workload{o.Name, template.Labels, &template.Spec, nil})
		case *batch.Job:
			template := &o.Spec.Template
			all.workloads = append(all.workloads, workload{o.Name, template.Labels, &template.Spec, nil})
		case *core.Pod:
			all.workloads = append(all.workloads, workload{o.Name, o.Labels, &o.Spec, nil})
		case *core.Service:
			all.services = append(all.services, o)
		case *core.ConfigMap:
			all.configMaps[o.Name] = true
		}
	}
	return all
}

func (all *everything) problem(format string, arguments ...any) {
	all.problems = append(all.problems, fmt.Sprintf(format, arguments...))
}

func (all *everything) checkObject(object any) {
	if o, ok := object.(metav1.Object); ok {
		for _, wrong := range metavalidation.ValidateLabels(o.GetLabels(), field.NewPath(o.GetName(), "labels")) {
			all.problem("%v", wrong)
		}
		for _, wrong := range validation.IsDNS1123Subdomain(o.GetName()) {
			all.problem("name %q: %s", o.GetName(), wrong)
		}
	}
	switch o := object.(type) {
	case *core.Service:
		all.checkService(o)
	case *apps.StatefulSet:
		all.checkStatefulSet(o)
	case *apps.Deployment:
		all.checkSelector("Deployment "+o.Name, o.Spec.Selector)
	case *policy.PodDisruptionBudget:
		all.checkSelector("PodDisruptionBudget "+o.Name, o.Spec.Selector)
	case *networking.NetworkPolicy:
		all.checkSelector("NetworkPolicy "+o.Name, &o.Spec.PodSelector)
		for _, rule := range o.Spec.Ingress {
			for _, port := range rule.Ports {
				all.checkNamedPort("NetworkPolicy "+o.Name, port.Port, &o.Spec.PodSelector)
			}
		}
	case *monitoring.ServiceMonitor:
		all.checkMonitor(o)
	}
}

func (all *everything) checkService(service *core.Service) {
	for _, wrong := range validation.IsDNS1035Label(service.Name) {
		all.problem("Service %q: %s", service.Name, wrong)
	}
	selector := &metav1.LabelSelector{MatchLabels: maps(service.Spec.Selector)}
	all.checkSelector("Service "+service.Name, selector)
	for _, port := range service.Spec.Ports {
		all.checkNamedPort("Service "+service.Name, &port.TargetPort, selector)
	}
}

// maps leaves out what the StatefulSet's controller adds to each pod.
func maps(selector map[string]string) map[string]string {
	kept := map[string]string{}
	for name, value := range selector {
		if name != "statefulset.kubernetes.io/pod-name" {
			kept[name] = value
		}
	}
	return kept
}

func (all *everything) checkStatefulSet(set *apps.StatefulSet) {
	all.checkSelector("StatefulSet "+set.Name, set.Spec.Selector)
	headless := slices.ContainsFunc(all.services, func(service *core.Service) bool {
		return service.Name == set.Spec.ServiceName && service.Spec.ClusterIP == core.ClusterIPNone
	})
	if !headless {
		all.problem("StatefulSet %s: there is no headless Service %s", set.Name, set.Spec.ServiceName)
	}
	for _, claim := range set.Spec.VolumeClaimTemplates {
		if claim.Labels[nameLabel] == "" {
			all.problem("claim %s has no label %s", claim.Name, nameLabel)
		}
	}
}

func (all *everything) checkMonitor(monitor *monitoring.ServiceMonitor) {
	selector, err := metav1.LabelSelectorAsSelector(&monitor.Spec.Selector)
	if err != nil {
		all.problem("ServiceMonitor %s: %v", monitor.Name, err)
		return
	}
	for _, endpoint := range monitor.Spec.Endpoints {
		matching := 0
		for _, service := range all.services {
			hasPort := slices.ContainsFunc(service.Spec.Ports, func(port core.ServicePort) bool { return port.Name == endpoint.Port })
			if selector.Matches(labels.Set(service.Labels)) && hasPort {
				matching++
			}
		}
		if matching != 1 {
			all.problem("ServiceMonitor %s: %d Services with port %s, so each series comes that often", monitor.Name, matching, endpoint.Port)
		}
	}
}

func (all *everything) selected(selector *metav1.LabelSelector) ([]workload, error) {
	matcher, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, err
	}
	var found []workload
	for _, workload := range all.workloads {
		if !matcher.Empty() && matcher.Matches(labels.Set(workload.labels)) {
			found = append(found, workload)
		}
	}
	return found, nil
}

// checkSelector wants exactly one: a selector that also takes the test's pod would send clients there.
func (all *everything) checkSelector(who string, selector *metav1.LabelSelector) {
	if found, err := all.selected(selector); err != nil {
		all.problem("%s: %v", who, err)
	} else if len(found) != 1 {
		all.problem("%s selects the pods of %d workloads", who, len(found))
	}
}

func (all *everything) checkNamedPort(who string, port *intstr.IntOrString, selector *metav1.LabelSelector) {
	found, _ := all.selected(selector)
	if port == nil || port.Type != intstr.String || len(found) != 1 {
		return
	}
	if !slices.Contains(portNames(found[0].spec), port.StrVal) {
		all.problem("%s: no container of %s has a port %s", who, found[0].name, port.StrVal)
	}
}

func portNames(spec *core.PodSpec) (names []string) {
	for _, container := range spec.Containers {
		for _, port := range container.Ports {
			names = append(names, port.Name)
		}
	}
	return names
}
