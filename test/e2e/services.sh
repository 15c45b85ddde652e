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
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: pool
  replicas: 3
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: web:1
        command: [sh, -c, "trap 'exit 0' TERM; mkdir -p /tmp/w; hostname >/tmp/w/index.html; touch /tmp/ready; httpd -f -p 8080 -h /tmp/w & wait"]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1, failureThreshold: 1}
Y
ip_of() { k get svc "$1" -o 'jsonpath={.spec.clusterIP}'; }
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

chains() { nft list table ip berth-berth0-svc | grep -c "chain $pool-"; }
check 'its ports have chains' equal 3 chains
k delete svc pool >/dev/null
no_chains() { [ "$(chains)" = 0 ]; }
check 'a deleted service leaves none' within 3 no_chains
check 'its address is refused' quick 'Failed to connect' curl -sS --max-time 5 "http://$pool/"
check 'a node port is a warning' contains 'Warning: spec.type: NodePort' k create service nodeport np --tcp=80
finish
