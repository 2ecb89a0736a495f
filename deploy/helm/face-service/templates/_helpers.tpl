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
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end }}

{{/* Of a pod that needs nothing of the node. */}}
{{- define "face-service.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- with .Values.supplementalGroups }}
supplementalGroups: {{ toJson . }}
{{- end }}
{{- end }}

{{- define "face-service.containerSecurity" -}}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
{{- end }}

{{- define "face-service.env" -}}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
- name: MODEL_CACHE_DIR
  value: {{ .Values.packs.path | quote }}
{{- end }}

{{- define "face-service.packsMount" -}}
{{- if ne .Values.packs.from "image" }}
- name: packs
  mountPath: {{ .Values.packs.path }}
{{- end }}
{{- end }}

{{- define "face-service.packsVolume" -}}
{{- if eq .Values.packs.from "claim" }}
- name: packs
  persistentVolumeClaim: {claimName: {{ required "packs.claim" .Values.packs.claim }}}
{{- else if eq .Values.packs.from "mirror" }}
- name: packs
  emptyDir: {sizeLimit: {{ .Values.packs.sizeLimit }}}
{{- else if ne .Values.packs.from "image" }}
{{- fail "packs.from is image, mirror or claim" }}
{{- end }}
{{- end }}
