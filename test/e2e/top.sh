#!/bin/bash
# What pods and nodes use: kubectl top, and the API group behind it.
. "$(dirname "$0")/lib.sh"
E2E_IMAGES=busybox start_berth

millis() { # POD [CONTAINER]: processor time in thousandths, by the API
    k get pods.metrics.k8s.io "$1" -o "jsonpath={.containers[?(@.name==\"${2:-main}\")].usage.cpu}{\"\\n\"}" |
        awk '/n$/ {print int($1 / 1000000); next} /u$/ {print int($1 / 1000); next} /m$/ {print int($1); next} {print int($1 * 1000)}'
}
between() { # LOW HIGH COMMAND...
    local low=$1 high=$2 got; shift 2
    got=$("$@" | tail -n 1)
    [ "${got:-0}" -ge "$low" ] && [ "${got:-0}" -le "$high" ] || { echo "$got is not between $low and $high"; return 1; }
}
counted() { # POD: the rate since the last question is about that of its one process
    local pid cpu then elapsed said
    pid=$(ps -eo pid,args | awk '/ sh -c while :; do : busy; done$/ {print $1}')
    ticks() { awk '{print $14 + $15}' "/proc/$pid/stat"; }
    uptime() { awk '{print int($1 * 100)}' /proc/uptime; }
    millis "$1" >/dev/null; cpu=$(ticks) then=$(uptime)
    sleep 4
    said=$(millis "$1") cpu=$(($(ticks) - cpu)) elapsed=$(($(uptime) - then))
    between $((cpu * 1000 / elapsed / 2)) $((cpu * 1000 / elapsed * 2 + 20)) echo "$said"
}
mebis() { k top pod "$1" --no-headers | awk '{sub("Mi", "", $3); print $3}'; }

pod busy 'command: [sh, -c, "while :; do : busy; done"]' >/dev/null
pod idle 'command: [sleep, "3600"]' >/dev/null
pod full 'command: [sh, -c, "dd if=/dev/zero of=/mem/x bs=1M count=50 2>/dev/null; sleep 3600"], volumeMounts: [{name: mem, mountPath: /mem}]' \
    'volumes: [{name: mem, emptyDir: {medium: Memory}}]' >/dev/null
k apply -f - >/dev/null <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: two, labels: {app: two}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: a, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, "3600"]}
  - {name: b, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "while :; do :; done"]}
Y
k create namespace other >/dev/null
k -n other run far --image=busybox --image-pull-policy=IfNotPresent --restart=Never --command -- sleep 3600 >/dev/null
for p in busy idle full two; do check "pod $p is ready" within 60 ready $p; done
check 'and one of another namespace' within 60 contains 'Running' k -n other get pod far

check 'top pods names each' contains busy k top pods
check 'with its columns' contains 'CPU(cores)' k top pods
# Others may want this machine's processors as well: a busy loop gets what is left of one, and the kernel knows how much that was.
check 'a busy loop keeps a processor busy, or what others leave of it' within 60 between 20 1100 millis busy
check 'which is what the kernel has counted' within 60 counted busy
check 'an idle container hardly' within 30 between 0 15 millis idle
check 'memory that a pod holds is counted' within 30 between 48 70 mebis full
check 'that of an idle one is small' within 30 between 0 12 mebis idle
check 'each container by itself' contains 'two' k top pod two --containers
check 'the busy one of two' within 60 between 20 1100 millis two b
check 'and the idle one' within 30 between 0 15 millis two a
names() { k top pods --no-headers "$@" | awk '{print $1}'; }
first() { names "$@" | head -n 1; }
busy_first() { first --sort-by=cpu | grep -E '^(busy|two)$'; }
check '--sort-by=cpu puts a busy one first' within 30 busy_first
check '--sort-by=memory that which holds most' equal full first --sort-by=memory
check 'a label selects' equal idle names -l app=idle
check '-A shows all namespaces' contains far k top pods -A
check 'a namespace alone lacks others' lacks far k top pods
check 'nodes are measured' contains edge k top nodes
check 'with a share of what they have' contains '%' k top node edge
check 'a table without top' contains 'WINDOW' k get pods.metrics.k8s.io
check 'JSON' equal PodMetrics k get pods.metrics.k8s.io busy -o 'jsonpath={.kind}'
check 'pods are still pods' contains 'READY' k get pods
# The older one takes every resource of that name for the core's.
[ "$KUBECTL_VERSION" = 1.20 ] || check 'explain knows it' contains 'containers' k explain pods --api-version=metrics.k8s.io/v1beta1
check 'a pod that is not there' fails 'pods "none" not found' k top pod none
k run broken --image=nowhere.invalid/x:1 --restart=Never >/dev/null
check 'a pod whose containers do not run has no usage' fails 'podmetrics.metrics.k8s.io "default/broken" not found' k get --raw /apis/metrics.k8s.io/v1beta1/namespaces/default/pods/broken
check 'and is not in the list' lacks broken k top pods
check 'who may view may look' equal yes k auth can-i list pods.metrics.k8s.io --as jane --as-group system:masters
k create rolebinding look --clusterrole=view --user=jane >/dev/null
check 'with the role view, too' contains busy k top pods --as jane
check 'without one, not' fails 'forbidden' k top pods --as joe
check 'nodes are no namespace matter' fails 'forbidden' k top nodes --as jane
k delete pod busy --wait=true >/dev/null
check 'what ended is gone from the list' within 30 lacks busy k top pods
finish
