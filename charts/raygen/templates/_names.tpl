{{/* Names and labels of everything in this release. */}}

{{- define "raygen.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "raygen.operator" -}}
{{ include "raygen.name" . }}-operator
{{- end -}}

{{- define "raygen.selector" -}}
app.kubernetes.io/name: raygen-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "raygen.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* Accounts of operators, which the policies tell from others, as a list of CEL. */}}
{{- define "raygen.operators" -}}
{{- $own := printf "system:serviceaccount:%s:%s" .Release.Namespace (include "raygen.operator" .) -}}
['{{ join "', '" (prepend .Values.admission.otherOperators $own) }}']
{{- end -}}

{{/* Namespaces whose jobs are looked after; none for all. */}}
{{- define "raygen.namespaces" -}}
{{- if eq .Values.scope.type "Namespaced" -}}{{ join " " .Values.scope.namespaces }}{{- end -}}
{{- end -}}

{{/* Where pods go. */}}
{{- define "raygen.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- range . }}
  - {{ merge (dict "operator" (hasKey . "value" | ternary "Equal" "Exists")) . | toJson }}
  {{- end }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Secrets that images are pulled with. */}}
{{- define "raygen.pull" -}}
{{- with . }}
imagePullSecrets:
  {{- range . }}
  - {name: {{ . | quote }}}
  {{- end }}
{{- end }}
{{- end -}}

{{/* What Pod Security `restricted` asks of a pod and of a container, with the IDs of a runAs. */}}
{{- define "raygen.podSecurity" -}}
runAsNonRoot: true
{{- if not (kindIs "invalid" .user) }}
runAsUser: {{ int64 .user }}
{{- end }}
{{- if not (kindIs "invalid" .group) }}
runAsGroup: {{ int64 .group }}
{{- end }}
{{- if not (kindIs "invalid" .volumeGroup) }}
fsGroup: {{ int64 .volumeGroup }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "raygen.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
