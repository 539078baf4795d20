package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// Series are samples by name and sorted labels, as kafka_exporter names them.
type series map[string]float64

// What of the exporter's own page is about the exporter.
const itself = "kafka_exporter_build_info"

var label = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)

func (s series) add(family string, value float64, labels ...string) {
	pairs := make([]string, 0, len(labels)/2)
	for i := 0; i < len(labels); i += 2 {
		pairs = append(pairs, fmt.Sprintf("%s=%q", labels[i], labels[i+1]))
	}
	sort.Strings(pairs)
	s[family+"{"+strings.Join(pairs, ",")+"}"] = value
}

// scrape reads the kafka_ samples of a page. With families, only those.
func scrape(t *testing.T, url string, families map[string]bool) series {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v\n%s", url, answer.Status, err, text)
	}
	found := series{}
	for _, line := range strings.Split(string(text), "\n") {
		end := strings.LastIndexByte(line, ' ')
		if !strings.HasPrefix(line, "kafka_") || end < 0 {
			continue
		}
		family, _, _ := strings.Cut(line[:end], "{")
		if family == itself || (families != nil && !families[family]) {
			continue
		}
		value, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			t.Fatalf("%s: %q: %v", url, line, err)
		}
		var labels []string
		for _, pair := range label.FindAllStringSubmatch(line[:end], -1) {
			text, err := strconv.Unquote(`"` + pair[2] + `"`)
			if err != nil {
				t.Fatalf("%s: %q: %v", url, line, err)
			}
			labels = append(labels, pair[1], text)
		}
		found.add(family, value, labels...)
	}
	return found
}

func (s series) families() map[string]bool {
	families := map[string]bool{}
	for name := range s {
		family, _, _ := strings.Cut(name, "{")
		families[family] = true
	}
	return families
}

// differences tells what is not the same in both.
func differences(wanted, found series) []string {
	var lines []string
	for name, value := range wanted {
		if other, there := found[name]; !there {
			lines = append(lines, fmt.Sprintf("%s is %v, and not there", name, value))
		} else if other != value {
			lines = append(lines, fmt.Sprintf("%s is %v, told as %v", name, value, other))
		}
	}
	for name, value := range found {
		if _, there := wanted[name]; !there {
			lines = append(lines, fmt.Sprintf("%s is not there, told as %v", name, value))
		}
	}
	sort.Strings(lines)
	return lines
}
