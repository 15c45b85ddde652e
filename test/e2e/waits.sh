#!/bin/bash
# Everything that a set may wait for, made on purpose: what it says then, in its conditions, its events and `berth status`, and that it goes on when the cause is gone.
. "$(dirname "$0")/lib.sh"
E2E_IMAGES=busybox start_berth

s() { # NAME CONTAINER-MORE POD-LINES SET-LINES REPLICAS: a set of busybox pods
    cat <<Y
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: $1}
spec:
  replicas: ${5:-1}
  serviceName: $1
  selector: {matchLabels: {app: $1}}
  template:
    metadata: {labels: {app: $1}}
    spec:
      terminationGracePeriodSeconds: ${GRACE:-0}
${3:-}
      containers: [{name: c, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, "9999"]${2:+, $2}}]
${4:-}
Y
}
claim() { echo "  volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: [ReadWriteOnce], $1 resources: {requests: {storage: ${2:-1Mi}}}}}]"; }
mount='volumeMounts: [{name: v, mountPath: /v}]'
volume() { echo "      volumes: [{name: v, $1}]"; }
runs() { echo "command: [sh, -c, \"$1\"]"; }

message() { k get sts "$1" -o "jsonpath={.status.conditions[?(@.type==\"${2:-Available}\")].message}"; }
says() { check "$1" within 30 contains "$2" message "$1"; } # SET TEXT
well() { check "$1 goes on" within 30 equal True k get sts "$1" -o 'jsonpath={.status.conditions[?(@.type=="Available")].status}'; }

everything() {
    # images and commands
    s noroute 'image: "localhost:1/no:such"'
    s badname 'image: "UPPER/x:1"'
    s never 'image: "localhost:1/no:such", imagePullPolicy: Never'
    s nocommand 'command: [/no/such]'
    s exits "$(runs 'echo cannot open /etc/x.conf >&2; exit 3')"
    s ends 'command: ["true"]'
    s live 'livenessProbe: {exec: {command: [sh, -c, "echo not alive; false"]}, periodSeconds: 1, failureThreshold: 1}'
    s hook 'lifecycle: {postStart: {exec: {command: [sh, -c, "echo no anchor; false"]}}}'
    s longhook 'lifecycle: {postStart: {exec: {command: [sleep, "999"]}}}'
    # probes and init containers
    s exec 'readinessProbe: {exec: {command: [sh, -c, "echo no master; false"]}, periodSeconds: 1, failureThreshold: 1}'
    s tcp 'readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1, failureThreshold: 1}'
    s named 'readinessProbe: {httpGet: {port: web}, periodSeconds: 1, failureThreshold: 1}'
    s delayed 'readinessProbe: {tcpSocket: {port: 80}, initialDelaySeconds: 300}'
    s startup 'startupProbe: {exec: {command: ["false"]}, periodSeconds: 1, failureThreshold: 100}'
    s initfails '' "      initContainers: [{name: i, image: busybox, imagePullPolicy: IfNotPresent, $(runs 'echo no depot; exit 4')}]"
    s initruns '' '      initContainers: [{name: i, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, "9999"]}]'
    s gate '' '      readinessGates: [{conditionType: example.com/open}]'
    # claims
    s noclass '' '' "$(claim 'storageClassName: fast,')"
    s emptyclass '' '' "$(claim 'storageClassName: "",')"
    s otherclass '' '' "$(claim 'storageClassName: other,')"
    s huge '' '' "$(claim '' 5000Ti)"
    s small '' '' "$(claim 'storageClassName: manual, volumeName: small,' 1Gi)"
    s none '' '' "$(claim 'storageClassName: manual,' 1Gi)"
    s noclaim "$mount" "$(volume 'persistentVolumeClaim: {claimName: nope}')"
    # nodes
    s label '' '      nodeSelector: {disk: ssd}'
    s cpu 'resources: {requests: {cpu: "500"}}'
    s node '' '      nodeName: nowhere'
    s scheduler '' '      schedulerName: other'
    s gated '' '      schedulingGates: [{name: example.com/wait}]'
    s port 'ports: [{containerPort: 80, hostPort: 8080}]'
    # what the pod names
    s env 'env: [{name: X, valueFrom: {configMapKeyRef: {name: chart, key: k}}}]'
    s map "$mount" "$(volume 'configMap: {name: chart}')"
    s type "$mount" "$(volume 'hostPath: {path: /etc/hostname, type: Socket}')"
    s sub 'volumeMounts: [{name: v, mountPath: /v, subPath: a}]' "$(volume 'hostPath: {path: /etc/hostname}')"
    s nfs "$mount" "$(volume 'nfs: {server: 10.0.0.1, path: /x}')"
    s sysctl '' '      securityContext: {sysctls: [{name: net.nosuch, value: "1"}]}'
    s root 'securityContext: {runAsNonRoot: true}'
    s account '' '      serviceAccountName: robot'
    s class '' '      priorityClassName: urgent'
    s taken
}
others() {
    cat <<Y
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: other}
provisioner: disks.example.com
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: manual}
provisioner: kubernetes.io/no-provisioner
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: small}
spec: {capacity: {storage: 1Mi}, accessModes: [ReadWriteOnce], storageClassName: manual, hostPath: {path: /tmp}}
Y
}
others | k apply -f - >/dev/null
pod taken-0 'command: [sleep, "999"]' >/dev/null
pod holder 'command: [sleep, "999"], ports: [{containerPort: 80, hostPort: 8080}]' >/dev/null
check 'a pod has a host port' within 20 ready holder
GRACE=600 s grace "$(runs 'trap : TERM; while :; do sleep 1; done')" '' '' 2 | k apply -f - >/dev/null
check 'a set with a long grace period' within 20 pods_ready app=grace 2
everything >"$work/everything.yaml"
check 'forty sets that cannot come up' k apply -f "$work/everything.yaml"

says noroute 'noroute-0 cannot start: image "localhost:1/no:such" cannot be had: https://localhost:1/'
says badname "badname-0 cannot start: image \"UPPER/x:1\" cannot be had: the name may have lower-case letters"
says never 'never-0 cannot start: image "localhost:1/no:such" cannot be had: it is not on this machine, and imagePullPolicy Never forbids fetching it'
says nocommand 'nocommand-0 cannot start container c: exec: "/no/such"'
says exits 'exits-0 is not Ready: container c exited with code 3, last words: "cannot open /etc/x.conf"'
says ends 'ends-0 is not Ready: container c ended by itself (exit code 0), though it has to stay'
says live 'live-0 is not Ready: container c was killed after its liveness probe `sh -c echo not alive; false` failed 1 time, last output: "not alive"'
says hook 'killed after its postStart hook failed: "no anchor"'
says longhook 'longhook-0 is starting: its postStart hook has not ended yet'
says exec 'exec-0 is not Ready: readiness probe `sh -c echo no master; false` failed'
says tcp 'Connection refused": nothing listens on that port of the pod'
says named 'last output: "no port of the container is named "web""'
says delayed 'has not passed yet: it is first run 300 seconds after the start (initialDelaySeconds)'
says startup 'startup-0 is not Ready: startup probe `false` failed 3 times, without output'
says initfails 'initfails-0 is not Ready: container i exited with code 4, last words: "no depot"'
says initruns 'initruns-0 is starting: init container i (1 of 1) runs'
says gate 'pod readiness gate "example.com/open" does not exist'
says noclass 'noclass-0 waits for claim d-noclass-0: StorageClass "fast" does not exist'
says emptyclass 'no free volume fits (1Mi, ReadWriteOnce), and storageClassName "" says that none is to be made'
says otherclass 'otherclass-0 waits for claim d-otherclass-0: provisioner disks.example.com, which is no part of Berth, has to make its volume'
says huge 'huge-0 waits for claim d-huge-0: its volume cannot be made:'
says small 'volume "small" (1Mi), which it names, does not fit its 1Gi: requested PV is too small'
says none 'no free volume fits (1Gi, ReadWriteOnce), and provisioner kubernetes.io/no-provisioner of StorageClass "manual" makes none'
says noclaim 'noclaim-0 waits for claim nope: it does not exist'
says label "it asks for a node with the label disk=ssd"
says cpu '1 Insufficient cpu; it asks for cpu 500'
says node 'node-0 waits for node nowhere, which does not exist'
says scheduler 'scheduler-0 waits for scheduler "other" (schedulerName), which is no part of Berth'
says gated 'gated-0 waits until its scheduling gate example.com/wait is taken away'
says port 'Pod default/holder has host port 8080 of node edge.'
says env 'env-0 cannot start container c: configmap "chart" not found'
says map 'map-0 cannot start: volume v: configmap "chart" not found'
says type 'type-0 cannot start: volume v: hostPath type check failed: /etc/hostname is not a Socket'
says sub 'sub-0 cannot start container c: subPath "a" of /etc/hostname: Not a directory'
says nfs 'nfs-0 cannot start: volume v: volumes of kind nfs are not supported by Berth yet'
says sysctl 'sysctl-0 cannot start: make the pod'
says root 'has runAsNonRoot and image will run as root: set securityContext.runAsUser to another user'
says account 'account-0 cannot be made: error looking up service account default/robot: serviceaccount "robot" not found'
says class 'class-0 cannot be made: no PriorityClass with name urgent was found'
says taken "taken-0 cannot be made: there is a pod of this name that is not the set's (its labels do not match the selector); it has to go first"

events_of() { k get events --field-selector "involvedObject.kind=StatefulSet,involvedObject.name=$1,reason=$2" -o 'jsonpath={range .items[*]}{.count} {.message}{"\n"}{end}'; }
one_event() { [ "$(events_of "$@" | wc -l)" = 1 ]; }
check 'a crash loop is one event, counted' within 30 one_event exits ContainerCrashed
check 'a start that goes well so far is none' equal '' events_of longhook PodNotReady
check 'the wide table says it too' contains 'ends-0 is not Ready: container c ended by itself' k get sts ends -o wide
check 'and kubectl wait sees it' contains 'condition met' k wait --for=condition=Available=false sts/ends --timeout=30s

k patch sts gated --subresource=status --type=json -p '[{"op":"add","path":"/status/conditions/-","value":{"type":"example.com/Backup","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z","reason":"Done","message":"x"}}]' >/dev/null
k patch sts gated -p '{"spec":{"replicas":2}}' >/dev/null
check 'conditions that others set are kept' contains 'condition met' k wait --for=condition=example.com/Backup sts/gated --timeout=10s
types() { k get sts gated -o 'jsonpath={.status.conditions[*].type}'; }
check 'its own have changed since' within 10 contains '0 of 2 replicas' message gated
check 'and stand before them' equal 'Available Progressing example.com/Backup' types

status() { "$berth" status --data-dir "$data" "$@"; }
check 'berth status names them all' contains 'claim d-noclass-0: StorageClass "fast" does not exist' status
check 'one set' contains 'set default/noclass: 0/1 ready (0 starting)' status noclass
check 'and nothing else' lacks ends status default/noclass
check 'each cause once' equal 1 sh -c "'$berth' status --data-dir '$data' noclass | grep -c fast"
check 'a set that is not there: which are' fails 'there is no set default/nosuch; `berth status` lists all of them' status nosuch
check 'its exit code' exit_code 1 status nosuch
check 'wrong usage' exit_code 2 status a b
check 'no server: what to do' fails 'no server runs on /nowhere; start it with `berth server`' "$berth" status --data-dir /nowhere
check 'no permission: what to do' fails "may be asked by its owner only" env PATH="$PATH" chroot --userspec=65534:65534 / "$berth" status --data-dir "$data"

# ---- what mends them ----
k create configmap chart --from-literal=k=v >/dev/null; well env; well map
k create serviceaccount robot >/dev/null; well account
forget holder; well port
forget taken-0; well taken
k label node edge disk=ssd >/dev/null; well label
k create priorityclass urgent --value=7 >/dev/null 2>&1; well class
k patch sc local -p '{"metadata":{"annotations":{"storageclass.kubernetes.io/is-default-class":"false"}}}' >/dev/null
s nodefault '' '' "$(claim '')" | k apply -f - >/dev/null
says nodefault 'no free volume fits (1Mi, ReadWriteOnce), it names no StorageClass that could make one, and none is the default'
k patch sc local -p '{"metadata":{"annotations":{"storageclass.kubernetes.io/is-default-class":"true"}}}' >/dev/null; well nodefault

# ---- nodes, and pods that go ----
k cordon edge >/dev/null; s cordon | k apply -f - >/dev/null
says cordon '"kubectl uncordon NODE" lets pods onto it again'
k uncordon edge >/dev/null; well cordon
k delete pod grace-0 --wait=false >/dev/null
says grace 'grace-0 is still stopping: it has 600 seconds (terminationGracePeriodSeconds)'
forget grace-0
well grace
k delete sts grace --cascade=orphan >/dev/null; forget grace-0 grace-1
k patch pod cordon-0 -p '{"metadata":{"finalizers":["example.com/wait"]}}' >/dev/null; k delete pod cordon-0 --wait=false >/dev/null
says cordon 'cordon-0 has stopped, but stays until its finalizer example.com/wait is taken away by whoever set it'
k patch pod cordon-0 --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]' >/dev/null; well cordon

# ---- annotations ----
warns() { contains "$2" k annotate sts label --overwrite "berth.dev/$1"; }
check 'a wrong deadline is told' warns progress-deadline=1d 'Warning: annotation berth.dev/progress-deadline: "1d" is ignored: it must be a time'
check 'and stands in a condition' within 10 contains '"1d" is ignored' message label Progressing
check 'a rollback without deadline' warns auto-rollback=true 'Warning: annotation berth.dev/auto-rollback has no effect without berth.dev/progress-deadline'
check 'a wrong pause' warns paused=yes 'Warning: annotation berth.dev/paused: "yes" is ignored: it must be "true" or "false"'
check 'wrong ordinals' warns reserve-ordinals=1-3 'Warning: annotation berth.dev/reserve-ordinals: "1-3" is ignored'
check 'a wrong order' warns update-order=role=primary 'Warning: annotation berth.dev/update-order: "role=primary" is ignored'
check 'a misspelt one' warns pause=true 'Warning: annotation berth.dev/pause is ignored: a StatefulSet may have progress-deadline, auto-rollback'
check 'events tell them as well' within 10 contains 'berth.dev/pause is ignored' events_of label InvalidAnnotation
k annotate sts label berth.dev/{progress-deadline,auto-rollback,paused,reserve-ordinals,update-order,pause}- >/dev/null
check 'all is well without them' within 10 lacks ignored message label Progressing
k delete sts --all --wait=false >/dev/null
none_left() { [ -z "$(k get pods -o name)" ]; }
check 'all go' within 40 none_left
finish
