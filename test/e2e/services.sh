#!/bin/bash
# Services with a cluster address: they lead to ready endpoints from pods and from the node, follow every change, and refuse at once
# when there is none.
E2E_IMAGES="busybox web"
. "$(dirname "$0")/lib.sh"
start_berth

cat >"$work/set.yaml" <<'Y'
apiVersion: v1
kind: Service
metadata: {name: pool}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: http}
  - {name: echo, port: 7, targetPort: 7000, protocol: UDP}
  - {name: other, port: 81, targetPort: 9999}
---
apiVersion: v1
kind: Service
metadata: {name: only-1}
spec: {selector: {statefulset.kubernetes.io/pod-name: web-1}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
Y
web_set pool 3 >>"$work/set.yaml"
fetch() { curl -s --max-time 3 "http://$1/"; }
check 'apply gives no warning' lacks Warning k apply -f "$work/set.yaml"
check 'three are Ready' within 40 pods_ready app=web 3
pool=$(ip_of pool) only=$(ip_of only-1) nobody=$(ip_of nobody)

reached() { # the names that answer, each once, of 40 connections
    local i; for i in $(seq 40); do fetch "$pool" || echo refused; done | sort -u | tr '\n' ' '
}
# A command of the machine in a pod's network (the image's own wget cannot look up names).
in_pod() {
    local pod=$1 pid; shift
    for pid in $(pgrep -x httpd); do
        [ "$(nsenter -t "$pid" -u hostname)" != "$pod" ] || exec nsenter -t "$pid" -n "$@"
    done
    echo "$pod does not run"; return 1
}
from_pod() { (in_pod web-0 bash -c "for i in \$(seq 40); do curl -s --max-time 3 http://$1/ || echo refused; done | sort -u | tr '\n' ' '"); }
check 'the node reaches every endpoint' within 5 equal 'web-0 web-1 web-2 ' reached
check 'a pod reaches every endpoint, also itself' equal 'web-0 web-1 web-2 ' from_pod "$pool"
check 'the name leads to the address' contains "$pool" k exec web-0 -- nslookup pool.default.svc.cluster.local
check 'a selector by pod name leads to that pod' equal 'web-1 ' from_pod "$only"
once() { (in_pod web-0 curl -s --max-time 3 "http://$only/") || echo nobody; }
for label in service-proxy-name headless; do
    k label svc only-1 service.kubernetes.io/$label= >/dev/null
    check "a service labelled $label is left to another proxy" within 10 equal nobody once
    k label svc only-1 service.kubernetes.io/$label- >/dev/null
    check "and without the label to this one" within 10 equal web-1 once
done
itself() { (in_pod web-1 curl -s --max-time 3 "http://$only/"); }
check 'a pod reaches itself through a service' equal web-1 itself
echo_server='socket(S,2,2,0) or die; bind(S,pack_sockaddr_in(7000,INADDR_ANY)) or die; while (my $from=recv(S,$b,99,0)) { send(S,"$ARGV[0]\n",0,$from) }'
for i in 0 1 2; do (in_pod web-$i perl -MSocket -e "$echo_server" web-$i) & done
udp() { (in_pod web-0 bash -c "exec 3<>/dev/udp/$pool/7; echo x >&3; timeout 2 dd bs=99 count=1 status=none <&3"); }
udp_answers() { case $(udp) in web-[012]) ;; *) return 1 ;; esac; }
check 'UDP is answered' within 10 udp_answers

pod_curl() { (in_pod web-0 curl -sS -k --max-time 5 "$@"); }
quick() { # TEXT COMMAND...: fails with TEXT within a second
    local begin=${EPOCHREALTIME/./}
    fails "$@" && [ $((${EPOCHREALTIME/./} - begin)) -lt 1500000 ]
}
check 'no endpoint: refused at once, from the node' quick 'Failed to connect' curl -sS --max-time 5 "http://$nobody/"
check 'no endpoint: refused at once, from a pod' quick 'Failed to connect' pod_curl "http://$nobody/"
check 'a port that the service does not have is refused' quick 'Failed to connect' curl -sS --max-time 5 "http://$pool:82/"
check 'nothing listens on the endpoint: refused' quick 'Failed to connect' curl -sS --max-time 5 "http://$pool:81/"

api=$(ip_of kubernetes)
check 'the API by its cluster address, from the node' contains gitVersion curl -sk --max-time 5 "https://$api/version"
check 'the API by its cluster address, from a pod' contains gitVersion pod_curl "https://$api/version"

k exec web-2 -- rm /tmp/ready
check 'a pod that is not ready is left out' within 8 equal 'web-0 web-1 ' reached
k exec web-2 -- touch /tmp/ready
check 'and comes back' within 8 equal 'web-0 web-1 web-2 ' reached
k delete pod web-1 >/dev/null
again() { [ "$(from_pod "$only")" = 'web-1 ' ]; }
check 'a pod made anew is followed' within 20 again
check 'scale to none' contains scaled k scale sts web --replicas=0
none() { [ -z "$(k get pods -l app=web -o name)" ]; }
check 'all are gone' within 20 none
check 'then the service refuses' within 3 quick 'Failed to connect' curl -sS --max-time 5 "http://$pool/"
check 'scale to one' contains scaled k scale sts web --replicas=1
check 'one is Ready' within 20 pods_ready app=web 1
check 'then it answers' within 3 equal web-0 fetch "$pool"

# A connection that is open while the server restarts.
exec 5<>"/dev/tcp/$pool/80"
printf 'GET / HTTP/1.0\r\n' >&5
kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null
check 'without a server the service answers' equal web-0 fetch "$pool"
relaunch 'started again'
check 'still answers' equal web-0 fetch "$pool"
printf '\r\n' >&5
check 'the open connection has gone on' contains web-0 timeout 5 cat <&5
exec 5>&-

in_table() { nft list table ip berth-berth0-svc | grep -oE "$pool \. [a-z]+ \. [0-9a-z]+" | sort -u | wc -l; }
check 'its ports are in the table' equal 3 in_table
k delete svc pool >/dev/null
check 'a deleted service leaves nothing there' within 3 equal 0 in_table
check 'its address is refused' quick 'Failed to connect' curl -sS --max-time 5 "http://$pool/"

# ---- node ports, external addresses, affinity ----
k scale sts web --replicas=3 >/dev/null
check 'three are Ready again' within 40 pods_ready app=web 3
ip addr add 192.0.2.1/24 dev lo
cat >"$work/more.yaml" <<'Y'
apiVersion: v1
kind: Service
metadata: {name: door}
spec:
  type: NodePort
  selector: {app: web}
  externalIPs: [192.0.2.80]
  ports: [{name: a, port: 80, targetPort: http, nodePort: 30080}, {name: b, port: 81, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: loyal}
spec:
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
Y
check 'node ports, external addresses and affinity give no warning' lacks Warning k apply -f "$work/more.yaml"
door=$(ip_of door) loyal=$(ip_of loyal) second=$(k get svc door -o 'jsonpath={.spec.ports[1].nodePort}')
everyone() { local i; for i in $(seq 30); do curl -s --max-time 3 "http://$1/"; done | sort -u | tr '\n' ' '; }
check 'the chosen node port is of the range' [ "$second" -ge 30000 -a "$second" -le 32767 ]
for at in 127.0.0.1:30080 10.42.0.1:30080 "192.0.2.1:$second" 192.0.2.80 192.0.2.80:81; do
    check "the node reaches all by $at" within 5 equal 'web-0 web-1 web-2 ' everyone "$at"
done
check 'a pod reaches all by the node port' equal 'web-0 web-1 web-2 ' from_pod 10.42.0.1:30080
check 'a taken node port is refused' fails 'spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated' \
    k create service nodeport other --tcp=80 --node-port=30080
check 'a node port beyond the range is refused' fails 'provided port is not in the valid range. The range of valid ports is 30000-32767' \
    k create service nodeport other --tcp=80 --node-port=80
same() { [ "$(everyone "$loyal" | wc -w)" = 1 ]; }
check 'with affinity a client stays with one' within 5 same
mine=$(everyone "$loyal")
check 'a load balancer is a warning and gets node ports' contains Warning k create service loadbalancer lb --tcp=80
check 'and stays pending' contains pending k get svc lb
k annotate svc loyal note=x >/dev/null
other=$(printf 'web-0\nweb-1\nweb-2\n' | grep -vx "${mine% }" | head -1)
k exec "$other" -- rm /tmp/ready
check 'another endpoint is not ready' within 10 pods_ready app=web 2
check 'that and an edit of the service keep the affinity' equal "$mine" everyone "$loyal"
k exec "$other" -- touch /tmp/ready
check 'all are Ready again' within 10 pods_ready app=web 3
table() { nft -a list table ip berth-berth0-svc | grep -v expires; } # the handles of what is made anew are new
before=$(table)
kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null
relaunch 'started once more'
check 'a restart made nothing anew in the table' equal "$before" table
check 'a restart keeps the affinity' equal "$mine" everyone "$loyal"
k exec "${mine% }" -- rm -f /tmp/ready
moved() { local to; to=$(everyone "$loyal"); [ "$(wc -w <<<"$to")" = 1 ] && [ "$to" != "$mine" ]; }
check 'an endpoint that goes gives its clients to another' within 10 moved
check 'the node port stays over an edit' contains 30080 k patch svc door -p '{"spec":{"selector":{"app":"nobody"}}}' -o 'jsonpath={.spec.ports[0].nodePort}'
check 'a node port without endpoints is refused' within 3 quick 'Failed to connect' curl -sS --max-time 5 http://127.0.0.1:30080/
k patch svc door -p '{"spec":{"selector":{"app":"web"}}}' >/dev/null
check 'type ClusterIP drops node ports' equal '' k patch svc door --type=merge -p '{"spec":{"type":"ClusterIP"}}' -o 'jsonpath={.spec.ports[*].nodePort}'
check 'and they are refused' within 3 quick 'Failed to connect' curl -sS --max-time 5 http://127.0.0.1:30080/
check 'the freed port may be taken' contains created k create service nodeport other --tcp=80 --node-port=30080
check 'a service with an address does not become headless' fails 'may not change once set' k patch svc door -p '{"spec":{"clusterIP":"None"}}'
check 'nft can list what was made' contains clients- nft list table ip berth-berth0-svc

# ---- a firewall that loads its rules ----
ruleset() { nft list ruleset | grep -v expires | tr -s ',{} \t' '\n' | sort; }
before=$(ruleset)
nft flush ruleset
check 'tables that a firewall flushes come back' within 5 equal "$before" ruleset
check 'and the services answer' within 5 contains web- fetch "$loyal"
check 'the log says what has happened' contains 'net_table_taken_away table=berth-berth0-svc' cat "$work/server.log"
finish
