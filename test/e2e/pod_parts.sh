#!/bin/bash
# What a pod may be made of beside its main containers, as a user sees it: sidecars, filters, tokens, debugging.
. "$(dirname "$0")/lib.sh"
E2E_IMAGES='busybox web' start_berth

field() { k get "$1" -o "jsonpath={$2}"; }
value_is() { [ "$("${@:2}")" = "$1" ]; }
phase() { [ "$(field "pod/$1" .status.phase)" = "$2" ]; }
ready() { [ "$(field "pod/$1" '.status.conditions[?(@.type=="Ready")].status')" = True ]; }
shows() { contains "$2" k get pod "$1"; }
# pod NAME CONTAINER-YAML [SPEC-LINE]
pod() {
    k apply -f - <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1}}
spec:
  terminationGracePeriodSeconds: ${GRACE:-1}
  ${3:-restartPolicy: Always}
  containers:
  - {name: main, image: busybox, imagePullPolicy: IfNotPresent, $2}
Y
}
forget() { k delete pod "$@" --grace-period=0 --force >/dev/null 2>&1; }

sidecars() {
    k apply -f - >/dev/null <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: crew}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 10
  volumes: [{name: v, emptyDir: {}}]
  initContainers:
  - name: side
    image: busybox
    imagePullPolicy: IfNotPresent
    restartPolicy: Always
    command: [sh, -c, "echo side >>/v/log; trap 'echo side ends >>/v/log; exit 0' TERM; sleep 1; touch /tmp/up; while :; do sleep 0.1; done"]
    startupProbe: {exec: {command: [cat, /tmp/up]}, periodSeconds: 1, failureThreshold: 20}
    volumeMounts: [{name: v, mountPath: /v}]
  - {name: init, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "echo init >>/v/log"], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - {name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "echo main >>/v/log; until [ -e /v/go ]; do sleep 0.1; done; echo main ends >>/v/log"], volumeMounts: [{name: v, mountPath: /v}]}
Y
    check 'a sidecar: the next one waits for its startup probe' within 10 shows crew Init:0/2
    check 'and while it does, the pod says what it waits for' within 10 contains 'Running' k get pod crew
    check 'counted in READY' within 10 contains '2/2' k get pod crew
    check 'started in the order of the spec' equal 'side
init
main' k exec crew -c main -- cat /v/log
    k exec crew -c side -- kill 1 >/dev/null 2>&1
    again() { [ "$(field pod/crew '.status.initContainerStatuses[0].restartCount')" -ge 1 ]; }
    check 'one that ends is started again, whatever the policy' within 20 again
    check 'beside a main container that goes on' equal 0 field pod/crew '.status.containerStatuses[0].restartCount'
    check 'and is Ready again' within 20 ready crew
    check 'the main one ends' k exec crew -c main -- touch /v/go
    check 'then the pod has completed' within 15 phase crew Succeeded
    check 'and the sidecar has ended' within 5 value_is 0 field pod/crew '.status.initContainerStatuses[0].state.terminated.exitCode'
    forget crew
    check 'a probe of an ordinary init container is refused' fails 'may not be set for init containers' bash -c "echo '{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"initContainers\":[{\"name\":\"i\",\"image\":\"busybox\",\"livenessProbe\":{\"exec\":{\"command\":[\"a\"]}}}],\"containers\":[{\"name\":\"c\",\"image\":\"busybox\"}]}}' | '$kubectl' apply -f -"
}

causes() {
    pod deaf 'command: [sleep, "600"], readinessProbe: {tcpSocket: {port: 6379}, periodSeconds: 1}' >/dev/null
    check 'an unready pod says which probe has not passed' within 10 contains 'main: readiness probe `tcp 10.' field pod/deaf '.status.conditions[?(@.type=="Ready")].message'
    check 'and what it answers' within 15 contains 'failed 3 times, last output: "dial tcp' field pod/deaf '.status.conditions[?(@.type=="Ready")].message'
    forget deaf
    pod binary 'command: [sleep, "600"], readinessProbe: {exec: {command: [sh, -c, "printf \"\\377\\376\"; exit 1"]}, periodSeconds: 1}' >/dev/null
    check 'output that is not text harms nobody' within 15 contains 'failed 3 times' field pod/binary '.status.conditions[?(@.type=="Ready")].message'
    forget binary
}

for part in ${PARTS:-sidecars causes}; do $part; done
finish
