#!/bin/bash
# What kubectl asks of one pod beside the pod itself: ephemeral containers, proxies, images that are in use.
. "$(dirname "$0")/lib.sh"
E2E_IMAGES='busybox web' start_berth

extra() { field "pod/$1" ".status.ephemeralContainerStatuses[?(@.name==\"$2\")].state.$3"; }
extra_is() { [ -n "$(extra "$@")" ]; }
extras() { # POD JSON-LIST: asks for these ephemeral containers
    k patch pod "$1" --subresource=ephemeralcontainers --type=strategic -p "{\"spec\":{\"ephemeralContainers\":$2}}"
}

debugging() {
    pod looked 'command: [sh, -c, "echo secret >/tmp/here; exec sleep 600"]' >/dev/null
    check 'a pod to look into' within 15 ready looked
    if [ "$KUBECTL_VERSION" = 1.20 ]; then echo '# kubectl 1.20 knows only the alpha form of ephemeral containers'; k delete pod looked --wait=false >/dev/null; return; fi
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

proxies() {
    k apply -f - >/dev/null <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: served, labels: {app: served}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox
    imagePullPolicy: IfNotPresent
    ports: [{name: http, containerPort: 8080}]
    command: [sh, -c, "mkdir -p /www/cgi-bin /www/d; echo page >/www/index.html; echo in d >/www/d/index.html; printf '#!/bin/sh\nprintf \"Content-Type: text/plain\\r\\n\\r\\n\"; echo \"$REQUEST_METHOD $QUERY_STRING\"; cat' >/www/cgi-bin/say; chmod +x /www/cgi-bin/say; head -c 3000000 /dev/zero >/www/big; exec httpd -f -p 8080 -h /www"]
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {selector: {app: served}, ports: [{name: web, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
Y
    raw() { k get --raw "/api/v1$1"; }
    local p=/namespaces/default/pods s=/namespaces/default/services
    check 'a pod that serves' within 15 ready served
    check 'pods/proxy with a port' equal page raw $p/served:8080/proxy/
    check 'without one: its first' equal page raw $p/served/proxy/
    check 'by the name of one' equal page raw $p/http:served:http/proxy/index.html
    check 'path and query go along' equal 'GET a=b&c=%2F' raw "$p/served/proxy/cgi-bin/say?a=b&c=%2F"
    check 'three megabytes arrive whole' equal 3000000 bash -c "'$kubectl' get --raw /api/v1$p/served/proxy/big | wc -c"
    check 'an answer of its own that is no success' fails 'could not find the requested resource' raw $p/served/proxy/nowhere
    check 'a pod that is not there' fails 'pods "absent" not found' raw $p/absent/proxy/
    check 'a port where nobody listens' fails 'error trying to reach service' raw $p/served:81/proxy/
    check 'https is refused in words' fails 'proxies to http alone' raw $p/https:served:8080/proxy/
    served_by() { [ "$(raw "$1")" = page ]; }
    check 'services/proxy' within 15 served_by $s/front:web/proxy/
    check 'by the number of its port' equal page raw $s/front:80/proxy/
    check 'with a scheme' equal page raw $s/http:front:web/proxy/
    check 'another number' fails 'no service port 81 found for service "front"' raw $s/front:81/proxy/
    check 'nobody behind it' fails 'no endpoints available for service "nobody"' raw $s/nobody/proxy/
    check 'nodes/proxy: health' equal ok raw /nodes/edge/proxy/healthz
    check 'its pods' contains '"name":"served"' raw /nodes/edge/proxy/pods
    check 'nothing else' fails 'serves no /metrics/cadvisor' raw /nodes/edge/proxy/metrics/cadvisor
    timeout 60 "$kubectl" proxy --port=8901 >/dev/null 2>&1 &
    local proxy=$!
    ask() { curl -sS -m 20 "$@"; }
    local u=http://127.0.0.1:8901/api/v1$p/served
    check 'kubectl proxy: a page' within 10 contains page ask -f $u/proxy/
    check 'a POST with its body' equal 'POST x
hello' ask --data hello "$u/proxy/cgi-bin/say?x"
    check 'without the slash: to where links work' contains "/pods/served/proxy/" ask -o /dev/null -w '%{redirect_url}' $u/proxy
    check 'a redirection of the server stays behind the proxy' contains "/pods/served/proxy/d/" ask -o /dev/null -w '%{redirect_url}' $u/proxy/d
    check 'HEAD' contains '200 OK' ask -I $u/proxy/index.html
    check 'an upgrade is refused in words' contains 'cannot change the protocol' ask -H 'Connection: Upgrade' -H 'Upgrade: websocket' $u/proxy/
    kill $proxy; wait $proxy 2>/dev/null
    k delete pod served --wait=false >/dev/null
}

for part in ${PARTS:-debugging refusals proxies images}; do $part; done
finish
