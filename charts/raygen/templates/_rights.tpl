{{/*
What the operator may do with jobs and sweeps. No secrets, no exec, no logs, no roles, no wildcards. Pods and events can be read, to
explain them; its own Events are written through their own API group.
*/}}
{{- define "raygen.rights" -}}
- apiGroups: [raygen.io]
  resources: [trainingjobs, sweeps]
  # Deleted after ttlSecondsAfterFinished.
  verbs: [get, list, watch, delete]
- apiGroups: [raygen.io]
  resources: [trainingjobs/status, sweeps/status]
  verbs: [patch]
- apiGroups: [raygen.io]
  # For clusters that let nobody block the deletion of what he may not finalize.
  resources: [trainingjobs/finalizers, sweeps/finalizers]
  verbs: [update]
- apiGroups: [ray.io]
  resources: [rayjobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [ray.io]
  # The number of worker pods of a sweep with autoscaling; the policy raygen-scaling lets it change nothing else.
  resources: [rayclusters]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods, events]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* Runtimes belong to no namespace, so this right is one in the whole cluster. */}}
{{- define "raygen.runtimeRights" -}}
- apiGroups: [raygen.io]
  resources: [raygenruntimes]
  verbs: [get, list, watch]
{{- end -}}

{{- define "raygen.subject" -}}
{kind: ServiceAccount, name: {{ include "raygen.operator" . }}, namespace: {{ .Release.Namespace | quote }}}
{{- end -}}
