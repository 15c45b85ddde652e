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

questions() {
    # A gRPC server of one answer: SETTINGS, :status 200, HealthCheckResponse{status}, grpc-status 0.
    local serving=AAAABAAAAAAAAAABAQQAAAABiAAABwAAAAAAAQAAAAACCAEAAA8BBQAAAAEAC2dycGMtc3RhdHVzATA=
    local not_serving=AAAABAAAAAAAAAABAQQAAAABiAAABwAAAAAAAQAAAAACCAIAAA8BBQAAAAEAC2dycGMtc3RhdHVzATA=
    serve() { echo "command: [sh, -c, 'while :; do (echo $1 | base64 -d; sleep 1) | nc -l -p 9000; done'], readinessProbe: {grpc: {port: 9000}, periodSeconds: 1}"; }
    pod well "$(serve $serving)" >/dev/null
    pod sick "$(serve $not_serving)" >/dev/null
    check 'grpc: SERVING is ready' within 15 ready well
    check 'grpc: NOT_SERVING is not, and is told' within 15 contains NOT_SERVING field pod/sick '.status.conditions[?(@.type=="Ready")].message'
    forget well sick
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=somebody -days 1 -keyout "$work/k.pem" -out "$work/c.pem" 2>/dev/null
    (cd "$work" && exec openssl s_server -quiet -accept 127.0.0.1:9443 -cert "$work/c.pem" -key "$work/k.pem" -WWW >/dev/null 2>&1 </dev/null) &
    local server=$!
    pod closed 'command: [sleep, "600"], readinessProbe: {httpGet: {scheme: HTTPS, host: 127.0.0.1, port: 9444, path: /x}, periodSeconds: 1}' >/dev/null
    pod sealed 'command: [sleep, "600"], readinessProbe: {httpGet: {scheme: HTTPS, host: 127.0.0.1, port: 9443, path: /k.pem}, periodSeconds: 1}' >/dev/null
    check 'https: a certificate that nobody signed will do' within 15 ready sealed
    check 'https: nobody there' within 15 contains 'https://127.0.0.1:9444/x` failed' field pod/closed '.status.conditions[?(@.type=="Ready")].message'
    kill $server; wait $server 2>/dev/null
    forget closed sealed
}

filters() {
    pod filtered 'command: [sleep, "600"]' 'securityContext: {seccompProfile: {type: RuntimeDefault}}' >/dev/null
    check 'seccomp RuntimeDefault: an ordinary program runs' within 10 ready filtered
    check 'its filter is there' equal 2 k exec filtered -- sh -c "awk '/^Seccomp:/ {print \$2}' /proc/self/status"
    check 'unshare is refused' fails 'not permitted' k exec filtered -- unshare -U true
    pod open 'command: [sleep, "600"]' >/dev/null
    check 'none is the default' within 10 ready open
    check 'as on Kubernetes' equal 0 k exec open -- sh -c "awk '/^Seccomp:/ {print \$2}' /proc/self/status"
    mkdir -p "$data/seccomp"
    echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}' >"$data/seccomp/nomkdir.json"
    pod own 'command: [sleep, "600"], securityContext: {seccompProfile: {type: Localhost, localhostProfile: nomkdir.json}}' >/dev/null
    check 'a profile of the node' within 10 ready own
    check 'is obeyed' fails 'not permitted' k exec own -- mkdir /tmp/x
    pod absent 'command: [sleep, "600"], securityContext: {seccompProfile: {type: Localhost, localhostProfile: nobody.json}}' >/dev/null
    check 'one that is not there: the event names it' within 10 contains 'seccomp/nobody.json' k describe pod absent
    forget filtered open own absent
}

for part in ${PARTS:-sidecars causes questions filters}; do $part; done
finish
