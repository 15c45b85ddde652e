#!/bin/bash
# Receptor of Debian 13 (what Ansible's controllers run work with) has its units of work done by pods of Berth: it makes a pod, waits for it with a watch,
# attaches to its standard input, follows its log and deletes it.
E2E_IMAGES='busybox web'
. "$(dirname "$0")/lib.sh"
start_berth
cat >"$work/pod.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {labels: {made: specially}}
spec:
  containers: [{name: worker, image: web:1, command: [sh, -c, "echo from $(hostname | cut -c1-4); exec tr a-z A-Z"]}]
Y
cat >"$work/slow.yaml" <<'Y'
apiVersion: v1
kind: Pod
spec: {terminationGracePeriodSeconds: 1, containers: [{name: worker, image: web:1, command: [sleep, "1000"]}]}
Y
worker() { echo "- work-kubernetes: {worktype: $1, authmethod: kubeconfig, kubeconfig: $KUBECONFIG, namespace: default, ${*:2}}"; }
{
    echo "- node: {id: ship, datadir: $work/receptor}"
    echo '- local-only:'
    echo "- control-service: {service: control, filename: $work/control}"
    worker shout 'image: "web:1", command: tr, params: "a-z A-Z"'
    worker special "pod: $work/pod.yaml"
    worker slow "pod: $work/slow.yaml"
    worker lost 'image: "web:9", command: "true"'
} >"$work/receptor.yaml"
env RECEPTOR_KUBE_SUPPORT_RECONNECT=enabled "$cache/bin/receptor" --config "$work/receptor.yaml" >"$work/receptor.log" 2>&1 &
receptor_pid=$!

control() { # COMMAND: what the service answers after its greeting; standard input goes along
    python3 -c '
import shutil, socket, sys
path, command = sys.argv[1:]
s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(path); f = s.makefile("rb"); f.readline()
s.sendall(command.encode() + b"\n")
if command.startswith("work submit"):
    f.readline(); s.sendall(sys.stdin.buffer.read()); s.shutdown(socket.SHUT_WR)
if command.startswith("work results"):
    f.readline(); shutil.copyfileobj(f, sys.stdout.buffer)
else:
    sys.stdout.buffer.write(f.readline())' "$work/control" "$1"
}
submit() { control "work submit ship $1" | jq -r .unitid; } # WORKTYPE: the unit, which gets standard input
state() { control "work status $1" | jq -r .StateName; }
results() { control "work results $1"; }
workers() { k get pods -o name | grep -c .; }

check 'its control service answers' within 20 test -S "$work/control"
unit=$(echo 'heave away' | submit shout)
check 'a unit of work ends well' within 40 equal Succeeded state "$unit"
check 'its pod read what was sent and its log came back' equal 'HEAVE AWAY' results "$unit"
check 'a release deletes the pod' contains released control "work release $unit"
check '... it is gone' within 20 equal 0 workers

unit=$(seq 2000 | sed 's/^/line /' | submit shout)
check 'more input, line by line' within 40 equal Succeeded state "$unit"
check '... comes back whole' equal "$(seq 2000 | sed 's/^/LINE /' | sha256sum)" bash -c "$(declare -f control results); work=$work; results $unit | sha256sum"
check '... and goes' contains released control "work release $unit"

unit=$(echo aye | submit special)
check 'a pod of a template' within 40 equal Succeeded state "$unit"
check '... its log' contains AYE results "$unit"
check '... its label' equal 1 bash -c "'$kubectl' get pods -l made=specially --no-headers | wc -l"
control "work release $unit" >/dev/null

unit=$(submit slow </dev/null)
check 'work that runs' within 40 equal Running state "$unit"
check '... is cancelled' contains cancelled control "work cancel $unit"
check '... with its pod' within 40 equal 0 workers
check '... and says so' within 20 equal Canceled state "$unit"

unit=$(submit lost </dev/null)
check 'an image that is not there' within 60 contains 'web:9' k get events
control "work cancel $unit" >/dev/null
kill "$receptor_pid"; wait "$receptor_pid" 2>/dev/null
finish
