{{/* Topics that are there from the start, and what has to be right about them. */}}

{{/* As `ottla topic apply` reads them. */}}
{{- define "ottla.topics" -}}
{{- $provisioning := .Values.provisioning -}}
topics:
{{- range $topic := $provisioning.topics }}
  - name: {{ $topic.name | quote }}
    partitions: {{ default $provisioning.numPartitions $topic.partitions | int }}
    replicas: {{ default $provisioning.replicationFactor $topic.replicationFactor | int }}
    {{- with $topic.config }}
    config:
      {{- range $key, $value := . }}
      {{ $key }}: {{ include "ottla.scalar" (dict "name" (printf "provisioning.topics.config.%s" $key) "value" $value) | quote }}
      {{- end }}
    {{- end }}
{{- end }}
{{- end }}

{{/* A JSON list of what is wrong with them. */}}
{{- define "ottla.disagree.provisioning" -}}
{{- $problems := list -}}
{{- $provisioning := .Values.provisioning -}}
{{- $known := list "name" "partitions" "replicationFactor" "config" -}}
{{- if and $provisioning.enabled (not $provisioning.topics) -}}
  {{- $problems = append $problems "provisioning.topics: names no topic; give it some, or set provisioning.enabled=false" -}}
{{- end -}}
{{- range $topic := $provisioning.topics -}}
  {{- if not (kindIs "map" $topic) -}}
    {{- $problems = append $problems (printf "provisioning.topics: %s has to be {name: ...}" (toJson $topic)) -}}
  {{- else if not $topic.name -}}
    {{- $problems = append $problems (printf "provisioning.topics: %s has no name" (toJson $topic)) -}}
  {{- else -}}
    {{- range $key := keys $topic | sortAlpha -}}
      {{- if not (has $key $known) -}}
        {{- $problems = append $problems (printf "provisioning.topics: %s of %s is not known; there are %s" $key $topic.name (join ", " $known)) -}}
      {{- end -}}
    {{- end -}}
    {{- $replicas := default $provisioning.replicationFactor $topic.replicationFactor | int -}}
    {{- if gt $replicas (int $.Values.replicaCount) -}}
      {{- $problems = append $problems (printf "provisioning.topics: %s cannot have %d replicas on %d broker; set replicationFactor to 1" $topic.name $replicas (int $.Values.replicaCount)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{ toJson $problems }}
{{- end }}
