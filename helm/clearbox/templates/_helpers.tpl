{{- define "clearbox.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "clearbox.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "clearbox.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "clearbox.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "clearbox.selector" -}}
app.kubernetes.io/name: {{ include "clearbox.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: broker
{{- end }}

{{- define "clearbox.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "clearbox.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "clearbox.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "clearbox.credentialsSecret" -}}
{{- .Values.credentials.existingSecret | default (include "clearbox.fullname" .) }}
{{- end }}

{{- /* The listeners: the port of the container, and the setting that names it. */ -}}
{{- define "clearbox.listeners" -}}
mqtt: { port: 1883, section: mqtt, key: port }
mqtts: { port: 8883, section: mqtt, key: tlsPort }
xmpp: { port: 5222, section: xmpp, key: port }
xmpps: { port: 5223, section: xmpp, key: tlsPort }
http: { port: 8080, section: http, key: port }
https: { port: 8443, section: http, key: tlsPort }
metrics: { port: 9090, section: http, key: metricsPort }
{{- end }}

{{- /* Those that are open, with their services. */ -}}
{{- define "clearbox.open" -}}
{{- $open := dict -}}
{{- $values := merge (dict "metrics" .Values.metrics) .Values.listeners -}}
{{- range $name, $listener := include "clearbox.listeners" . | fromYaml -}}
{{- $given := get $values $name -}}
{{- if or (eq $name "http") $given.enabled -}}
{{- $_ := set $open $name (merge (dict "service" $given.service) $listener) -}}
{{- end -}}
{{- end -}}
{{- toYaml $open -}}
{{- end }}

{{- /* clearbox.yaml: the settings, and what the chart decides. */ -}}
{{- define "clearbox.config" -}}
{{- $config := deepCopy .Values.settings -}}
{{- $open := include "clearbox.open" . | fromYaml -}}
{{- range $name, $listener := include "clearbox.listeners" . | fromYaml -}}
{{- $section := get $config $listener.section | default dict -}}
{{- $_ := set $section $listener.key (ternary $listener.port "off" (hasKey $open $name)) -}}
{{- $_ := set $config $listener.section $section -}}
{{- end -}}
{{- if .Values.tls.existingSecret -}}
{{- $_ := set $config "tls" (dict "cert" "/tls/tls.crt" "key" "/tls/tls.key") -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}
