#!/bin/bash
# The life of a pod, as a user sees it: init containers, restarts and their back-off, probes, hooks, limits, users, terminals, and what is refused.
. "$(dirname "$0")/lib.sh"
E2E_IMAGES='busybox web' start_berth


beginnings() {
    k apply -f - >/dev/null <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: steps}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: v, emptyDir: {}}]
  initContainers:
  - {name: one, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "sleep 0.5; echo one >>/v/log"], volumeMounts: [{name: v, mountPath: /v}]}
  - {name: two, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "echo two >>/v/log"], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - {name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "echo main >>/v/log; exec sleep 600"], volumeMounts: [{name: v, mountPath: /v}]}
Y
    check 'init containers: shown while they run' within 5 shows steps Init:
    check 'init containers: then the pod is Ready' within 15 ready steps
    check 'init containers: in order, before the others' equal 'one
two
main' k exec steps -c main -- cat /v/log
    check 'logs of an init container' k logs steps -c one
    pod badinit 'command: [sleep, "600"]' 'initContainers: [{name: i, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "echo no; exit 4"]}]' >/dev/null
    check 'a failing init container backs off' within 20 shows badinit Init:CrashLoopBackOff
    check 'its log is there' equal no k logs badinit -c i
    forget steps badinit
}

restarts() {
    pod again 'command: [sh, -c, "echo life $(date +%s%N); sleep 1; exit 9"]' >/dev/null
    counted() { [ "$(field pod/again '.status.containerStatuses[0].restartCount')" -ge 1 ]; }
    check 'a container that ends is started again' within 10 counted
    check 'the last exit is kept' equal 9 field pod/again '.status.containerStatuses[0].lastState.terminated.exitCode'
    check 'logs of this life and the last differ' bash -c "a=\$('$kubectl' logs again); b=\$('$kubectl' logs -p again); [ \"\$b\" ] && [ \"\$a\" != \"\$b\" ]"
    check 'CrashLoopBackOff comes' within 15 shows again CrashLoopBackOff
    pod never 'command: [sh, -c, "exit 5"]' 'restartPolicy: Never' >/dev/null
    check 'Never: the pod Failed' within 10 phase never Failed
    check 'Never: kubectl shows Error' shows never Error
    check 'Never: no restart' equal 0 field pod/never '.status.containerStatuses[0].restartCount'
    pod done 'command: ["true"]' 'restartPolicy: OnFailure' >/dev/null
    check 'OnFailure: success ends it' within 10 phase done Succeeded
    check 'OnFailure: kubectl shows Completed' shows done Completed
    pod killed 'command: [sh, -c, "sh -c '"'kill -9 \$\$\$\$'"'; exit $?"]' 'restartPolicy: Never' >/dev/null
    check 'a signal is told as 128+n' within 10 value_is 137 field pod/killed '.status.containerStatuses[0].state.terminated.exitCode'
    pod greedy 'command: [sh, -c, "tail -c 200m /dev/zero"], resources: {limits: {memory: 16Mi}}' 'restartPolicy: Never' >/dev/null
    check 'too much memory: OOMKilled' within 20 shows greedy OOMKilled
    pod last 'command: [sh, -c, "echo farewell >/dev/termination-log; exit 1"]' 'restartPolicy: Never' >/dev/null
    check 'the termination message' within 10 value_is farewell field pod/last '.status.containerStatuses[0].state.terminated.message'
    forget again never done killed greedy last
}

probes() {
    pod late 'command: [sh, -c, "sleep 3.5; touch /tmp/ok; exec sleep 600"], readinessProbe: {exec: {command: [cat, /tmp/ok]}, periodSeconds: 1}' >/dev/null
    check 'readiness: Running, not Ready' within 5 phase late Running
    check 'readiness: said so' contains '0/1' k get pod late
    check 'readiness: the event says why' within 8 contains 'Readiness probe failed' k describe pod late
    check 'readiness: Ready in the end' within 10 ready late
    check 'readiness: not Ready again' bash -c "'$kubectl' exec late -- rm /tmp/ok"
    unready() { ! ready late; }
    check 'readiness: after three failures' within 10 unready
    pod ill 'command: [sh, -c, "touch /tmp/ok; sleep 1; rm /tmp/ok; exec sleep 600"], livenessProbe: {exec: {command: [cat, /tmp/ok]}, periodSeconds: 1, failureThreshold: 2}' >/dev/null
    restarted() { [ "$(field pod/ill '.status.containerStatuses[0].restartCount')" -ge 1 ]; }
    check 'liveness: restarted' within 15 restarted
    check 'liveness: the event says why' contains 'Liveness probe failed' k describe pod ill
    check 'liveness: and that it will be restarted' contains 'failed liveness probe, will be restarted' k describe pod ill
    forget late ill
}

endings() {
    GRACE=20 pod obeys 'command: [sh, -c, "trap \"echo bye; exit 0\" TERM; sleep 600 & wait"]' >/dev/null
    check 'obeys SIGTERM' within 10 ready obeys
    local start=$SECONDS
    check 'delete does not wait for the grace period' k delete pod obeys
    check 'a matter of seconds' test $((SECONDS - start)) -lt 5
    GRACE=2 pod deaf 'command: [sh, -c, "trap : TERM; while :; do sleep 0.2; done"]' >/dev/null
    check 'deaf to SIGTERM' within 10 ready deaf
    start=$SECONDS
    check 'killed after the grace period' k delete pod deaf
    check 'not at once, not much later' test $((SECONDS - start)) -ge 2 -a $((SECONDS - start)) -lt 8
    mkdir -p "$work/x"
    GRACE=20 pod hook 'command: [sh, -c, "trap \"exit 0\" TERM; sleep 600 & wait"], lifecycle: {postStart: {exec: {command: [sh, -c, "echo started >/tmp/hook"]}}, preStop: {exec: {command: [sh, -c, "echo stopping >/proc/1/fd/1; sleep 1"]}}}' >/dev/null
    check 'hooks' within 10 ready hook
    check 'postStart ran' within 3 equal started k exec hook -- cat /tmp/hook
    (timeout 20 "$kubectl" logs -f hook >"$work/hook.log" 2>&1) & local follower=$!
    sleep 0.3
    check 'delete with preStop' k delete pod hook
    wait $follower
    check 'preStop ran before the end' grep stopping "$work/hook.log"
}

walls() {
    pod user 'command: [sleep, "600"], securityContext: {runAsUser: 1234, runAsGroup: 2345, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}' 'securityContext: {fsGroup: 3456, sysctls: []}' >/dev/null
    check 'another user' within 10 ready user
    check 'its ids' equal '1234 2345' k exec user -- sh -c 'echo $(id -u) $(id -g)'
    check 'a read-only root' fails 'Read-only' k exec user -- touch /x
    check 'no capability' equal 0000000000000000 k exec user -- sh -c "awk '/CapEff/ {print \$2}' /proc/self/status"
    pod plain 'command: [sleep, "600"], resources: {limits: {cpu: 500m, memory: 32Mi}}' >/dev/null
    check 'an ordinary pod' within 10 ready plain
    check 'sees only its own processes' bash -c "[ \$('$kubectl' exec plain -- ps | wc -l) -lt 6 ]"
    check 'does not see the machine'"'"'s disks' fails '' k exec plain -- ls "$data"
    check 'cannot mount' fails '' k exec plain -- mount -t tmpfs none /mnt
    check 'its own network' bash -c "'$kubectl' exec plain -- ip addr | grep -q \$('$kubectl' get pod plain -o 'jsonpath={.status.podIP}')"
    check 'reaches the API by its service' bash -c "'$kubectl' exec plain -- nslookup kubernetes.default.svc.cluster.local | grep 10.43.0.1"
    check 'the log of /proc/sys is read-only' fails '' k exec plain -- sh -c 'echo 1 >/proc/sys/kernel/panic'
    k expose pod plain --port=80 >/dev/null
    check 'hostAliases, hostname and dnsConfig' k apply -f - <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: named}
spec:
  terminationGracePeriodSeconds: 0
  hostname: captain
  subdomain: bridge
  hostAliases: [{ip: 10.1.2.3, hostnames: [far.away]}]
  containers: [{name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, "600"]}]
Y
    check 'it runs' within 10 ready named
    check 'hostname' equal captain k exec named -- hostname
    check 'hosts file' contains far.away k exec named -- cat /etc/hosts
    forget user plain named; k delete svc plain >/dev/null
}

terminals() {
    pod tty 'command: [sh], stdin: true, tty: true' >/dev/null
    check 'a container with a terminal' within 10 ready tty
    typed() { (sleep 0.7; echo 'echo $((6*7))'; sleep 2.5) | script -qec "timeout --foreground 2 '$kubectl' attach -it tty" /dev/null >"$work/typed"; grep -w 42 "$work/typed"; }
    check 'attach -it, typed into' typed
    check 'its shell is still there' ready tty
    check 'and has not been restarted' equal 0 field pod/tty '.status.containerStatuses[0].restartCount'
    interrupted() { (sleep 0.7; echo 'sleep 100'; sleep 0.4; printf '\003'; sleep 0.3; echo 'exit 6'; sleep 0.5) | script -qec "timeout --foreground 20 '$kubectl' exec -it tty -- sh" /dev/null; }
    check 'exec -it: control-C reaches the process' exit_code 6 interrupted
    shell() { (sleep 1.5; echo 'echo $((5*5))'; sleep 0.3; echo exit; sleep 0.5) | script -qec "timeout --foreground 25 '$kubectl' run shell --rm -it --restart=Never --image=busybox --image-pull-policy=IfNotPresent -- sh" /dev/null >"$work/typed"; grep -w 25 "$work/typed"; }
    check 'run -it of a shell, typed into' shell
    check 'leaves no pod' gone pod shell
    many() { local i pids=; for i in 1 2 3 4 5 6 7 8; do (k exec tty -- sh -c "sleep 0.3; echo n$i") & pids="$pids $!"; done; wait $pids; }
    check 'eight at once' bash -c "true"
    check 'each answers' equal 'n1 n2 n3 n4 n5 n6 n7 n8' bash -c "$(declare -f many k); kubectl='$kubectl'; echo \$(many | sort)"
    flood() { timeout 40 "$kubectl" exec tty -- sh -c 'yes 0123456789abcdef | head -c 20000000' | wc -c; }
    check '20 MB of output' equal 20000000 flood
    slow() { timeout 20 "$kubectl" exec tty -- sh -c 'yes 0123456789abcdef | head -c 3000000' | (sleep 1; wc -c); }
    check 'a slow reader loses nothing' equal 3000000 slow
    check 'closed output ends the command' bash -c "timeout 20 '$kubectl' exec tty -- yes | head -1"
    pod noisy 'command: [sh, -c, "yes 0123456789abcdef0123456789abcdef0123456789abcdef | head -n 400000; echo end; sleep 600"]' >/dev/null
    last_line() { [ "$(k logs noisy --tail=1)" = end ]; }
    check '20 MB of log: its end' within 20 last_line
    check '--tail of it' equal 1000 bash -c "'$kubectl' logs noisy --tail=1000 | wc -l"
    forget tty noisy
}

refusals() {
    check 'a field that a volume does not have' fails 'nfs3' bash -c "echo '{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"volumes\":[{\"name\":\"v\",\"nfs3\":{}}],\"containers\":[{\"name\":\"c\",\"image\":\"busybox\"}]}}' | '$kubectl' apply -f -"
    pod remote 'command: [sleep, "9"], volumeMounts: [{name: v, mountPath: /v}]' 'volumes: [{name: v, nfs: {server: 127.0.0.1, path: /}}]' >/dev/null
    unsupported() { contains nfs k get events --field-selector involvedObject.name=remote; }
    check 'a volume that this node cannot give: the event names it' within 10 unsupported
    forget remote
    check 'a mount without its volume' fails 'Not found' bash -c "echo '{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"busybox\",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"}]}]}}' | '$kubectl' apply -f -"
    check 'two containers of one name' fails 'Duplicate' bash -c "echo '{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"busybox\"},{\"name\":\"c\",\"image\":\"busybox\"}]}}' | '$kubectl' apply -f -"
    pod claimless 'command: [sleep, "9"]' 'volumes: [{name: v, persistentVolumeClaim: {claimName: nobody}}]' >/dev/null
    check 'a claim that is not there: Pending' within 5 phase claimless Pending
    check 'and why' within 5 contains '"nobody" not found' k describe pod claimless
    pod keyless 'command: [sleep, "9"], env: [{name: A, valueFrom: {configMapKeyRef: {name: nowhere, key: a}}}]' >/dev/null
    check 'an environment without its configMap' within 10 shows keyless CreateContainerConfigError
    check 'names it' contains '"nowhere" not found' k describe pod keyless
    k create configmap nowhere --from-literal=b=1 >/dev/null
    check 'the key is named too' within 15 contains "couldn't find key a in ConfigMap default/nowhere" k describe pod keyless
    pod big 'command: [sleep, "9"], resources: {requests: {memory: 900Ti}}' >/dev/null
    check 'more memory than there is' within 5 contains 'Insufficient memory' k describe pod big
    forget claimless keyless big
}

for part in ${PARTS:-beginnings restarts probes endings walls terminals refusals}; do $part; done
finish
