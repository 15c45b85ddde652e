#!/bin/bash
# helm against Berth: install, upgrade, roll back, test and uninstall of a chart with a StatefulSet, a Deployment, a claim, hooks (Pods and a Job), a custom kind and what a
# template looks up in the API; releases in Secrets and ConfigMaps; waiting, failing and going back by itself; what others own. HELM: 3 or 4.
E2E_IMAGES='busybox web' E2E_TIMEOUT_S=${E2E_TIMEOUT_S:-420}
. "$(dirname "$0")/lib.sh"
HELM=${HELM:-4}
if lacking "helm-$HELM"; then echo 1..1; trap - EXIT; cleanup; exit 0; fi
start_berth
export HELM_CACHE_HOME=$work/hc HELM_CONFIG_HOME=$work/hf HELM_DATA_HOME=$work/hd
h() { timeout 120 "$cache/bin/helm-$HELM" "$@"; }

chart=$work/chart
mkdir -p "$chart/templates/tests" "$chart/crds"
cat >"$chart/Chart.yaml" <<'Y'
apiVersion: v2
name: ship
version: 0.1.0
appVersion: "1"
kubeVersion: ">= 1.20.0-0"
Y
cat >"$chart/values.yaml" <<'Y'
image: web:1
replicas: 2
color: blue
hook: "true"
migrate: "true"
ready: "true"
extra: false
Y
cat >"$chart/crds/harbour.yaml" <<'Y'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: harbours.demo.example}
spec:
  group: demo.example
  scope: Namespaced
  names: {kind: Harbour, plural: harbours, singular: harbour}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {depth: {type: integer, minimum: 1}}}}}}
Y
cat >"$chart/templates/all.yaml" <<'Y'
{{- define "labels" }}{app.kubernetes.io/name: ship, app.kubernetes.io/instance: {{ .Release.Name }}, app.kubernetes.io/managed-by: {{ .Release.Service }}}{{ end -}}
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-page, labels: {{ include "labels" . }}}
data:
  color: {{ .Values.color | quote }}
  version: {{ .Capabilities.KubeVersion.Version | quote }}
  apps: {{ .Capabilities.APIVersions.Has "apps/v1/StatefulSet" | quote }}
  none: {{ .Capabilities.APIVersions.Has "none.example/v1" | quote }}
  spaces: {{ len (lookup "v1" "Namespace" "" "").items | quote }}
---
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-word}
{{- $old := lookup "v1" "Secret" .Release.Namespace (printf "%s-word" .Release.Name) }}
data: {word: {{ if $old }}{{ $old.data.word }}{{ else }}{{ randAlphaNum 12 | b64enc }}{{ end }}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: {{ .Release.Name }}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: {{ .Release.Name }}}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}, labels: {{ include "labels" . }}}
spec: {selector: {app: {{ .Release.Name }}}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: {{ .Release.Name }}}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: {{ .Release.Name }}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}, labels: {{ include "labels" . }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
      annotations: {checksum/page: {{ .Values.color | sha256sum | quote }}}
    spec:
      serviceAccountName: {{ .Release.Name }}
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: {{ .Values.image }}
        imagePullPolicy: IfNotPresent
        command: [httpd, -f, -p, "8080", -h, /]
        ports: [{name: http, containerPort: 8080}]
        env: [{name: COLOR, valueFrom: {configMapKeyRef: {name: {{ .Release.Name }}-page, key: color}}}]
        readinessProbe: {exec: {command: [sh, -c, {{ .Values.ready | quote }}]}, periodSeconds: 1}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: {{ .Release.Name }}-db, labels: {{ include "labels" . }}}
spec:
  serviceName: {{ .Release.Name }}-db
  replicas: 1
  selector: {matchLabels: {app: {{ .Release.Name }}-db}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}-db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: db, image: {{ .Values.image }}, imagePullPolicy: IfNotPresent, command: [sleep, "1000"], volumeMounts: [{name: data, mountPath: /data}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 16Mi}}}
---
apiVersion: demo.example/v1
kind: Harbour
metadata: {name: {{ .Release.Name }}}
spec: {depth: {{ .Values.replicas }}}
{{- if .Values.extra }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-extra}
data: {a: b}
{{- end }}
Y
hook() { # FILE HOOK POLICY SHELL
    cat >"$chart/templates/$1" <<Y
apiVersion: v1
kind: Pod
metadata:
  name: "{{ .Release.Name }}-$(basename "$1" .yaml)"
  annotations: {helm.sh/hook: "$2", helm.sh/hook-weight: "-1", helm.sh/hook-delete-policy: "$3"}
spec:
  restartPolicy: Never
  containers: [{name: main, image: "{{ .Values.image }}", imagePullPolicy: IfNotPresent, command: [sh, -c, '$4']}]
Y
}
cat >"$chart/templates/migrate.yaml" <<'Y'
apiVersion: batch/v1
kind: Job
metadata:
  name: "{{ .Release.Name }}-migrate"
  annotations: {helm.sh/hook: "post-install,post-upgrade", helm.sh/hook-delete-policy: "before-hook-creation,hook-succeeded,hook-failed"}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: "{{ .Values.image }}", imagePullPolicy: IfNotPresent, command: [sh, -c, '{{ .Values.migrate }}']}]
Y
hook prepare.yaml pre-install,pre-upgrade before-hook-creation 'echo prepared; {{ .Values.hook }}'
hook tidy.yaml post-delete hook-succeeded 'true'
hook tests/visit.yaml test before-hook-creation 'echo visited; {{ .Values.hook }}'
echo 'The ship {{ .Release.Name }} is {{ .Values.color }}.' >"$chart/templates/NOTES.txt"

color() { field "cm/${1:-red}-page" .data.color; }
wide() { h "$@" | awk '{$1=$1; print}'; } # one blank between words
word() { field secret/red-word .data.word; }
all_names() { k get deploy,rs,sts,svc,pdb,harbour,pvc,pods -o name --field-selector=metadata.name!=kubernetes | xargs; }
number_of() { local n; n=$(k get "$@" --no-headers 2>/dev/null | wc -l); echo "$n"; }
automatic=--atomic resources=--show-resources; [ "$HELM" = 3 ] || automatic=--rollback-on-failure resources=

# ---- install ----
check 'install, waiting until all is ready' contains 'STATUS: deployed' h install red "$chart" --wait --timeout 60s --labels team=sea
check 'all is ready' equal '2 1' k get deploy/red sts/red-db -o 'jsonpath={.items[*].status.readyReplicas}'
check 'what the templates asked of the API' equal 'true false' k get cm red-page -o 'jsonpath={.data.apps} {.data.none}'
check 'the custom kind and its object' equal 2 field harbour/red .spec.depth
check 'the hook ran before' contains prepared k logs red-prepare
check 'a hook that is a Job ran to its end' contains 'Job completed' k get events --field-selector involvedObject.name=red-migrate
check 'the release is a Secret' equal 'helm.sh/release.v1 deployed' field secret/sh.helm.release.v1.red.v1 '.type} {.metadata.labels.status'
check 'list' contains 'red default 1' wide list
check 'list by label' contains red h list -l team=sea -q
check 'status shows what there is' contains red-db-0 h status red $resources
check 'get manifest' contains 'kind: Harbour' h get manifest red
check 'get values and notes' contains 'ship red is blue' h get all red
check 'a run on the server that keeps nothing' contains 'kind: StatefulSet' h install white "$chart" --dry-run=server
check 'nothing is there after it' equal 1 number_of sts
check 'the tests of the chart' contains visited h test red --logs

# ---- upgrade ----
was=$(word)
check 'upgrade, waiting' h upgrade red "$chart" --set color=red,image=busybox,extra=true --wait --timeout 60s
check 'the new values are there' equal red color
check 'all pods are new' equal 'busybox busybox' k get pods -l app=red --field-selector=status.phase=Running -o 'jsonpath={.items[*].spec.containers[*].image}'
check 'the looked up word stays' equal "$was" word
check 'more objects' equal b field cm/red-extra .data.a
check 'a field that somebody else set stays' k annotate deploy red else=here
check 'upgrade with the values of before' h upgrade red "$chart" --reuse-values --set replicas=3 --wait --timeout 60s
check 'what is scaled' equal 'here 3' field deploy/red '.metadata.annotations.else} {.status.readyReplicas'
check 'get metadata' contains 'REVISION: 3' h get metadata red

# ---- what fails ----
k create configmap mine-page >/dev/null
check 'a hook that fails stops the upgrade' fails 'pre-upgrade hooks failed' h upgrade red "$chart" --reuse-values --set hook=false,color=no --timeout 20s
check 'nothing was changed' equal red color
check 'the history tells it' contains failed h history red
check 'an upgrade that never gets ready goes back by itself' fails 'rolled back' h upgrade red "$chart" --reuse-values --set-string ready=false,hook=true,color=green $automatic --timeout 6s
check 'it is as before' equal red color
check 'history: rolled back' contains 'Rollback to 3' h history red
check 'what the server refuses is told' fails 'spec.depth' h upgrade red "$chart" --reuse-values --set hook=true,replicas=0
check 'an object of others is not taken' fails 'exists and cannot be imported' h install mine "$chart" --set extra=true
check 'a Job of a hook that fails fails the upgrade' fails 'post-upgrade hooks failed' h upgrade red "$chart" --reuse-values --set-string hook=true,migrate=false --timeout 40s

# ---- back ----
check 'roll back to the first' h rollback red 1 --wait --timeout 60s
check 'the first values' equal 'blue 2' k get cm/red-page deploy/red -o 'jsonpath={.items[*].data.color} {.items[*].spec.replicas}'
check 'what the first had not is gone' gone cm red-extra
check 'the word stays, still' equal "$was" word

# ---- beside each other; another store of releases ----
check 'a second release in a namespace that it makes, kept in ConfigMaps' env HELM_DRIVER=configmap timeout 90 "$cache/bin/helm-$HELM" install blue "$chart" -n bay --create-namespace --wait --timeout 60s
check 'its release' contains blue env HELM_DRIVER=configmap "$cache/bin/helm-$HELM" list -A
check 'its uninstall' env HELM_DRIVER=configmap timeout 90 "$cache/bin/helm-$HELM" uninstall blue -n bay --wait
check 'nothing of it stays' within 10 equal 0 number_of all,cm,secret,harbour -n bay -l app.kubernetes.io/managed-by=Helm

# ---- uninstall ----
check 'uninstall, waiting' h uninstall red --wait --timeout 60s --keep-history
check 'all is gone but the claim and the hooks' within 10 equal 'persistentvolumeclaim/data-red-db-0 pod/red-prepare pod/red-visit' all_names
check 'the history stays' contains uninstalled h history red
check 'roll back what was uninstalled' h rollback red 2 --wait --timeout 60s
check 'it is there again' equal red color
check 'uninstall for good' h uninstall red --cascade foreground --wait --timeout 60s
check 'no release stays' equal 0 number_of secrets -l owner=helm
finish
