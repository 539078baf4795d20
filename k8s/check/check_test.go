package main

import (
	"os"
	"strings"
	"testing"
)

// TestFaultsAreFound plants one fault at a time into the default rendering.
func TestFaultsAreFound(t *testing.T) {
	text, err := os.ReadFile("../golden/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if problems := problemsOf(string(text)); len(problems) > 0 {
		t.Fatalf("without a fault: %q", problems)
	}
	for _, fault := range []struct{ old, new, want string }{
		{"publishNotReadyAddresses:", "publishNotReadyAddress:", `unknown field "spec.publishNotReadyAddress"`},
		{"replicas: 1", "replicas: one", "cannot unmarshal string"},
		{"memory: 64Mi", "memory: 64MB", "quantities must match"},
		{"enableServiceLinks: false", "enableServiceLinks: false\n      enableServiceLinks: false", "already set"},
		{"apiVersion: policy/v1\n", "apiVersion: policy/v1beta2\n", "no kind"},
		{"kind: PodDisruptionBudget", "kind: PodDisruptionBudgets", "no kind"},
		{"clusterIP: None", "clusterIP: 10.0.0.1", "no headless Service kafka-headless"},
		{"targetPort: tcp-client", "targetPort: kafka", "has a port kafka"},
		{"port: http }", "port: htp }", "probed on a port htp"},
		{"name: tmp, mountPath", "name: tmpp, mountPath", "a volume tmpp"},
		{"          configMap:\n            name: kafka", "          configMap:\n            name: other", "a ConfigMap other"},
		{"readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "lacks readOnlyRootFilesystem"},
		{"- ALL", "- NET_RAW", "lacks capabilities.drop ALL"},
		{"  name: kafka-kafka-bootstrap", "  name: kafka.kafka-bootstrap", "DNS-1035"},
		{"app.kubernetes.io/version: \"0.1.0\"", "app.kubernetes.io/version: \"0 1\"", "labels"},
		{"    app.kubernetes.io/component: broker\n---", "    app.kubernetes.io/component: brokers\n---", "selects the pods of 0 workloads"},
		{"    app.kubernetes.io/component: broker\n---", "\n---", "selects the pods of 2 workloads"},
	} {
		broken := strings.Replace(string(text), fault.old, fault.new, 1)
		if broken == string(text) {
			t.Errorf("%q is not in the rendering", fault.old)
		} else if problems := problemsOf(broken); !strings.Contains(strings.Join(problems, "\n"), fault.want) {
			t.Errorf("%q: found %q, not %q", fault.new, problems, fault.want)
		}
	}
}

func problemsOf(text string) []string {
	objects, problems := decode(text)
	return append(problems, relations(objects)...)
}
