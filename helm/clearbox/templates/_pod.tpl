{{- /* The pod, which is the same in a StatefulSet (embedded database) and in a Deployment (external). */ -}}
{{- define "clearbox.pod" -}}
metadata:
  labels:
    {{- include "clearbox.selector" . | nindent 4 }}
    app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "clearbox.config" . | sha256sum }}
    checksum/credentials: {{ printf "%s\n%s" .Values.database.url .Values.credentials.jwtSecret | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.serviceAccountName }}
  serviceAccountName: {{ . }}
  {{- end }}
  automountServiceAccountToken: false
  # For a Service named clearbox-mqtt Kubernetes would set CLEARBOX_MQTT_PORT, which is a setting.
  enableServiceLinks: false
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  containers:
    - name: clearbox
      image: {{ include "clearbox.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [start, --config, /etc/clearbox/clearbox.yaml]
      # The image sets the first two by environment, which wins over the file; credentials are in no file.
      env:
        - name: CLEARBOX_BIND
          value: {{ .Values.bind | quote }}
        - name: CLEARBOX_DATA_DIR
          value: /data
        {{- if eq .Values.database.mode "external" }}
        - name: CLEARBOX_DATABASE_URL
          valueFrom:
            secretKeyRef:
              {{- if .Values.database.existingSecret }}
              name: {{ .Values.database.existingSecret }}
              key: {{ .Values.database.existingSecretKey }}
              {{- else }}
              name: {{ include "clearbox.fullname" . }}
              key: database-url
              {{- end }}
        {{- end }}
        - name: CLEARBOX_ADMIN_PASSWORD
          valueFrom:
            secretKeyRef:
              name: {{ include "clearbox.credentialsSecret" . }}
              key: admin-password
        - name: CLEARBOX_JWT_SECRET
          valueFrom:
            secretKeyRef:
              name: {{ include "clearbox.credentialsSecret" . }}
              key: jwt-secret
              optional: true
      ports:
        {{- range $name, $listener := include "clearbox.open" . | fromYaml }}
        - name: {{ $name }}
          containerPort: {{ $listener.port }}
        {{- end }}
      # The embedded database recovers before anything listens: up to ten minutes after a hard fall.
      startupProbe:
        httpGet:
          path: /health
          port: http
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 300
      # Whether the process lives. A database that is away is no reason to restart the broker.
      livenessProbe:
        httpGet:
          path: /health
          port: http
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      # Whether it takes messages.
      readinessProbe:
        httpGet:
          path: /ready
          port: http
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - name: config
          mountPath: /etc/clearbox
          readOnly: true
        - name: data
          mountPath: /data
        - name: tmp
          mountPath: /tmp
        {{- if .Values.tls.existingSecret }}
        - name: tls
          mountPath: /tls
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "clearbox.fullname" . }}
    - name: data
      {{- if eq .Values.database.mode "embedded" }}
      persistentVolumeClaim:
        claimName: {{ .Values.persistence.existingClaim | default (printf "%s-data" (include "clearbox.fullname" .)) }}
      {{- else }}
      # The self-signed certificate, if there is no other.
      emptyDir:
        sizeLimit: 16Mi
      {{- end }}
    - name: tmp
      emptyDir:
        sizeLimit: 64Mi
    {{- if .Values.tls.existingSecret }}
    - name: tls
      secret:
        secretName: {{ .Values.tls.existingSecret }}
        # 0440
        defaultMode: 288
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
