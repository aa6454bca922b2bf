{{- define "copilotkit.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "copilotkit.selector" -}}
app.kubernetes.io/name: copilotkit-runtime
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "copilotkit.labels" -}}
{{ include "copilotkit.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "copilotkit.path" -}}
{{ .Values.settings.graphql_path | default "/api/copilotkit" | trimSuffix "/" }}
{{- end }}
