{{/* Parts of the broker's pod. */}}

{{/* Where it may run. */}}
{{- define "ottla.placement" -}}
{{- $settings := dict "nodeSelector" .Values.nodeSelector "tolerations" .Values.tolerations
  "topologySpreadConstraints" .Values.topologySpreadConstraints "priorityClassName" .Values.priorityClassName
  "schedulerName" .Values.schedulerName "runtimeClassName" .Values.runtimeClassName "hostAliases" .Values.hostAliases
  "dnsPolicy" .Values.dnsPolicy "dnsConfig" .Values.dnsConfig "affinity" (include "ottla.affinity" . | fromYaml) -}}
{{- $given := dict -}}
{{- range $name, $value := $settings }}{{- if $value }}{{- $_ := set $given $name $value }}{{- end }}{{- end -}}
{{- if $given }}{{ toYaml $given }}{{ end -}}
{{- end }}

{{- define "ottla.affinity" -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "ottla.podSelector" . | fromYaml)) -}}
{{- if .Values.affinity -}}
{{ toYaml .Values.affinity }}
{{- else if eq .Values.podAntiAffinityPreset "hard" -}}
podAntiAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    {{- list $term | toYaml | nindent 4 }}
{{- else if eq .Values.podAntiAffinityPreset "soft" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    {{- list (dict "weight" 1 "podAffinityTerm" $term) | toYaml | nindent 4 }}
{{- end -}}
{{- end }}

{{/* The container without its name. */}}
{{- define "ottla.container" -}}
image: {{ include "ottla.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command:
  {{- if .Values.command }}
  {{- toYaml .Values.command | nindent 2 }}
  {{- else }}
  - ottla
  - broker
  - --config
  - /etc/ottla/server.properties
  {{- end }}
{{- with .Values.args }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if not .Values.existingConfigmap }}
env:
  {{- if contains "$(HOST_IP)" (include "ottla.advertised" .) }}
  - name: HOST_IP
    valueFrom: { fieldRef: { fieldPath: status.hostIP } }
  {{- end }}
  - name: KAFKA_ADVERTISED_LISTENERS
    value: {{ include "ottla.advertised" . }}
  {{- with .Values.extraEnvVars }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- else }}
{{- with .Values.extraEnvVars }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- if or .Values.extraEnvVarsCM .Values.extraEnvVarsSecret }}
envFrom:
  {{- with .Values.extraEnvVarsCM }}
  - configMapRef: { name: {{ . }} }
  {{- end }}
  {{- with .Values.extraEnvVarsSecret }}
  - secretRef: { name: {{ . }} }
  {{- end }}
{{- end }}
ports:
  - { name: tcp-client, containerPort: {{ int .Values.listeners.client.containerPort }} }
  {{- if .Values.externalAccess.enabled }}
  - { name: tcp-external, containerPort: {{ int .Values.listeners.external.containerPort }} }
  {{- end }}
  - { name: http, containerPort: {{ int .Values.http.containerPort }} }
{{- include "ottla.probe" (dict "name" "startupProbe" "own" .Values.customStartupProbe "probe" .Values.startupProbe "path" "/livez") }}
{{- include "ottla.probe" (dict "name" "livenessProbe" "own" .Values.customLivenessProbe "probe" .Values.livenessProbe "path" "/livez") }}
{{- include "ottla.probe" (dict "name" "readinessProbe" "own" .Values.customReadinessProbe "probe" .Values.readinessProbe "path" "/readyz") }}
{{- with .Values.lifecycleHooks }}
lifecycle:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- if .Values.containerSecurityContext.enabled }}
securityContext:
  {{- include "ottla.securityContext" (dict "root" . "context" .Values.containerSecurityContext) | nindent 2 }}
{{- end }}
volumeMounts:
  - { name: data, mountPath: /var/lib/kafka/data }
  - { name: config, mountPath: /etc/ottla, readOnly: true }
  - { name: tmp, mountPath: /tmp }
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "ottla.probe" -}}
{{- if .own }}
{{ .name }}:
  {{- toYaml .own | nindent 2 }}
{{- else if .probe.enabled }}
{{ .name }}:
  httpGet: { path: {{ .path }}, port: http }
  {{- range $name, $value := omit .probe "enabled" }}
  {{ $name }}: {{ int $value }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The claim carries the labels by which people look for it, and none that an upgrade would change. */}}
{{- define "ottla.claim" -}}
{{- $class := default .Values.global.storageClass .Values.persistence.storageClass | default .Values.global.defaultStorageClass -}}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata:
    name: data
    labels:
      {{- merge (include "ottla.podSelector" . | fromYaml) .Values.persistence.labels | toYaml | nindent 6 }}
    {{- with .Values.persistence.annotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    accessModes:
      {{- toYaml .Values.persistence.accessModes | nindent 6 }}
    resources:
      requests:
        storage: {{ .Values.persistence.size }}
    {{- if eq (toString $class) "-" }}
    storageClassName: ""
    {{- else if $class }}
    storageClassName: {{ $class }}
    {{- end }}
    {{- with .Values.persistence.selector }}
    selector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
