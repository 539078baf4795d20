package main

import (
	"os"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"sigs.k8s.io/yaml"
)

const chartDirectory = "../chart/ottla"

// bases are values files on top of which a value is changed: what one of them switches off, another has on.
var bases = []string{"every-value", "default", "minikube-node-port", "load-balancer", "existing"}

// outcome is all that a change of a value could change.
func outcome(t *testing.T, base, path string, value any) string {
	t.Helper()
	// Rendering merges defaults into both, so they are read anew each time.
	loaded, err := loader.Load(chartDirectory)
	if err != nil {
		t.Fatal(err)
	}
	values, err := chartutil.ReadValuesFile("../golden/" + base + ".values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set(values, path, value)
	objects, notes, err := render(loaded, "kafka", "kafka", values)
	if err == nil {
		return objects + notes
	}
	// What the chart says itself begins with an empty line.
	if !strings.Contains(err.Error(), "\n\n") {
		t.Errorf("%s=%v breaks a template: %v", path, value, err)
	}
	return "refused: " + err.Error()
}

func set(values map[string]any, path string, value any) {
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		below, ok := values[name].(map[string]any)
		if !ok {
			below = map[string]any{}
			values[name] = below
		}
		values = below
	}
	if value != nil {
		values[names[len(names)-1]] = value
	}
}

// TestNothingIsAcceptedAndIgnored changes each value that the chart takes: something has to come of it.
func TestNothingIsAcceptedAndIgnored(t *testing.T) {
	unchanged := map[string]string{}
	for _, base := range bases {
		unchanged[base] = outcome(t, base, "replicaCount", 1)
		if strings.HasPrefix(unchanged[base], "refused: ") {
			t.Fatalf("%s: %s", base, unchanged[base])
		}
	}
	paths := map[string]string{}
	leaves(t, "known.yaml", paths)
	brokerKeys := map[string]string{}
	leaves(t, "broker-keys.yaml", brokerKeys)
	for path := range brokerKeys {
		paths[path] = "scalar"
	}
	if len(paths) < 100 {
		t.Fatalf("only %d values", len(paths))
	}
	for path, kind := range paths {
		honoured := false
		for _, base := range bases {
			for _, value := range samples(kind) {
				honoured = honoured || outcome(t, base, path, value) != unchanged[base]
			}
		}
		if !honoured {
			t.Errorf("%s is accepted and changes nothing", path)
		}
	}
}

// samples are values of a kind, of which at least one is not what a base has.
func samples(kind string) []any {
	return map[string][]any{
		"string": {"zz"},
		"number": {7},
		"flag":   {true, false},
		"scalar": {3},
		"map":    {map[string]any{"zz": "yy"}},
		"list":   {[]any{map[string]any{"name": "zz"}}},
	}[kind]
}

func leaves(t *testing.T, file string, found map[string]string) {
	t.Helper()
	text, err := os.ReadFile(chartDirectory + "/files/" + file)
	if err != nil {
		t.Fatal(err)
	}
	tree := map[string]any{}
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	var walk func(prefix string, tree map[string]any)
	walk = func(prefix string, tree map[string]any) {
		for name, below := range tree {
			if deeper, ok := below.(map[string]any); ok {
				walk(prefix+name+".", deeper)
			} else {
				found[prefix+name], _ = below.(string)
			}
		}
	}
	walk("", tree)
}

// TestForeignValuesAreAnswered sets each value of other charts: it is refused with its cure, or told in the notes.
func TestForeignValuesAreAnswered(t *testing.T) {
	text, err := os.ReadFile(chartDirectory + "/files/foreign.yaml")
	if err != nil {
		t.Fatal(err)
	}
	foreign := map[string]struct {
		Cure, Note string
		Fine       []string
	}{}
	if err := yaml.UnmarshalStrict(text, &foreign); err != nil {
		t.Fatal(err)
	}
	for path, entry := range foreign {
		if (entry.Cure == "") == (entry.Note == "") {
			t.Errorf("%s needs a cure or a note", path)
		}
		got := outcome(t, "default", path, "on")
		if refused := strings.HasPrefix(got, "refused: "); refused != (entry.Cure != "") || !strings.Contains(got, entry.Cure+entry.Note) {
			t.Errorf("%s: %.300s", path, got)
		}
		for _, fine := range append(entry.Fine, "") {
			if got := outcome(t, "default", path, fine); strings.HasPrefix(got, "refused: ") {
				t.Errorf("%s=%q: %.300s", path, fine, got)
			}
		}
	}
}
