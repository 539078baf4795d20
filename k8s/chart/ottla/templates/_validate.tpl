{{/*
What was given, against what the chart honours. Every template begins with ottla.prepare, so that whatever is rendered,
nothing is accepted and ignored. files/known.yaml has the names, files/foreign.yaml those of other charts with the cure.
*/}}

{{- define "ottla.prepare" -}}
{{- if not (hasKey .Values "checked") -}}
  {{- /* Newer charts have all settings of the pod below controller. */ -}}
  {{- $controller := .Values.controller | default dict -}}
  {{- $_ := mergeOverwrite .Values $controller -}}
  {{- $_ = unset .Values "controller" -}}
  {{- $known := .Files.Get "files/known.yaml" | fromYaml -}}
  {{- range $name, $key := .Files.Get "files/broker-keys.yaml" | fromYaml -}}
    {{- $_ := set $known $name "scalar" -}}
  {{- end -}}
  {{- $findings := dict "problems" list "notes" list "mistyped" false -}}
  {{- $foreign := .Files.Get "files/foreign.yaml" | fromYaml -}}
  {{- include "ottla.walk" (dict "given" .Values "known" $known "foreign" $foreign "path" "" "findings" $findings) -}}
  {{- if not $findings.mistyped -}}{{- include "ottla.agree" (dict "root" . "findings" $findings) -}}{{- end -}}
  {{- with $findings.problems -}}
    {{- fail (printf "\n\nThese values cannot be honoured:\n  * %s\n" (join "\n  * " .)) -}}
  {{- end -}}
  {{- $_ := set .Values "checked" (dict "notes" $findings.notes) -}}
{{- end -}}
{{- end }}

{{- define "ottla.walk" -}}
{{- range $name, $value := .given -}}
  {{- $path := ternary $name (printf "%s.%s" $.path $name) (eq $.path "") -}}
  {{- $kind := get $.known $name -}}
  {{- if kindIs "invalid" $value -}}
  {{- else if and $kind (kindIs "map" $kind) (kindIs "map" $value) -}}
    {{- include "ottla.walk" (dict "given" $value "known" $kind "foreign" $.foreign "path" $path "findings" $.findings) -}}
  {{- else if and $kind (kindIs "map" $kind) -}}
    {{- $_ := set $.findings "mistyped" true -}}
    {{- include "ottla.problem" (dict "of" $ "text" (printf "%s: has values below it: %s" $path (keys $kind | sortAlpha | join ", "))) -}}
  {{- else if $kind -}}
    {{- include "ottla.kind" (dict "of" $ "path" $path "value" $value "kind" $kind) -}}
  {{- else if hasKey $.foreign $path -}}
    {{- include "ottla.foreign" (dict "of" $ "path" $path "value" $value "entry" (get $.foreign $path)) -}}
  {{- else -}}
    {{- $there := ternary "values.yaml has them all" (printf "here there are: %s" (keys $.known | sortAlpha | join ", ")) (eq $.path "") -}}
    {{- include "ottla.problem" (dict "of" $ "text" (printf "%s: there is no such value; %s" $path $there)) -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{- define "ottla.problem" -}}
{{- $_ := set .of.findings "problems" (append .of.findings.problems .text) -}}
{{- end }}

{{- define "ottla.foreign" -}}
{{- $on := include "ottla.on" (dict "value" .value "fine" (.entry.fine | default list)) -}}
{{- if and .entry.cure $on -}}
  {{- include "ottla.problem" (dict "of" .of "text" (printf "%s: %s" .path .entry.cure)) -}}
{{- else if .entry.note -}}
  {{- $_ := set .of.findings "notes" (append .of.findings.notes .entry.note) -}}
{{- end -}}
{{- end }}

{{/* Says something when the value, or anything in it, is neither off nor fine. */}}
{{- define "ottla.on" -}}
{{- $fine := .fine -}}
{{- if kindIs "map" .value -}}
  {{- range .value }}{{ include "ottla.on" (dict "value" . "fine" $fine) }}{{ end -}}
{{- else if and .value (not (has .value $fine)) -}}
on
{{- end -}}
{{- end }}

{{- define "ottla.kind" -}}
{{- $number := has (kindOf .value) (list "int" "int64" "float64") -}}
{{- $scalar := or $number (kindIs "string" .value) (kindIs "bool" .value) -}}
{{- $wrong := "" -}}
{{- if and (eq .kind "string") (not (kindIs "string" .value)) -}}{{- $wrong = "a text; write it in quotes, or with --set-string" -}}
{{- else if and (eq .kind "number") (not $number) -}}{{- $wrong = "a number" -}}
{{- else if and (eq .kind "flag") (not (kindIs "bool" .value)) -}}{{- $wrong = "true or false, without quotes" -}}
{{- else if and (eq .kind "scalar") (not $scalar) -}}{{- $wrong = "one value, no list and nothing below it" -}}
{{- else if and (eq .kind "map") (not (kindIs "map" .value)) -}}{{- $wrong = "names with values, as in {a: b}" -}}
{{- else if and (eq .kind "list") (not (kindIs "slice" .value)) -}}{{- $wrong = "a list, as in [a, b]" -}}
{{- end -}}
{{- if $wrong -}}
  {{- $_ := set .of.findings "mistyped" true -}}
  {{- include "ottla.problem" (dict "of" .of "text" (printf "%s: %s has to be %s" .path (toJson .value) $wrong)) -}}
{{- end -}}
{{- end }}

{{/* What has to agree with each other. */}}
{{- define "ottla.agree" -}}
{{- $of := . -}}
{{- $values := .root.Values -}}
{{- $problems := list -}}
{{- if ne (int $values.replicaCount) 1 -}}
  {{- $problems = append $problems (printf "replicaCount: %v brokers would be as many clusters, because brokers do not replicate yet; set replicaCount=1 (and controller.replicaCount=1 where that is set)" $values.replicaCount) -}}
{{- end -}}
{{- range $name := list "client" "external" -}}
  {{- $listener := get $values.listeners $name -}}
  {{- if and (hasKey $listener "protocol") (ne (upper (default "PLAINTEXT" $listener.protocol)) "PLAINTEXT") -}}
    {{- $problems = append $problems (printf "listeners.%s.protocol: encryption and authentication are not built yet; set it to PLAINTEXT" $name) -}}
  {{- end -}}
{{- end -}}
{{- if ne $values.service.type "ClusterIP" -}}
  {{- $problems = append $problems (printf "service.type: over a %s, clients outside would be told a name that only the cluster knows; leave it ClusterIP and set externalAccess.enabled=true" $values.service.type) -}}
{{- end -}}
{{- if and $values.existingConfigmap (or $values.config $values.overrideConfiguration $values.extraConfigYaml $values.extraConfig) -}}
  {{- $problems = append $problems "existingConfigmap: replaces config, overrideConfiguration, extraConfigYaml and extraConfig; give one or the other" -}}
{{- end -}}
{{- if and $values.existingConfigmap $values.externalAccess.enabled -}}
  {{- $problems = append $problems "existingConfigmap: brings its own listeners, which externalAccess cannot add to; use config and extraConfig" -}}
{{- end -}}
{{- if and $values.persistence.existingClaim (not $values.persistence.enabled) -}}
  {{- $problems = append $problems "persistence.existingClaim: needs persistence.enabled=true" -}}
{{- end -}}
{{- if not (has $values.podAntiAffinityPreset (list "" "soft" "hard")) -}}
  {{- $problems = append $problems (printf "podAntiAffinityPreset: %s is not soft, hard or empty" $values.podAntiAffinityPreset) -}}
{{- end -}}
{{- range $problem := concat $problems (include "ottla.disagree.external" .root | fromJsonArray) (include "ottla.disagree.provisioning" .root | fromJsonArray) -}}
  {{- include "ottla.problem" (dict "of" $of "text" $problem) -}}
{{- end -}}
{{- end }}

{{/* Outside, a broker has to know what to tell clients. A JSON list of what it lacks. */}}
{{- define "ottla.disagree.external" -}}
{{- $problems := list -}}
{{- $service := .Values.externalAccess.service -}}
{{- if .Values.externalAccess.enabled -}}
  {{- if eq $service.type "NodePort" -}}
    {{- if ne (len $service.nodePorts) 1 -}}
      {{- $problems = append $problems "externalAccess.service.nodePorts: NodePort needs one port per broker, for example [30092], because the broker tells it to clients" -}}
    {{- end -}}
  {{- else if eq $service.type "LoadBalancer" -}}
    {{- if not (or $service.domain $service.loadBalancerNames $service.loadBalancerIPs) -}}
      {{- $problems = append $problems "externalAccess.service.domain: with LoadBalancer, set it, loadBalancerNames or loadBalancerIPs to what clients connect to" -}}
    {{- end -}}
  {{- else -}}
    {{- $problems = append $problems (printf "externalAccess.service.type: %s is neither NodePort nor LoadBalancer" $service.type) -}}
  {{- end -}}
{{- end -}}
{{ toJson $problems }}
{{- end }}
