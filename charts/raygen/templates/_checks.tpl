{{/* Values and clusters that cannot work, each with what to do. */}}
{{- define "raygen.checks" -}}
{{- if not (.Capabilities.APIVersions.Has "ray.io/v1/RayJob") -}}
{{- fail "\n\nThis cluster has no RayJobs. Install KubeRay 1.6 or newer first: helm install kuberay-operator kuberay/kuberay-operator --namespace kuberay-system --create-namespace\nWithout a cluster, as in `helm template`, add: --api-versions ray.io/v1/RayJob\n" -}}
{{- end -}}
{{- $rayJobs := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "rayjobs.ray.io" -}}
{{- if $rayJobs -}}
{{- $known := false -}}
{{- range $rayJobs.spec.versions -}}
{{- if eq .name "v1" -}}
{{- $cluster := .schema.openAPIV3Schema.properties.spec.properties.rayClusterSpec | default dict -}}
{{- $auth := dig "properties" "authOptions" "properties" dict $cluster -}}
{{- if hasKey $auth "enableK8sTokenAuth" -}}{{- $known = true -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $known -}}
{{- fail "\n\nThe KubeRay of this cluster is too old: its RayJobs lack rayClusterSpec.authOptions.enableK8sTokenAuth. Upgrade it to 1.6 or newer, its definitions too, which Helm leaves as they are: helm show crds kuberay/kuberay-operator | kubectl apply --server-side --force-conflicts -f -\n" -}}
{{- end -}}
{{- end -}}
{{- if and $rayJobs .Values.admission.enabled (not (.Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy")) -}}
{{- fail "\n\nThis cluster serves no ValidatingAdmissionPolicies, which Kubernetes has from 1.30 on. Have its API server serve admissionregistration.k8s.io/v1, or set admission.enabled=false; then every user who may create jobs has every runtime of their namespace.\n" -}}
{{- end -}}
{{- if not .Values.image -}}
{{- fail "\n\nimage is missing: name the operator's image in your registry by its digest, as in --set image=registry.example.org/raygen-operator@sha256:...\n" -}}
{{- end -}}
{{- $scope := .Values.scope -}}
{{- if and (eq $scope.type "Namespaced") (not $scope.namespaces) -}}
{{- fail "\n\nscope.namespaces is empty: name at least one namespace, or set scope.type=Cluster\n" -}}
{{- end -}}
{{- if and (eq $scope.type "Cluster") $scope.namespaces -}}
{{- fail "\n\nscope.namespaces has names, and scope.type is Cluster: set scope.type=Namespaced to look after these alone, or remove the names\n" -}}
{{- end -}}
{{- if eq $scope.type "Namespaced" -}}
{{- range .Values.jobNamespaces -}}
{{- if not (has . $scope.namespaces) -}}
{{- fail (printf "\n\njobNamespaces has %s, which scope.namespaces lacks: no operator would look after jobs there. Add it there, or remove it\n" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.runtime -}}
{{- if and .enabled (not .spec) -}}
{{- fail "\n\nruntime.spec is missing: say what jobs get (docs/reference/raygenruntime.md), at least image, allowedNamespaces and storage.allowedUriPrefixes, or set runtime.enabled=false\n" -}}
{{- end -}}
{{- if and .enabled .groups (not $.Values.jobNamespaces) -}}
{{- fail "\n\nruntime.groups has names, and jobNamespaces is empty: name the namespaces in which they may use the runtime, or remove the groups\n" -}}
{{- end -}}
{{- if and .enabled .spec.sharedCluster (or .spec.environmentSecrets .spec.scheduler) -}}
{{- fail "\n\nruntime.spec.sharedCluster is given, beside environmentSecrets or scheduler: jobs have what that cluster's pods have. Remove the others, or sharedCluster\n" -}}
{{- end -}}
{{- if and .enabled .spec.scheduler -}}
{{- if and (eq .spec.scheduler.type "KAI") (not .spec.scheduler.queueNames) -}}
{{- fail "\n\nruntime.spec.scheduler is KAI without queueNames, and KAI places no pods without a queue: list those that jobs may name, or \"*\"\n" -}}
{{- end -}}
{{- end -}}
{{- if .enabled -}}
{{- range $.Values.jobNamespaces -}}
{{- if not (or (has "*" ($.Values.runtime.spec.allowedNamespaces | default list)) (has . ($.Values.runtime.spec.allowedNamespaces | default list))) -}}
{{- fail (printf "\n\njobNamespaces has %s, which runtime.spec.allowedNamespaces lacks: no job there could use the runtime. Add it there, or remove it\n" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.cluster -}}
{{- if and .enabled (not .image) -}}
{{- fail "\n\ncluster.image is missing: name the image `train` in your registry by its digest, or set cluster.enabled=false\n" -}}
{{- end -}}
{{- if and .takesJobs (not .enabled) -}}
{{- fail "\n\ncluster.takesJobs is true, and cluster.enabled is false: set cluster.enabled=true, or cluster.takesJobs=false\n" -}}
{{- end -}}
{{- if has .name (list "default" "raygen-runner" (include "raygen.operator" $) (dig "serviceAccountName" "" ($.Values.runtime.spec | default dict))) -}}
{{- fail (printf "\n\ncluster.name is %s, as a service account is that others use, which would get the rights of Ray's autoscaler: choose another\n" .name) -}}
{{- end -}}
{{- if and .takesJobs (not (has (.namespace | default $.Release.Namespace) $.Values.jobNamespaces)) -}}
{{- fail (printf "\n\ncluster.takesJobs is true, and jobNamespaces lacks %s, where the cluster is: set cluster.namespace to one of jobNamespaces, or cluster.takesJobs=false\n" (.namespace | default $.Release.Namespace)) -}}
{{- end -}}
{{- if gt (int .workers.min) (int .workers.max) -}}
{{- fail (printf "\n\ncluster.workers.min (%v) is above cluster.workers.max (%v): lower the one, or raise the other\n" .workers.min .workers.max) -}}
{{- end -}}
{{- end -}}
{{- range list (list "serviceMonitor" "ServiceMonitor") (list "prometheusRule" "PrometheusRule") (list "podMonitor" "PodMonitor") -}}
{{- $one := index $.Values.metrics (index . 0) -}}
{{- $kind := index . 1 -}}
{{- if and $one.enabled (not ($.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" $kind))) -}}
{{- fail (printf "\n\nThis cluster has no %ss: install the Prometheus operator first, or set metrics.%s.enabled=false\n" $kind (index . 0)) -}}
{{- end -}}
{{- end -}}
{{- range $place, $names := dict "jobNamespaces" .Values.jobNamespaces "scope.namespaces" $scope.namespaces -}}
{{- if ne (len $names) (len (uniq $names)) -}}
{{- fail (printf "\n\n%s has a name twice (%s): remove one of the two\n" $place (join ", " $names)) -}}
{{- end -}}
{{- end -}}
{{- if and $rayJobs .Values.runtime.enabled (not .Values.crds.enabled) (not (.Capabilities.APIVersions.Has "raygen.io/v1alpha1/RaygenRuntime")) -}}
{{- fail "\n\ncrds.enabled is false, and this cluster has no RaygenRuntimes, of which runtime.enabled makes one: kubectl apply --server-side -f manifests/crd first, or set crds.enabled=true\n" -}}
{{- end -}}
{{- include "raygen.check.images" . -}}
{{- include "raygen.check.shared" . -}}
{{- include "raygen.check.amounts" . -}}
{{- end -}}

{{/* Images without a digest, for which the schema has no words. */}}
{{- define "raygen.check.images" -}}
{{- $images := dict "image" .Values.image "cluster.image" .Values.cluster.image -}}
{{- if .Values.runtime.spec -}}{{- $images = set $images "runtime.spec.image" .Values.runtime.spec.image -}}{{- end -}}
{{- range $place, $image := $images -}}
{{- if and $image (not (regexMatch "^[a-z0-9]([-a-z0-9._:]*[a-z0-9])?(/[a-z0-9]([-a-z0-9._]*[a-z0-9])?)+@sha256:[0-9a-f]{64}$" $image)) -}}
{{- fail (printf "\n\n%s is %s, and must be registry/name@sha256: with the 64 digits of its digest, so that all pods run the same and keep doing so: `skopeo inspect --format '{{.Name}}@{{.Digest}}' docker://%s` prints it\n" $place $image $image) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A runtime that sends jobs to the cluster which this release makes, and does not fit it. */}}
{{- define "raygen.check.shared" -}}
{{- $cluster := .Values.cluster -}}
{{- $runtime := .Values.runtime -}}
{{- if and $runtime.enabled $cluster.enabled (eq (dig "sharedCluster" "" ($runtime.spec | default dict)) $cluster.name) -}}
{{- if not $cluster.takesJobs -}}
{{- fail (printf "\n\nruntime.spec.sharedCluster is %s, and cluster.takesJobs is false: set cluster.takesJobs=true, or remove sharedCluster\n" $cluster.name) -}}
{{- end -}}
{{- if ne $runtime.spec.image $cluster.image -}}
{{- fail "\n\nruntime.spec.image is not cluster.image, and jobs run in the cluster's pods: give both the same\n" -}}
{{- end -}}
{{- if ne ($runtime.spec.rayVersion | default $cluster.rayVersion) $cluster.rayVersion -}}
{{- fail "\n\nruntime.spec.rayVersion is not cluster.rayVersion, and both are that of one image: give both the same\n" -}}
{{- end -}}
{{- range $.Values.jobNamespaces -}}
{{- if ne . ($cluster.namespace | default $.Release.Namespace) -}}
{{- fail (printf "\n\njobNamespaces has %s, and runtime.spec.sharedCluster is in %s alone: remove the one, or give that namespace a runtime and a cluster of its own\n" . ($cluster.namespace | default $.Release.Namespace)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Amounts that contradict each other. */}}
{{- define "raygen.check.amounts" -}}
{{- $cluster := .Values.cluster -}}
{{- $all := dict "operator.resources" .Values.operator.resources -}}
{{- if $cluster.enabled -}}
{{- $all = merge $all (dict "cluster.head.resources" $cluster.head.resources "cluster.workers.resources" $cluster.workers.resources "cluster.autoscaler.resources" $cluster.autoscaler.resources) -}}
{{- end -}}
{{- range $place, $resources := $all -}}
{{- range $name, $request := $resources.requests -}}
{{- $limit := get $resources.limits $name -}}
{{- if and (contains "/" $name) (not $limit) -}}
{{- fail (printf "\n\n%s.requests has %s, and limits has not, which Kubernetes wants of devices: put it under limits\n" $place $name) -}}
{{- end -}}
{{- if $limit -}}
{{- if gt (include "raygen.number" $request | float64) (include "raygen.number" $limit | float64) -}}
{{- fail (printf "\n\n%s.requests.%s (%s) is above its limit (%s): lower the one, or raise the other\n" $place $name $request $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $cluster.enabled -}}
{{- $shared := include "raygen.number" $cluster.sharedMemory | float64 -}}
{{- $memory := get $cluster.head.resources.limits "memory" -}}
{{- $needed := addf 2.0 (mulf 1.5 (float64 $cluster.maxJobs)) -}}
{{- if and $cluster.takesJobs $memory (lt (include "raygen.number" $memory | float64) (mulf $needed 1073741824.0)) -}}
{{- fail (printf "\n\ncluster.maxJobs is %v, whose drivers need %vGi in the head, and cluster.head.resources.limits.memory is %s: lower the one, or raise the other\n" $cluster.maxJobs $needed $memory) -}}
{{- end -}}
{{- range $group := list "head" "workers" -}}
{{- $limit := get (index $cluster $group).resources.limits "memory" -}}
{{- if and $limit (ge $shared (include "raygen.number" $limit | float64)) -}}
{{- fail (printf "\n\ncluster.sharedMemory (%s) counts as memory of a pod, and cluster.%s.resources.limits.memory is %s: lower the one, or raise the other\n" $cluster.sharedMemory $group $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.runtime.spec -}}
{{- $memory := dig "head" "memory" "4Gi" . -}}
{{- $each := dig "defaults" "memoryPerWorker" "4Gi" . -}}
{{- range $place, $limit := dict "head.memory" $memory "defaults.memoryPerWorker" $each -}}
{{- $own := $.Values.runtime.spec.sharedMemory | default "2Gi" -}}
{{- if and $.Values.runtime.enabled (ge (include "raygen.number" $own | float64) (include "raygen.number" $limit | float64)) -}}
{{- fail (printf "\n\nruntime.spec.sharedMemory (%s) counts as memory of a pod, and runtime.spec.%s is %s: lower the one, or raise the other\n" $own $place $limit) -}}
{{- end -}}
{{- end -}}
{{- if and $.Values.runtime.enabled (has .serviceAccountName (list "default" (include "raygen.operator" $))) -}}
{{- fail (printf "\n\nruntime.spec.serviceAccountName is %s, whose rights are not those of drivers: remove it, for raygen-runner, or name an account that may patch trainingjobs/status and no more\n" .serviceAccountName) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A Kubernetes quantity as a number. */}}
{{- define "raygen.number" -}}
{{- $text := toString . -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- $scale := dict "" 1.0 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- mulf (trimSuffix $unit $text | float64) (get $scale $unit) -}}
{{- end -}}
