{{/* Names, labels and images. */}}

{{/* Name of the StatefulSet; its pods and a revision label hang behind it, so it stays short of 63 characters. */}}
{{- define "ottla.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "ottla.headless" -}}
{{ include "ottla.fullname" . }}-headless
{{- end }}

{{/* What people who come from an operator have in their clients. */}}
{{- define "ottla.bootstrap" -}}
{{ .Release.Name | trunc 47 | trimSuffix "-" }}-kafka-bootstrap
{{- end }}

{{- define "ottla.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end }}

{{- define "ottla.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ottla.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* Labels by which things find each other: they never change. */}}
{{- define "ottla.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ottla.podSelector" -}}
{{ include "ottla.selector" . }}
app.kubernetes.io/component: broker
{{- end }}

{{- define "ottla.labels" -}}
{{ include "ottla.selector" . }}
app.kubernetes.io/version: {{ default .Chart.AppVersion .Values.image.tag | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* metadata of an object. Takes a dict: root, name, component, annotations, namespace. */}}
{{- define "ottla.metadata" -}}
metadata:
  name: {{ .name }}
  namespace: {{ .namespace | default (include "ottla.namespace" .root) }}
  labels:
    {{- include "ottla.labels" .root | nindent 4 }}
    {{- with .component }}
    app.kubernetes.io/component: {{ . }}
    {{- end }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with merge (deepCopy (.annotations | default dict)) .root.Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "ottla.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end -}}
{{- end }}

{{/* Secrets for the registry, given by name or as {name: ...}. */}}
{{- define "ottla.pullSecrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.image.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ if kindIs "map" . }}{{ .name }}{{ else }}{{ . }}{{ end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* A security context without the switch, and on OpenShift without the numbers that it chooses itself. */}}
{{- define "ottla.securityContext" -}}
{{- $context := omit .context "enabled" -}}
{{- if .root.Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" "seLinuxOptions" -}}
{{- end -}}
{{ toYaml $context }}
{{- end }}
