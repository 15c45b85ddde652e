#!/bin/bash
# What kubectl asks of one pod beside the pod itself: ephemeral containers, proxies, images that are in use.
. "$(dirname "$0")/lib.sh"
E2E_IMAGES='busybox web' start_berth

field() { k get "$1" -o "jsonpath={$2}"; }
ready() { [ "$(field "pod/$1" '.status.conditions[?(@.type=="Ready")].status')" = True ]; }
extra() { field "pod/$1" ".status.ephemeralContainerStatuses[?(@.name==\"$2\")].state.$3"; }
extra_is() { [ -n "$(extra "$@")" ]; }
# pod NAME CONTAINER-YAML
pod() {
    k apply -f - <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: busybox, imagePullPolicy: IfNotPresent, $2}
Y
}
extras() { # POD JSON-LIST: asks for these ephemeral containers
    k patch pod "$1" --subresource=ephemeralcontainers --type=strategic -p "{\"spec\":{\"ephemeralContainers\":$2}}"
}

debugging() {
    pod looked 'command: [sh, -c, "echo secret >/tmp/here; exec sleep 600"]' >/dev/null
    check 'a pod to look into' within 15 ready looked
    if [ "$KUBECTL_VERSION" = 1.20 ]; then echo '# kubectl 1.20 knows only the alpha form of ephemeral containers'; return; fi
    check 'kubectl debug puts a container into it' k debug looked --image=busybox --image-pull-policy=IfNotPresent --target=main --container=look -- sh -c 'echo looking; exec sleep 700'
    check 'which runs' within 15 extra_is looked look running
    check 'exec finds it, and it sees the processes of its target' contains 'sleep 600' k exec looked -c look -- ps -o args
    check 'and through them the files of its target' equal secret k exec looked -c look -- cat /proc/1/root/tmp/here
    check 'it has the address of the pod' contains "$(field pod/looked .status.podIP)" k exec looked -c look -- ip addr
    check 'its log' within 5 equal looking k logs looked -c look
    check 'describe shows it' contains 'Ephemeral Containers:' k describe pod looked
    check 'READY counts the others' contains '1/1' k get pod looked
    check 'kubectl debug -it: attach works' contains typed bash -c "echo 'echo ty\"\"ped; exit' | timeout 30 '$kubectl' debug -i looked --image=busybox --image-pull-policy=IfNotPresent --container=talk -- sh"
    check 'one that has ended is told' within 10 extra_is looked talk terminated
    check 'and the pod stays ready' ready looked
    extras looked '[{"name":"fail","image":"busybox","imagePullPolicy":"IfNotPresent","command":["false"]}]' >/dev/null
    check 'one that fails is not started again' within 15 extra_is looked fail terminated
    check 'its exit code' equal 1 extra looked fail terminated.exitCode
    kill -9 $server_pid; wait $server_pid 2>/dev/null; server_pid=
    relaunch 'the server is killed and started again'
    check 'what ran is adopted' contains 'sleep 600' k exec looked -c look -- ps -o args
    check 'with the same start' equal 0 field pod/looked '.status.ephemeralContainerStatuses[?(@.name=="look")].restartCount'
    extras looked '[{"name":"later","image":"busybox","imagePullPolicy":"IfNotPresent","command":["sleep","800"]}]' >/dev/null
    check 'another one after that' within 15 extra_is looked later running
    check 'the pod ends, and they with it' k delete pod looked
    left() { ! pgrep -f 'sleep [678]00'; }
    check 'all of them' within 5 left
}

refusals() {
    pod strict 'command: [sleep, "600"]' >/dev/null
    check 'a pod' within 15 ready strict
    if [ "$KUBECTL_VERSION" = 1.20 ]; then k delete pod strict --wait=false >/dev/null; return; fi
    check 'a name that is taken' fails 'Duplicate value: "main"' extras strict '[{"name":"main","image":"busybox"}]'
    check 'a target that is not there' fails 'targetContainerName: Not found: "nobody"' extras strict '[{"name":"a","image":"busybox","targetContainerName":"nobody"}]'
    check 'a probe' fails 'livenessProbe: Forbidden: cannot be set for an Ephemeral Container' extras strict '[{"name":"a","image":"busybox","livenessProbe":{"tcpSocket":{"port":1}}}]'
    check 'ports' fails 'ports: Forbidden' extras strict '[{"name":"a","image":"busybox","ports":[{"containerPort":1}]}]'
    check 'resources' fails 'resources: Forbidden' extras strict '[{"name":"a","image":"busybox","resources":{"limits":{"cpu":"1"}}}]'
    check 'one is accepted' extras strict '[{"name":"a","image":"busybox","imagePullPolicy":"Never","command":["sleep","600"]}]'
    check 'it cannot be changed' fails 'existing ephemeral containers "a" may not be changed' extras strict '[{"name":"a","image":"web:1"}]'
    check 'nor removed' fails 'existing ephemeral containers "a" may not be removed' k patch pod strict --subresource=ephemeralcontainers --type=json -p '[{"op":"remove","path":"/spec/ephemeralContainers"}]'
    check 'nor come by another way' fails 'Forbidden' k patch pod strict -p '{"spec":{"ephemeralContainers":[{"name":"b","image":"busybox"}]}}'
    check 'nor with a new pod' fails 'spec.ephemeralContainers: Forbidden: cannot be set on create' bash -c "echo '{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"ephemeralContainers\":[{\"name\":\"i\",\"image\":\"busybox\"}],\"containers\":[{\"name\":\"c\",\"image\":\"busybox\"}]}}' | '$kubectl' create -f -"
    check 'nor in a template' fails 'ephemeral containers not allowed in pod template' bash -c "echo '{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"ephemeralContainers\":[{\"name\":\"i\",\"image\":\"busybox\"}],\"containers\":[{\"name\":\"c\",\"image\":\"busybox\"}]}}}}' | '$kubectl' create -f -"
    k delete pod strict --wait=false >/dev/null
}

images() {
    remove() { "$berth" image rm "$1" --data-dir "$data"; }
    pod user 'command: [sleep, "600"]' >/dev/null
    check 'a pod of an image' within 15 ready user
    check 'the image cannot be removed' fails "uses it: delete its pod first" remove busybox
    check 'another one can' remove web:1
    check 'what runs goes on' equal here k exec user -- echo here
    k delete pod user --force --grace-period=0 >/dev/null 2>&1
    check 'afterwards it can' within 20 remove busybox
    empty() { [ -z "$(ls -A "$data/images/layers" "$data/images/blobs/sha256" | grep -v :)" ]; }
    check 'and nothing of it is left' empty
}

for part in ${PARTS:-debugging refusals images}; do $part; done
finish
