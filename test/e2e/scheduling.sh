#!/bin/bash
# What a node is said to have is counted, and on a full node the less important give way.
. "$(dirname "$0")/lib.sh"
start_berth --container-runtime=fake

asking() { # NAME CPU [RESOURCE: AMOUNT]
    k create -f - >/dev/null <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: busybox, resources: {requests: {cpu: $2}, limits: {${3:-}}}}
Y
}
advertise() { k patch node "$node" --subresource=status --type=merge -p "{\"status\":{\"capacity\":{\"acme.com/dongle\":\"$1\"}}}"; }
node=$(field node .items[0].metadata.name)
why() { field "pod/$1" '.status.conditions[?(@.type=="PodScheduled")].message'; }

asking first 100m 'acme.com/dongle: 2'
check "a pod waits for what no node has" within 20 contains '1 Insufficient acme.com/dongle.' why first
check "a request is its limit" fails 'must be an integer' asking half 100m 'acme.com/dongle: 500m'
check "the node is said to have three" contains patched advertise 3
check "the pod runs" within 20 ready first
asking second 100m 'acme.com/dongle: 2'
check "another one waits" within 20 contains '1 Insufficient acme.com/dongle.' why second
check "until the first has gone" k delete pod first
check "and runs" within 20 ready second
check "describe node counts them" contains 'acme.com/dongle' k describe node "$node"
k delete pod second >/dev/null

k create priorityclass database --value=1000 >/dev/null
for i in 1 2 3; do asking "filler-$i" 10m 'acme.com/dongle: 1'; done
check "the node is full" within 20 ready filler-3
k create poddisruptionbudget keep --selector=app=filler-2 --min-available=1 >/dev/null
check "a budget protects one" within 20 equal 0 field pdb/keep .status.disruptionsAllowed
k create -f - >/dev/null <<Y
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      priorityClassName: database
      containers:
      - {name: main, image: busybox, resources: {limits: {acme.com/dongle: 2}}}
Y
check "the database starts" within 30 ready db-0
check "two have given way" equal "" k get pods filler-1 filler-3 --ignore-not-found
check "not the one that the budget protects" ready filler-2
check "and it is said why" contains "Preempted by pod $(field pod/db-0 .metadata.uid) on node $node" k get events --field-selector reason=Preempted
finish
