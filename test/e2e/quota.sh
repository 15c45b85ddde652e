#!/bin/bash
# Limits and quotas of a namespace, by both kubectls: what they describe, what is refused in which words.
E2E_TIMEOUT_S=${E2E_TIMEOUT_S:-480}
. "$(dirname "$0")/lib.sh"
start_berth --container-runtime=fake

new_space() { k create namespace "$1" >/dev/null && k config set-context --current --namespace="$1" >/dev/null; }
lone() { # NAME RESOURCES: a pod of one container
    k create -f - <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: busybox, resources: {${2:-}}}
Y
}
claim() { # NAME SIZE
    k create -f - <<Y
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: $1}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: $2}}}
Y
}

limits() {
    new_space "limits-${KUBECTL_VERSION/./-}"
    k create -f - >/dev/null <<Y
apiVersion: v1
kind: LimitRange
metadata: {name: bounds}
spec:
  limits:
  - {type: Container, min: {cpu: 100m}, max: {cpu: "1", memory: 1Gi}, default: {cpu: 500m}, maxLimitRequestRatio: {cpu: "4"}}
  - {type: Pod, max: {cpu: 1500m}}
  - {type: PersistentVolumeClaim, max: {storage: 2Gi}}
Y
    check "$1: describe limits" contains 'Container              cpu       100m  1      500m             500m           4' k describe limits
    check "$1: describe namespace" contains 'PersistentVolumeClaim  storage' k describe namespace "limits-${KUBECTL_VERSION/./-}"
    check "$1: a pod that names nothing" contains created lone plain
    check "$1: gets the defaults" equal '{"limits":{"cpu":"500m","memory":"1Gi"},"requests":{"cpu":"500m","memory":"1Gi"}}' field pod/plain '.spec.containers[0].resources'
    check "$1: and says so" contains 'LimitRanger plugin set: cpu, memory request for container main; cpu, memory limit for container main' k describe pod plain
    check "$1: too little" fails 'pods "x" is forbidden: minimum cpu usage per Container is 100m, but request is 50m' lone x 'requests: {cpu: 50m}, limits: {cpu: 100m}'
    check "$1: too much" fails 'maximum cpu usage per Container is 1, but limit is 2' lone x 'limits: {cpu: 2}'
    check "$1: a limit too far from its request" fails 'cpu max limit to request ratio per Container is 4, but provided ratio is 5.000000' lone x 'requests: {cpu: 100m}, limits: {cpu: 500m}'
    check "$1: a claim too large" fails 'persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi' claim c 3Gi
    check "$1: a claim within" contains created claim c 2Gi
}

web() { # REPLICAS: a set of pods that ask for nothing
    k apply -f - <<Y
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: $1
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: web, image: busybox}]}
Y
}
condition() { field sts/web ".status.conditions[?(@.type==\"$1\")].message"; }

quotas() {
    local ns=quotas-${KUBECTL_VERSION/./-}
    new_space "$ns"
    check "$1: create quota" contains created k create quota small --hard=pods=2,services=1,configmaps=2,count/deployments.apps=0
    check "$1: its status is there soon" within 10 value_is 1 field quota/small .status.used.configmaps
    check "$1: describe quota" contains 'count/deployments.apps  0     0' k describe quota small
    check "$1: describe namespace" contains 'Resource                Used  Hard' k describe namespace "$ns"
    check "$1: get quota" contains 'pods: 0/2' k get quota small
    web 3 >/dev/null
    check "$1: a set gets the pods that there is room for" within 20 pods_ready app=web 2
    check "$1: it says why it waits" within 10 contains 'exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2' condition Progressing
    check "$1: so does an event" within 10 contains 'FailedCreate' k describe sts web
    check "$1: more room is given" contains patched k patch quota small -p '{"spec":{"hard":{"pods":"3"}}}'
    check "$1: the set goes on at once" within 20 pods_ready app=web 3
    check "$1: a pod too many" fails 'pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3' lone x
    check "$1: the set shrinks" contains scaled k scale sts web --replicas=2
    check "$1: which makes room" within 20 lone x
    check "$1: a service" contains created k create service clusterip a --tcp=80
    check "$1: one too many" fails 'services "b" is forbidden: exceeded quota: small, requested: services=1, used: services=1, limited: services=1' k create service clusterip b --tcp=80
    check "$1: any kind can be counted" fails 'deployments.apps "d" is forbidden: exceeded quota: small, requested: count/deployments.apps=1, used: count/deployments.apps=0, limited: count/deployments.apps=0' k create deployment d --image=i
    kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null
    launch --container-runtime=fake >"$work/out" 2>&1
    result "$1: the server is killed and comes back" $? "$work/out"
    k config set-context --current --namespace="$ns" >/dev/null
    check "$1: it counts what there is" fails 'used: pods=3, limited: pods=3' lone extra
    check "$1: everything goes" contains deleted k delete sts/web pod/x svc/a
    check "$1: and is used no more" within 20 value_is '0 0' field quota/small '.status.used.pods} {.status.used.services'
    check "$1: best effort has a quota of its own" contains created k create quota best --hard=pods=0 --scopes=BestEffort
    check "$1: describe tells the scope" contains ' * Matches all pods that do not have resource requirements set. These pods have a best effort quality of service.' k describe quota best
    check "$1: such a pod" fails 'exceeded quota: best' lone extra
    check "$1: another" contains created lone extra 'requests: {cpu: 1m}'
}

for KUBECTL_VERSION in 1.20 1.32; do
    kubectl=$cache/bin/kubectl-$KUBECTL_VERSION
    limits "$KUBECTL_VERSION"
    quotas "$KUBECTL_VERSION"
done
finish
