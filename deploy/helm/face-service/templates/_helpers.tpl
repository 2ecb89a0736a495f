{{- define "face-service.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "face-service.selector" -}}
app.kubernetes.io/name: face-service
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "face-service.labels" -}}
{{ include "face-service.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "face-service.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ ternary (print "@" .digest) (print ":" .tag) (not (empty .digest)) }}
{{- end }}
{{- end }}

{{/* Where and as whom the pods run. */}}
{{- define "face-service.placement" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{ toJson .Values.podSecurityContext }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- end }}

{{- define "face-service.resources" -}}
{{ dict "limits" .Values.resources.limits "requests" (merge (dict) (.Values.resources.requests | default dict) .Values.resources.limits) | toJson }}
{{- end }}

{{- define "face-service.containerSecurity" -}}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
{{- end }}

{{/* Numbers as JSON: from a file of values they are floats, which would be 1e+08. */}}
{{- define "face-service.env" -}}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
- name: MODEL_CACHE_DIR
  value: {{ .Values.packs.path | quote }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "face-service.port" -}}
{{ .Values.settings.PORT | default 8100 }}
{{- end }}

{{/* What a request may take, and the answer behind it. */}}
{{- define "face-service.answered" -}}
{{ .Values.settings.REQUEST_TIMEOUT_S | float64 | ceil | add 5 }}
{{- end }}

{{- define "face-service.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if ne .Values.packs.from "image" }}
- {name: packs, mountPath: {{ .Values.packs.path }}}
{{- end }}
{{- with .Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "face-service.volumes" -}}
- name: tmp
  emptyDir: {}
{{- if eq .Values.packs.from "claim" }}
- name: packs
  persistentVolumeClaim: {claimName: {{ required "packs.claim" .Values.packs.claim }}}
{{- else if eq .Values.packs.from "mirror" }}
- name: packs
  emptyDir: {sizeLimit: {{ .Values.packs.sizeLimit }}}
{{- end }}
{{- with .Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
