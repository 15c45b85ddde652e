#!/bin/bash
# Host ports (ports[].hostPort): one pod of the node has each, it is reached by the node's addresses from everywhere, and whoever comes later waits
# for it or, when somebody has named the node by hand, fails.
E2E_IMAGES="busybox web"
. "$(dirname "$0")/lib.sh"
start_berth
ip addr add 192.0.2.1/24 dev lo; ip addr add 192.0.2.2/24 dev lo
# A client outside: a network of its own with one link to the node.
ip link add uplink type veth peer name eth0
unshare --net sleep 1000 & client=$!
in_client() { nsenter -t "$client" -n "$@"; }
there() { [ "$(readlink "/proc/$client/ns/net")" != "$(readlink /proc/$$/ns/net)" ]; }
within 5 there
ip link set eth0 netns "$client"
ip addr add 198.51.100.1/24 dev uplink; ip link set uplink up
in_client ip addr add 198.51.100.2/24 dev eth0; in_client ip link set eth0 up

# web NAME PORTS [SPEC-LINE]: a web server on port 8080 that tells its name
web() {
    k apply -f - <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 1
  ${3:-restartPolicy: Always}
  containers:
  - {name: web, image: "web:1", ports: [$2], command: [sh, -c, "mkdir -p /tmp/w; hostname >/tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w"]}
Y
}
fetch() { curl -sS --max-time 3 "http://$1/"; }
in_pod() { # POD COMMAND...: a command of the machine in a pod's network
    local pod=$1 pid; shift
    for pid in $(pgrep -x httpd); do
        [ "$(nsenter -t "$pid" -u hostname)" != "$pod" ] || exec nsenter -t "$pid" -n "$@"
    done
    echo "$pod does not run"; return 1
}
from_pod() { (in_pod "$1" curl -sS --max-time 3 "http://$2/"); }
table() { nft -a list table ip berth-berth0-svc; }
elements() { nft list map ip berth-berth0-svc host-ports | grep -o '[0-9.]* \. \(tcp\|udp\) \. [0-9]* : [0-9.]* \. [0-9]*'; }

check 'a pod with host ports gives no warning' lacks Warning web a '{containerPort: 8080, hostPort: 8088}, {containerPort: 7000, hostPort: 5353, protocol: UDP}'
web b '{containerPort: 8080}' >/dev/null
check 'it runs' within 20 ready a
check 'and so does one without' within 20 ready b
for at in 127.0.0.1 192.0.2.1 198.51.100.1 10.42.0.1; do check "the node reaches it by $at" within 5 equal a fetch "$at:8088"; done
check 'a client outside reaches it' equal a in_client curl -sS --max-time 3 http://198.51.100.1:8088/
check 'another pod reaches it by an address of the node' equal a from_pod b 192.0.2.1:8088
check 'the pod reaches itself' equal a from_pod a 198.51.100.1:8088
check 'its own port is not a port of the node' fails 'Failed to connect' fetch 127.0.0.1:8080
check 'other addresses of loopback are left alone' fails 'Failed to connect' fetch 127.0.0.53:8088
check 'so is the cluster DNS' fails 'Failed to connect' fetch 10.43.0.10:8088
lacks_event() { lacks NotSupported k get events; }
check 'nothing is reported as not supported' lacks_event
# UDP, and what the pod sees of its client.
echo_server='socket(S,2,2,0) or die; bind(S,pack_sockaddr_in(7000,INADDR_ANY)) or die; while (my $from=recv(S,$b,99,0)) { my ($p,$h)=unpack_sockaddr_in($from); send(S,inet_ntoa($h)."\n",0,$from) }'
(in_pod a perl -MSocket -e "$echo_server") &
udp() { in_client bash -c "exec 3<>/dev/udp/198.51.100.1/5353; echo x >&3; timeout 2 dd bs=99 count=1 status=none <&3"; }
check 'UDP is answered, and the pod sees the client itself' within 10 equal 198.51.100.2 udp

# ---- two pods, one port ----
web late '{containerPort: 8080, hostPort: 8088, hostIP: 192.0.2.1}' >/dev/null
waits() { contains "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports." k get pod late -o jsonpath='{.status.conditions[?(@.type=="PodScheduled")].message}'; }
check 'one that asks for a taken port waits and says why' within 10 waits
web same-number '{containerPort: 8080, hostPort: 8088, protocol: UDP}' >/dev/null
check 'the other protocol is another port' within 20 ready same-number
web named '{containerPort: 8080, hostPort: 8088}' 'nodeName: edge' >/dev/null
check 'one that names the node fails' within 10 phase named Failed
check 'with the reason' equal NodePorts field pod/named .status.reason
check 'and the words' equal "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports" field pod/named .status.message
rejected() { contains 'Predicate NodePorts failed' k get events --field-selector reason=NodePorts; }
check 'an event says it' within 5 rejected
check 'the first keeps the port' equal a fetch 127.0.0.1:8088
k delete pod named same-number >/dev/null

# ---- a restart ----
exec 5<>/dev/tcp/192.0.2.1/8088
printf 'GET / HTTP/1.0\r\n' >&5
before=$(table)
kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null
check 'without a server the port answers' equal a fetch 192.0.2.1:8088
relaunch 'started again'
check 'still answers' equal a fetch 192.0.2.1:8088
printf '\r\n' >&5
gone_on() { contains a timeout 5 cat <&5; }
check 'the open connection has gone on' gone_on
exec 5>&-
settled() { [ "$(field pod/a .status.phase)" = Running ] && waits; }
check 'the waiting pod still waits' within 10 settled
check 'the table is as it was' equal "$before" table

k delete pod a --wait=false >/dev/null
check 'the port is free: the waiting pod runs' within 20 ready late
check 'and has it' within 5 equal late fetch 192.0.2.1:8088
check 'by its address alone' fails 'Failed to connect' fetch 192.0.2.2:8088
web second '{containerPort: 8080, hostPort: 8088, hostIP: 192.0.2.2}' >/dev/null
check 'another address is another port' within 20 ready second
check 'each leads to its own' within 5 equal second fetch 192.0.2.2:8088
check 'both' equal late fetch 192.0.2.1:8088
k delete pod late second b >/dev/null
check 'nothing is left of them in the table' within 5 equal '' elements

# ---- a set whose pod finds its port taken ----
web guest '{containerPort: 8080, hostPort: 8090}' 'nodeName: edge' >/dev/null
check 'a pod has the port' within 20 ready guest
web_set none 1 | sed 's/containerPort: 8080/containerPort: 8080, hostPort: 8090/; s/    spec:/    spec:\n      nodeName: edge/' >"$work/set.yaml"
k apply -f "$work/set.yaml" >/dev/null
uid() { field pod/web-0 .metadata.uid 2>/dev/null; }
seen() { local now; now=$(uid); [ -n "$now" ] && [ "$now" != "$first" ]; }
told() { contains 'pod default/guest has a host port that this one asks for' k get events --field-selector reason=HostPortTaken; }
check 'its pod says who has it' within 20 told
first=$(uid)
check 'its pod fails after a while and is made anew' within 40 seen
failed_once() { contains 'Predicate NodePorts failed' k get events --field-selector involvedObject.name=web-0,reason=NodePorts; }
check 'for that reason' within 5 failed_once
k delete pod guest >/dev/null
check 'until the port is free' within 40 pods_ready app=web 1
check 'and answers there' within 5 equal web-0 fetch 127.0.0.1:8090

# ---- a DaemonSet ----
sed 's/kind: StatefulSet/kind: DaemonSet/; /serviceName\|replicas\|podManagement\|nodeName/d; s/name: web}/name: each}/; s/app: web/app: each/g' "$work/set.yaml" >"$work/each.yaml"
check 'a DaemonSet is taken' contains created k apply -f "$work/each.yaml"
each_waits() { contains "didn't have free ports" k get pods -l app=each -o 'jsonpath={.items[*].status.conditions[?(@.type=="PodScheduled")].message}'; }
check 'its pod is there and waits' within 10 each_waits
k delete sts web >/dev/null
check 'and has its turn' within 30 pods_ready app=each 1
k delete ds each >/dev/null
# A pod's host port 7000 in the node's own network counts, too.
web own '{containerPort: 8080}' 'hostNetwork: true' >/dev/null
check 'a pod in the network of the node runs' within 20 ready own
web late '{containerPort: 80, hostPort: 8080}' >/dev/null
check 'its port counts' within 10 waits
web strange '{containerPort: 8080, hostPort: 9000, protocol: SCTP}' >/dev/null
not_carried() { contains 'hostPort of SCTP or IPv6' k get events --field-selector involvedObject.name=strange,reason=NotSupported; }
check 'SCTP is reported' within 10 not_carried
web thief '{containerPort: 8080, hostPort: 6443}' >/dev/null
kept() { contains "hostPort that is the API server's own" k get events --field-selector involvedObject.name=thief,reason=NotSupported; }
check 'nobody takes the port of the API, and is told so' within 10 kept
kill "$client"; wait "$client" 2>/dev/null
finish
