// Command check reads Kubernetes objects as strictly as the API server would, and looks whether those of one file fit
// together. Besides that it shows what only Helm's and kustomize's libraries can show without a cluster.
//
//	check FILE...                                every object of each file
//	check -kustomize DIR                         prints what kustomize builds
//	check -notes CHART RELEASE NAMESPACE VALUES  prints what Helm says after an installation
//	check -data FILE KEY                         prints a key of the ConfigMap in a file
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	core "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func main() {
	text, err := run(os.Args[1:])
	fmt.Print(text)
	if err != nil {
		fmt.Fprintln(os.Stderr, strings.TrimSpace(err.Error()))
		os.Exit(1)
	}
}

func run(args []string) (string, error) {
	switch {
	case len(args) == 2 && args[0] == "-kustomize":
		return kustomize(args[1])
	case len(args) == 5 && args[0] == "-notes":
		return notes(args[1], args[2], args[3], args[4])
	case len(args) == 3 && args[0] == "-data":
		return data(args[1], args[2])
	case len(args) > 0 && !strings.HasPrefix(args[0], "-"):
		return checkFiles(args)
	}
	return "", errors.New("check: the head of main.go says how it is called")
}

func kustomize(directory string) (string, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), directory)
	if err != nil {
		return "", err
	}
	text, err := built.AsYaml()
	return string(text), err
}

func data(file, key string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	objects, _ := decode(string(text))
	for _, object := range objects {
		if o, ok := object.(*core.ConfigMap); ok && o.Data[key] != "" {
			return o.Data[key], nil
		}
	}
	return "", fmt.Errorf("%s: no ConfigMap with a key %s", file, key)
}

func checkFiles(files []string) (string, error) {
	total := 0
	var broken []error
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		objects, problems := decode(string(text))
		problems = append(problems, relations(objects)...)
		if len(objects) == 0 && len(problems) == 0 {
			problems = append(problems, "no objects in it")
		}
		for _, problem := range problems {
			broken = append(broken, fmt.Errorf("%s: %s", file, problem))
		}
		total += len(objects)
	}
	return fmt.Sprintf("%d objects in %d files\n", total, len(files)), errors.Join(broken...)
}
