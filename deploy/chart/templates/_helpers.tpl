{{- define "thermidora.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "thermidora.secret" -}}
{{ .Values.existingSecret | default .Release.Name }}
{{- end }}

{{/* Of a part of this release: [root, part]. The second label alone finds it, also from another namespace. */}}
{{- define "thermidora.selector" -}}
app.kubernetes.io/name: thermidora
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
thermidora/part: {{ (index . 0).Release.Name }}-{{ index . 1 }}
{{- end }}

{{- define "thermidora.labels" -}}
{{ include "thermidora.selector" . }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end }}

{{/* Of every Pod of ours: no right in the cluster, no root, nothing to write but /tmp. */}}
{{- define "thermidora.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, seccompProfile: { type: RuntimeDefault } }
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "thermidora.container" -}}
image: {{ include "thermidora.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: [ALL] } }
{{- end }}

{{/* Where a Pod runs: the values of its part. */}}
{{- define "thermidora.placing" -}}
{{- with .nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end }}

{{/* So that one lost node does not take all Pods of a part: [root, part]. */}}
{{- define "thermidora.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: { matchLabels: { thermidora/part: {{ (index . 0).Release.Name }}-{{ index . 1 }} } }
{{- end }}

{{/* What all parts are told alike. */}}
{{- define "thermidora.env" -}}
- { name: RUNTIME, value: kubernetes }
- { name: TEMPORAL_ADDRESS, value: {{ .Values.temporal.address | quote }} }
- { name: TEMPORAL_NAMESPACE, value: {{ .Values.temporal.namespace | quote }} }
- { name: METRICS_HOST, value: 0.0.0.0 }
{{- end }}

{{/* Of the keys of the Secret, each part has those that it reads, as files: [root, key...]. */}}
{{- define "thermidora.secretVolume" -}}
- name: secrets
  secret:
    secretName: {{ include "thermidora.secret" (index . 0) }}
    defaultMode: 0440
    items:
      {{- range rest . }}
      - { key: {{ . }}, path: {{ . }} }
      {{- end }}
- { name: tmp, emptyDir: {} }
{{- end }}

{{/* Not /run/secrets: below it the kubelet mounts the token of a worker. */}}
{{- define "thermidora.mounts" -}}
- { name: secrets, mountPath: /run/thermidora, readOnly: true }
- { name: tmp, mountPath: /tmp }
{{- end }}

{{/* A Pod that is to be ended with its settings is made anew. */}}
{{- define "thermidora.checksum" -}}
thermidora/settings: {{ toJson .Values.settings | sha256sum | trunc 16 }}
{{- end }}

{{- define "thermidora.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ (index . 0).Release.Name }}-{{ index . 1 }}
  labels: {{- include "thermidora.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "thermidora.selector" . | nindent 6 }}
{{- end }}
