{{/* What the broker is told: a server.properties, and where clients reach it. */}}

{{/* One value as the text of a property. Numbers come as floats, which print large ones with an exponent. */}}
{{- define "ottla.scalar" -}}
{{- if kindIs "float64" .value -}}
{{- if eq (floor .value) .value }}{{ int64 .value }}{{ else }}{{ .value }}{{ end -}}
{{- else if has (kindOf .value) (list "string" "bool" "int" "int64") -}}
{{- $text := toString .value -}}
{{- if contains "\n" $text }}{{ fail (printf "\n\n%s: a setting is one line; lines go into extraConfig\n" .name) }}{{ end -}}
{{ $text | replace "\\" "\\\\" }}
{{- else -}}
{{- fail (printf "\n\n%s: a setting is a text, a number, true or false; on the command line, write a\\.b=c for the setting a.b\n" .name) -}}
{{- end -}}
{{- end }}

{{- define "ottla.properties" -}}
listeners=CLIENT://:{{ int .Values.listeners.client.containerPort }}
{{- if .Values.externalAccess.enabled }},EXTERNAL://:{{ int .Values.listeners.external.containerPort }}{{ end }}
{{- if .Values.listeners.local.enabled }},LOCAL://127.0.0.1:{{ int .Values.listeners.local.containerPort }}{{ end }}
listener.security.protocol.map=CLIENT:PLAINTEXT,EXTERNAL:PLAINTEXT,LOCAL:PLAINTEXT
log.dirs=/var/lib/kafka/data
ottla.http.listener=:{{ int .Values.http.containerPort }}
{{- with default (.Values.kraft | default dict).clusterId .Values.clusterId }}
ottla.cluster.id={{ . }}
{{- end }}
{{- range $name, $key := .Files.Get "files/broker-keys.yaml" | fromYaml }}
{{- $value := get $.Values $name }}
{{- if not (has (toString $value) (list "" "<nil>")) }}
{{ $key }}={{ include "ottla.scalar" (dict "name" $name "value" (ternary (trimPrefix "_" (toString $value)) $value (kindIs "string" $value))) }}
{{- end }}
{{- end }}
{{- range $group := list "config" "extraConfigYaml" "overrideConfiguration" }}
{{- range $key, $value := get $.Values $group }}
{{ $key }}={{ include "ottla.scalar" (dict "name" (printf "%s.%s" $group $key) "value" $value) }}
{{- end }}
{{- end }}
{{- with .Values.extraConfig }}
{{ . | trimSuffix "\n" }}
{{- end }}
{{- end }}

{{/* Inside, the pod's name, which outlives its address; outside, what externalAccess says. */}}
{{- define "ottla.advertised" -}}
{{- $inside := printf "%s-0.%s.%s.svc.%s" (include "ottla.fullname" .) (include "ottla.headless" .) (include "ottla.namespace" .) .Values.clusterDomain -}}
CLIENT://{{ $inside }}:{{ int .Values.listeners.client.containerPort }}
{{- if .Values.externalAccess.enabled -}}
{{- $service := .Values.externalAccess.service -}}
{{- if eq $service.type "NodePort" -}}
,EXTERNAL://{{ default "$(HOST_IP)" $service.domain }}:{{ first $service.nodePorts | int }}
{{- else -}}
,EXTERNAL://{{ concat $service.loadBalancerNames $service.loadBalancerIPs | first | default $service.domain }}:{{ int $service.ports.external }}
{{- end -}}
{{- end -}}
{{- end }}
