{{- define "copilotkit.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "copilotkit.selector" -}}
app.kubernetes.io/name: copilotkit-runtime
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "copilotkit.workerName" -}}
{{ include "copilotkit.name" . }}-worker
{{- end }}

{{- define "copilotkit.workerSelector" -}}
app.kubernetes.io/name: copilotkit-worker
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "copilotkit.workerLabels" -}}
{{ include "copilotkit.workerSelector" . }}
{{ include "copilotkit.release" . }}
{{- end }}

{{- define "copilotkit.workerSettings" -}}
{{- toYaml (mergeOverwrite (omit (deepCopy .Values.settings) "workers" "trusted_proxies") .Values.worker.settings) }}
{{- end }}

{{- define "copilotkit.labels" -}}
{{ include "copilotkit.selector" . }}
{{ include "copilotkit.release" . }}
{{- end }}

{{- define "copilotkit.release" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "copilotkit.path" -}}
{{ .Values.settings.graphql_path | default "/api/copilotkit" | trimSuffix "/" }}
{{- end }}
