package main

import (
	"fmt"
	"regexp"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

var (
	separator = regexp.MustCompile(`(?m)^---.*$`)
	strict    = func() runtime.Decoder {
		utilruntime.Must(monitoring.AddToScheme(scheme.Scheme))
		return serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	}()
)

// Dapr's own types bring all of Dapr along; these are what its reference describes.
type (
	named struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name      string            `json:"name"`
			Namespace string            `json:"namespace"`
			Labels    map[string]string `json:"labels"`
		} `json:"metadata"`
		Scopes []string `json:"scopes"`
	}
	daprComponent struct {
		named `json:",inline"`
		Spec  struct {
			Type         string `json:"type"`
			Version      string `json:"version"`
			IgnoreErrors bool   `json:"ignoreErrors"`
			InitTimeout  string `json:"initTimeout"`
			Metadata     []struct {
				Name  string `json:"name"`
				Value any    `json:"value"`
			} `json:"metadata"`
		} `json:"spec"`
	}
	daprSubscription struct {
		named `json:",inline"`
		Spec  struct {
			PubsubName      string            `json:"pubsubname"`
			Topic           string            `json:"topic"`
			Metadata        map[string]string `json:"metadata"`
			DeadLetterTopic string            `json:"deadLetterTopic"`
			Routes          struct {
				Default string `json:"default"`
				Rules   []struct {
					Match string `json:"match"`
					Path  string `json:"path"`
				} `json:"rules"`
			} `json:"routes"`
		} `json:"spec"`
	}
)

// others are the kinds that no scheme knows, each with a value to decode into.
var others = map[string]func() any{
	"dapr.io/v1alpha1 Component":                    func() any { return new(daprComponent) },
	"dapr.io/v2alpha1 Subscription":                 func() any { return new(daprSubscription) },
	"kustomize.config.k8s.io/v1beta1 Kustomization": func() any { return new(types.Kustomization) },
}

// decode answers every object of a YAML stream, and a sentence for each that has a field too many, twice, or of a wrong
// type.
func decode(text string) (objects []any, problems []string) {
	for _, document := range separator.Split(text, -1) {
		head := new(named)
		if err := yaml.Unmarshal([]byte(document), head); err != nil {
			problems = append(problems, err.Error())
			continue
		}
		if head.Kind == "" {
			if strings.TrimSpace(stripComments(document)) != "" {
				problems = append(problems, fmt.Sprintf("not an object: %.60q", document))
			}
			continue
		}
		object, err := decodeOne(document, head)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s %s: %v", head.Kind, head.Metadata.Name, err))
			continue
		}
		objects = append(objects, object)
	}
	return objects, problems
}

func decodeOne(document string, head *named) (any, error) {
	if fresh, ok := others[head.APIVersion+" "+head.Kind]; ok {
		object := fresh()
		return object, yaml.UnmarshalStrict([]byte(document), object)
	}
	object, _, err := strict.Decode([]byte(document), nil, nil)
	return object, err
}

func stripComments(document string) string {
	return regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAllString(document, "")
}
