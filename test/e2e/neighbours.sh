#!/bin/bash
# Where pods go with respect to each other: a set whose replicas shun each other's nodes, wishes, company, spread over zones, and what a pod that finds
# no node says. The nodes far and isle have no agent: the test says what one would.
. "$(dirname "$0")/lib.sh"
E2E_IMAGES=busybox start_berth

on() { k get pod "$1" -o 'jsonpath={.spec.nodeName}'; }
placed() { [ -n "$(on "$1")" ]; }
message() { k get sts "$1" -o 'jsonpath={.status.conditions[?(@.type=="Available")].message}'; }
why() { k get pod "$1" -o 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}'; }
events() { k get events --field-selector "involvedObject.name=$1" -o 'jsonpath={range .items[*]}{.type} {.reason} {.message}{"\n"}{end}'; }
page() { "$berth" status --data-dir "$data"; }
answers() { # NODE: it is there and well
    k patch node "$1" --subresource=status -p "{\"status\":{\"allocatable\":{\"cpu\":\"4\",\"memory\":\"4Gi\",\"pods\":\"110\"},\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"Test\",\"message\":\"m\"}]}}" >/dev/null
}
join() { # NODE ZONE
    printf 'apiVersion: v1\nkind: Node\nmetadata: {name: %s, labels: {kubernetes.io/hostname: %s, topology.kubernetes.io/zone: %s}}\n' "$1" "$1" "$2" | k create -f - >/dev/null
    answers "$1"
}
runs() { # POD: as the agent of its node would say
    k patch pod "$1" --subresource=status -p '{"status":{"phase":"Running","startTime":"2026-01-01T00:00:00Z","conditions":[{"type":"Ready","status":"True"}]}}' >/dev/null
}
apart='podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: redis}}}]}'
lone() { # NAME LABEL SPEC: a pod
    printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {app: %s}}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers: [{name: c, image: busybox, command: [sleep, "9999"]}]\n  %s\n' "$1" "$2" "$3"
}

# ---- a set of three that shun each other ----
k label node edge topology.kubernetes.io/zone=east >/dev/null
check 'a second node' join far east
# Who says nothing for long is lost. Ends with the server.
(while sleep 10 && answers far; do [ ! -e "$work/three" ] || answers isle; done) >/dev/null 2>&1 &
keeper=$!
cat >"$work/redis.yaml" <<Y
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis}
spec:
  replicas: 3
  serviceName: redis
  selector: {matchLabels: {app: redis}}
  template:
    metadata: {labels: {app: redis}}
    spec:
      terminationGracePeriodSeconds: 1
      affinity: {$apart}
      tolerations: [{operator: Exists, effect: NoExecute}]
      containers: [{name: c, image: busybox, command: [sleep, "9999"]}]
Y
check 'a set of three gives no warning' lacks Warning k apply -f "$work/redis.yaml"
check 'the first' within 20 placed redis-0
first=$(on redis-0)
[ "$first" = edge ] || runs redis-0
check 'the second' within 20 placed redis-1
second=$(on redis-1)
check '... is on another node' [ "$first" != "$second" ]
[ "$second" = edge ] || runs redis-1
check 'the third waits and says for whom' within 20 contains "redis-2 finds no node: each of the 2 nodes already runs a pod that it must not share a node with (redis-" message redis
check '... and how to help' contains ': add a node or make the rule preferred' message redis
check '... as does berth status' contains 'already runs a pod that it must not share a node with' page
check '... and the event, in the words of Kubernetes' contains "Warning FailedScheduling 0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules." events redis-2
check 'nobody says that rules are not looked at' lacks 'ConstraintIgnored' events redis-0
check 'a third node' join isle west
touch "$work/three"
check '... takes it' within 20 equal isle on redis-2

# ---- the other way round, wishes and company ----
lone loud redis '' | k apply -f - >/dev/null
check 'a pod that they shun waits as well' within 20 contains "3 node(s) didn't satisfy existing pods anti-affinity rules. Pods that are there must not share a node with it:" why loud
k label pod loud app=quiet --overwrite >/dev/null
check '... until it goes by another name' within 20 placed loud
lone web web 'affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: cache}}}]}}' | k apply -f - >/dev/null
check 'one that wants company waits for it' within 20 contains "3 node(s) didn't match pod affinity rules. It must share a node with a pod that has the labels app=cache." why web
lone cache cache 'nodeName: edge' | k apply -f - >/dev/null
check '... and follows it' within 20 equal edge on web
lone shy shy 'affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, podAffinityTerm: {topologyKey: topology.kubernetes.io/zone, labelSelector: {matchLabels: {app: cache}}}}]}}' |
    k apply -f - >/dev/null
check 'a wish leads to another zone' within 20 equal isle on shy

# ---- spread ----
over='topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: s}}}]'
for i in 1 2 3 4; do lone "s$i" s "$over" | k apply -f - >/dev/null; done
for i in 1 2 3 4; do check "pod $i of four" within 20 placed "s$i"; done
west() { k get pods -l app=s -o 'jsonpath={range .items[*]}{.spec.nodeName}{"\n"}{end}' | grep -c isle; }
check '... half of them are in each zone' equal 2 west
k cordon isle >/dev/null
lone s5 s "$over" | k apply -f - >/dev/null
check 'one more in the east' within 20 placed s5
lone s6 s "$over" | k apply -f - >/dev/null
check 'the next would be one too many' within 20 contains 'Pods that have the labels app=s are spread over each zone with maxSkew 1: east has 3, west has 2.' why s6
k delete pod s5 --wait=false >/dev/null
check '... until one goes' within 20 placed s6

# ---- bad input ----
tried() { lone bad bad "$1" | k create -f -; }
check 'a weight' fails 'podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 200: must be in the range 1-100' \
    tried 'affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 200, podAffinityTerm: {topologyKey: a}}]}}'
check 'no topology key' fails 'requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty' \
    tried 'affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: ""}]}}'
check 'no skew at all' fails 'topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero' \
    tried 'topologySpreadConstraints: [{maxSkew: 0, topologyKey: a, whenUnsatisfiable: DoNotSchedule}]'
check 'domains of a wish' fails 'can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway' \
    tried 'topologySpreadConstraints: [{maxSkew: 1, minDomains: 2, topologyKey: a, whenUnsatisfiable: ScheduleAnyway}]'
check 'one rule twice' fails '[0].{topologyKey, whenUnsatisfiable}: Duplicate value: "{a, ScheduleAnyway}"' \
    tried 'topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: ScheduleAnyway}, {maxSkew: 2, topologyKey: a, whenUnsatisfiable: ScheduleAnyway}]'
kill "$keeper"
finish
