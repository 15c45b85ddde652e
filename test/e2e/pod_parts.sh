#!/bin/bash
# What a pod may be made of beside its main containers, as a user sees it: sidecars, filters, tokens, debugging.
. "$(dirname "$0")/lib.sh"
E2E_IMAGES='busybox web' start_berth


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

shared() {
    pod machine 'command: [sh, -c, "sleep 601 & exec sleep 600"]' 'hostPID: true
  hostIPC: true' >/dev/null
    check 'hostPID: it runs' within 10 ready machine
    check 'and sees the machine'"'"'s processes' within 5 contains 'berth server' k exec machine -- ps -o args
    check 'its own end with it' k delete pod machine
    left() { ! pgrep -f 'sleep 60[01]'; }
    check 'all of them' within 5 left
    pod together 'command: [sleep, "600"]' 'shareProcessNamespace: true' >/dev/null
    check 'shareProcessNamespace: refused, and the event says so' within 10 contains 'shareProcessNamespace is not supported' k describe pod together
    forget together
}

contents() {
    k create configmap settings --from-literal=a=one --from-literal=b=two --from-literal=sub.conf=three >/dev/null
    k create secret generic keys --from-literal=password=hush >/dev/null
    k apply -f - >/dev/null <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: full, labels: {tier: "1"}, annotations: {note: hello}}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000, supplementalGroups: [4000]}
  volumes:
  - {name: e, emptyDir: {}}
  - {name: c, configMap: {name: settings, defaultMode: 0440, items: [{key: a, path: deep/a}, {key: b, path: b, mode: 0400}]}}
  - {name: s, secret: {secretName: keys}}
  - {name: d, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: cpu, resourceFieldRef: {containerName: main, resource: limits.cpu, divisor: 1m}}]}}
  - name: p
    projected:
      sources:
      - configMap: {name: settings, items: [{key: a, path: a}]}
      - secret: {name: keys}
      - downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}
  containers:
  - name: main
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "echo \"$1|$2|$3\"; exec sleep 600", sh]
    args: ["$(GREETING)", "$$(GREETING)", "$(NOBODY)"]
    resources: {limits: {cpu: 250m, memory: 64Mi}}
    env:
    - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: NOTE, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['note']"}}}
    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: MEM, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: A, valueFrom: {configMapKeyRef: {name: settings, key: a}}}
    - {name: P, valueFrom: {secretKeyRef: {name: keys, key: password}}}
    - {name: MAYBE, valueFrom: {configMapKeyRef: {name: nowhere, key: a, optional: true}}}
    - {name: GREETING, value: "hi $(NAME) $$(NAME) $(NOBODY)"}
    envFrom: [{prefix: S_, configMapRef: {name: settings}}]
    volumeMounts:
    - {name: e, mountPath: /e}
    - {name: e, mountPath: /named, subPathExpr: $(NAME)}
    - {name: c, mountPath: /c}
    - {name: c, mountPath: /only-b, subPath: b}
    - {name: s, mountPath: /s}
    - {name: d, mountPath: /d}
    - {name: p, mountPath: /p}
Y
    check 'a pod with everything' within 15 ready full
    in_full() { k exec full -- sh -c "$1"; }
    check 'environment: fields, resources, keys, an optional one' equal 'full hello 64 one hush -' in_full 'echo $NAME $NOTE $MEM $A $P ${MAYBE--}'
    check 'its address' equal "$(field pod/full .status.podIP)" in_full 'echo $IP'
    check 'envFrom with a prefix' equal 'one two' in_full 'echo $S_a $S_b'
    check 'references: known, escaped, unknown' equal 'hi full $(NAME) $(NOBODY)' in_full 'echo "$GREETING"'
    check 'in arguments as well' equal 'hi full $(NAME) $(NOBODY)|$(GREETING)|$(NOBODY)' k logs full
    check 'items in their places, and nothing else' equal 'b deep' in_full 'echo $(ls /c)'
    check 'modes: the default, and one of its own, readable by the group' equal '440 440' in_full 'echo $(stat -L -c %a /c/deep/a /c/b)'
    check 'subPath of a file' equal two in_full 'cat /only-b'
    check 'subPathExpr' in_full 'echo x >/named/f && test -e /e/full/f'
    check 'user, group, and the groups of the pod' equal '1000 2000 2000 3000 4000' in_full 'echo $(id -u) $(id -g) $(id -G)'
    check 'fsGroup owns what is written' equal 3000 in_full 'touch /e/g && stat -c %g /e/g'
    check 'downward: labels and a limit in thousandths' equal 'tier="1" 250' in_full 'echo $(cat /d/labels) $(cat /d/cpu)'
    check 'projected: of three sources' equal 'one hush full' in_full 'echo $(cat /p/a) $(cat /p/password) $(cat /p/name)'
    k patch configmap settings -p '{"data":{"a":"changed"}}' >/dev/null
    k label pod full --overwrite tier=2 >/dev/null
    check 'live: the configMap' within 20 equal 'changed changed' in_full 'echo $(cat /c/deep/a) $(cat /p/a)'
    check 'live: the labels' within 20 equal 'tier="2"' in_full 'cat /d/labels'
    check 'not live: a subPath' equal two in_full 'cat /only-b'
    pod sneaky 'command: [sleep, "600"], volumeMounts: [{name: e, mountPath: /x, subPath: out/etc}]' 'volumes: [{name: e, emptyDir: {}}]
  initContainers: [{name: i, image: busybox, imagePullPolicy: IfNotPresent, command: [ln, -s, /, /e/out], volumeMounts: [{name: e, mountPath: /e}]}]' >/dev/null
    check 'a subPath through a planted link' within 10 ready sneaky
    check 'stays inside the volume' equal '' k exec sneaky -c main -- ls /x
    pod nonroot 'command: [sleep, "9"], securityContext: {runAsNonRoot: true}' >/dev/null
    check 'runAsNonRoot with an image that runs as root' within 10 shows nonroot CreateContainerConfigError
    check 'says why' contains 'will run as root' k describe pod nonroot
    forget full sneaky nonroot
}

resized() {
    [ "$KUBECTL_VERSION" != 1.20 ] || return 0 # its patch knows no such subresource
    pod grow 'command: [sleep, "600"], resources: {requests: {memory: 32Mi}, limits: {memory: 64Mi}}, resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]' >/dev/null
    check 'a pod to resize' within 10 ready grow
    to() { k patch pod grow --subresource=resize -p "{\"spec\":{\"containers\":[{\"name\":\"main\",\"resources\":$1}]}}"; }
    limit() { k exec grow -- sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true'; }
    check 'its limit' equal $((64 << 20)) limit
    check 'more memory' contains patched to '{"requests":{"cpu":"10m"},"limits":{"memory":"96Mi"}}'
    check 'is told as long as it lasts' within 20 equal 96Mi field pod/grow '.status.containerStatuses[0].resources.limits.memory'
    check 'comes with a restart' within 10 equal 1 field pod/grow '.status.containerStatuses[0].restartCount'
    check 'and is there' within 10 equal $((96 << 20)) limit
    check 'more processor time' contains patched to '{"requests":{"cpu":"20m"}}'
    check 'comes' within 20 equal 20m field pod/grow '.status.containerStatuses[0].allocatedResources.cpu'
    check 'without a restart' equal 1 field pod/grow '.status.containerStatuses[0].restartCount'
    forget grow
}

limited() { # a size limit of an emptyDir on disk
    local mount='volumeMounts: [{name: e, mountPath: /e}]' volume='volumes: [{name: e, emptyDir: {sizeLimit: 8Mi}}]'
    pod small "command: [sleep, \"600\"], $mount" "$volume" >/dev/null
    check 'a pod with 8Mi of room' within 15 ready small
    check 'which are there' k exec small -- sh -c 'head -c 8388608 /dev/zero >/e/f && sync'
    check 'but not twice' fails 'No space left on device' k exec small -- dd if=/dev/zero of=/e/g bs=1M count=8
    check 'and nothing is reported' lacks NotSupported k get events
    kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null
    relaunch 'after a kill of the server'
    check 'the files are there' within 10 equal 8388608 k exec small -- stat -c %s /e/f
    local uid; uid=$(field pod/small .metadata.uid)
    check 'it goes' contains deleted k delete pod small
    no_mount() { ! grep -F "$uid" /proc/self/mountinfo && [ ! -e "$data/pods/$uid" ]; }
    check 'with its disk' within 10 no_mount
    volume='securityContext: {fsGroup: 123}
  volumes: [{name: e, emptyDir: {medium: Memory}}]'
    pod quick "command: [sleep, \"600\"], volumeMounts: [{name: e, mountPath: /e}, {name: e, mountPath: /s, subPath: s}]" "$volume" >/dev/null
    check 'a pod with room in memory' within 15 ready quick
    check 'as open and as sticky as /tmp, a part of it as well' equal '3777 0 123 3777 0 123' k exec quick -- sh -c 'echo $(stat -c "%a %u %g" /e /s)'
    pod small "command: [sleep, \"600\"], $mount" "volumes: [{name: e, emptyDir: {sizeLimit: 8Mi}}]" >/dev/null
    check 'one that is left for berth stop' within 15 ready small
}

for part in ${PARTS:-sidecars causes questions filters shared contents resized limited}; do $part; done
finish
