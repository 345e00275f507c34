{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{- define "sealwatch.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains "sealwatch" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-sealwatch" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sealwatch.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "sealwatch.name" .) -}}
{{- end -}}

{{- define "sealwatch.selector" -}}
app.kubernetes.io/name: sealwatch
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sealwatch.labels" -}}
{{ include "sealwatch.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "sealwatch.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sealwatch.registriesSecret" -}}
{{- if .Values.registries.existingSecret -}}
{{- .Values.registries.existingSecret -}}
{{- else if .Values.registries.config -}}
{{- include "sealwatch.name" . }}-registries
{{- end -}}
{{- end -}}

{{- define "sealwatch.certificates" -}}
{{- if .Values.certificateAuthorities.existingConfigMap -}}
{{- .Values.certificateAuthorities.existingConfigMap -}}
{{- else if .Values.certificateAuthorities.pem -}}
{{- include "sealwatch.name" . }}-certificates
{{- end -}}
{{- end -}}

{{- define "sealwatch.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "sealwatch.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Three quarters of the volume's size in bytes: a node evicts a pod whose emptyDir is over its size. */}}
{{- define "sealwatch.cacheBytes" -}}
{{- $size := .Values.cache.size -}}
{{- $mebibytes := ternary (mul 1024 (trimSuffix "Gi" $size | int)) (trimSuffix "Mi" $size | int) (hasSuffix "Gi" $size) -}}
{{- div (mul $mebibytes 1048576 3) 4 -}}
{{- end -}}
