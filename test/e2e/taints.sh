#!/bin/bash
# Taints: of users, of cordoned and of lost nodes; which pods go, when, what they say, and what becomes of them. The second node, far, has no agent: the
# test says what one would.
. "$(dirname "$0")/lib.sh"
E2E_IMAGES=busybox start_berth

taints() { k get node "$1" -o 'jsonpath={range .spec.taints[*]}{.key}={.value}:{.effect} {end}'; }
described() { k describe node edge | sed -n '/^Taints:/,/^Unschedulable:/p' | head -n -1 | sed 's/^Taints://; s/^ *//' | paste -sd ' '; }
deleting() { [ -n "$(k get pod "$1" -o 'jsonpath={.metadata.deletionTimestamp}')" ]; }
gone() { [ -z "$(k get pod "$1" --ignore-not-found -o name)" ]; }
told() { k get events -o 'jsonpath={range .items[?(@.reason=="TaintManagerEviction")]}{.type} {.message}{"\n"}{end}'; }
message() { k get sts "$1" -o 'jsonpath={.status.conditions[?(@.type=="Available")].message}'; }
page() { "$berth" status --data-dir "$data"; }
tolerant() { # NAME TOLERATION: a pod
    printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  terminationGracePeriodSeconds: 0\n  tolerations: [%s]\n' "$1" "$2"
    printf '  containers: [{name: c, image: busybox, command: [sleep, "9999"]}]\n'
}

# ---- what every pod and node has ----
check 'the node has no taints' within 10 equal '' taints edge
pod plain 'command: [sleep, "9999"]' >/dev/null
check 'a pod' within 20 ready plain
seconds() { k get pod plain -o 'jsonpath={range .spec.tolerations[*]}{.key} {.operator} {.effect} {.tolerationSeconds}{"\n"}{end}'; }
check 'a pod bears lost nodes for five minutes' equal 'node.kubernetes.io/not-ready Exists NoExecute 300
node.kubernetes.io/unreachable Exists NoExecute 300' seconds
check 'cordon' contains cordoned k cordon edge
check '... is a taint' within 10 equal 'node.kubernetes.io/unschedulable:NoSchedule' described
check 'uncordon' contains uncordoned k uncordon edge
check '... takes it away' within 10 equal '<none>' described

# ---- taints of users ----
{ tolerant ever '{key: gone, operator: Exists}'; echo ---; tolerant while '{key: gone, operator: Exists, effect: NoExecute, tolerationSeconds: 600}'
  cat <<Y; } | k apply -f - >/dev/null
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis}
spec:
  serviceName: redis
  selector: {matchLabels: {app: redis}}
  template:
    metadata: {labels: {app: redis}}
    spec:
      terminationGracePeriodSeconds: 2
      tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 1}]
      containers: [{name: c, image: busybox, command: [sleep, "9999"]}]
Y
check 'pods that bear a taint' within 20 ready ever
check '... for some time' within 20 ready while
check 'a set that does not' within 20 ready redis-0
was=$(k get pod redis-0 -o 'jsonpath={.metadata.uid}')
check 'NoSchedule' contains tainted k taint nodes edge gone=1:NoSchedule
check '... ends nobody' equal "$was" k get pod redis-0 -o 'jsonpath={.metadata.uid}'
check 'NoExecute' contains tainted k taint nodes edge gone=1:NoExecute
check '... is shown' equal 'gone=1:NoExecute gone=1:NoSchedule' described
check '... ends a pod' within 20 gone plain
check '... which is an event' within 10 contains 'Normal Marking for deletion Pod default/plain' told
check '... and those that bear it stay' ready ever
check '... for some time' ready while
check 'the set says what it waits for' within 20 contains 'redis-0 finds no node: 0/1 nodes are available: 1 node(s) had untolerated taint {gone: 1}; tolerations in its spec let a pod onto a node with a taint, and "kubectl taint nodes NODE gone-" takes the taint away' message redis
check 'and so does berth status' contains 'untolerated taint {gone: 1}' page
check 'the taint goes' contains untainted k taint nodes edge gone-
check '... the set is well' within 20 ready redis-0
check '... and who would have gone stays' within 10 contains 'Normal Cancelling deletion of Pod default/while' told
check '... as long as it wants' ready while
check 'PreferNoSchedule' contains tainted k taint nodes edge shy:PreferNoSchedule
pod shy 'command: [sleep, "9999"]' >/dev/null
check '... is heeded only where there is another node' within 20 ready shy
k taint nodes edge shy- >/dev/null

# ---- a lost node ----
is() { k patch node far --subresource=status -p "{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"$1\",\"reason\":\"Test\",\"message\":\"m\"}]}}"; }
runs() { # POD STATUS: as far's agent would say
    k patch pod "$1" --subresource=status -p "{\"status\":{\"phase\":\"Running\",\"startTime\":\"2026-01-01T00:00:00Z\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"$2\"}]}}"
}
k create -f - >/dev/null <<'Y'
apiVersion: v1
kind: Node
metadata: {name: far, labels: {disk: ssd}}
Y
check 'a new node takes no pods yet' equal 'node.kubernetes.io/not-ready=:NoSchedule ' taints far
k patch node far --subresource=status -p '{"status":{"allocatable":{"cpu":"4","memory":"4Gi","pods":"110"}}}' >/dev/null
check 'it is ready' contains patched is True
check '... and takes them' within 10 equal '' taints far
k patch sts redis -p '{"spec":{"template":{"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"disk","operator":"Exists"}]}]}}}}}}}' >/dev/null
k apply -f - >/dev/null <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 2
      affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: disk, operator: Exists}]}}]}}
      tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 1}]
      containers: [{name: c, image: busybox, command: [sleep, "9999"]}]
Y
on() { k get pod "$1" -o 'jsonpath={.spec.nodeName}'; }
web() { k get pods -l app=web -o 'jsonpath={range .items[*]}{.spec.nodeName} {.status.phase} {.metadata.deletionTimestamp}{"\n"}{end}'; }
check 'the set has its pod there' within 20 equal far on redis-0
check 'a Deployment as well' within 20 contains far web
web_pod=$(k get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')
runs redis-0 True >/dev/null; runs "$web_pod" True >/dev/null
check 'the node falls silent' contains patched is Unknown
check '... and is tainted' within 10 equal 'node.kubernetes.io/unreachable=:NoSchedule node.kubernetes.io/unreachable=:NoExecute ' taints far
check '... its pods are not ready' within 10 equal False k get pod redis-0 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
check '... and go after their time' within 20 deleting redis-0
check '... saying why' equal 'DeletionByTaintManager Taint manager: deleting due to NoExecute taint' \
    k get pod redis-0 -o 'jsonpath={.status.conditions[?(@.type=="DisruptionTarget")].reason} {.status.conditions[?(@.type=="DisruptionTarget")].message}'
replaced() { web | grep -q '^edge Running $'; }
check 'the Deployment has another pod elsewhere' within 20 replaced
lost='redis-0 is on node far, which does not answer: it may still run, so no other takes its place until the node is back or, once it is surely off, is deleted ("kubectl delete node far"), or the pod is, by force ("kubectl delete pod redis-0 --force")'
check 'the set has none, and says what to do' within 20 contains "$lost" message redis
check 'and so does berth status' contains 'which does not answer: it may still run' page
was=$(k get pod redis-0 -o 'jsonpath={.metadata.uid}')
check 'the node is back' contains patched is True
check '... without taints' within 10 equal '' taints far
check '... the pod still there' equal "$was" k get pod redis-0 -o 'jsonpath={.metadata.uid}'
is Unknown >/dev/null
check 'lost again' within 10 contains unreachable taints far
check 'the pod is deleted by force' contains 'force deleted' k delete pod redis-0 --force
renewed() { local now; now=$(k get pod redis-0 -o 'jsonpath={.metadata.uid}') && [ -n "$now" ] && [ "$now" != "$was" ]; }
check '... and made anew' within 20 renewed
check 'the other pod still waits for its node' deleting "$web_pod"
check 'somebody says that the node is off' contains tainted k taint nodes far node.kubernetes.io/out-of-service=nodeshutdown:NoExecute
check '... and its pods are gone' within 20 gone "$web_pod"
k delete node far >/dev/null

# ---- bad input ----
check 'kubectl knows the effects' fails 'invalid taint effect: Never' k taint nodes edge a=b:Never
refused() { k patch node edge --type=merge -p "{\"spec\":{\"taints\":[$1]}}"; }
check 'so does the server' fails 'spec.taints[0].effect: Unsupported value: "Never": supported values: "NoExecute", "NoSchedule", "PreferNoSchedule"' refused '{"key":"a","effect":"Never"}'
check 'an effect is needed' fails 'spec.taints[0].effect: Required value' refused '{"key":"a"}'
check 'a bad key' fails 'spec.taints[0].key: Invalid value: "a b": name part must consist of alphanumeric characters' refused '{"key":"a b","effect":"NoSchedule"}'
check 'a bad value' fails 'spec.taints[0].value: Invalid value: "a b":' refused '{"key":"a","value":"a b","effect":"NoSchedule"}'
check 'one twice' fails 'taints must be unique by key and effect pair' refused '{"key":"a","effect":"NoSchedule"},{"key":"a","value":"2","effect":"NoSchedule"}'
bears() { tolerant bad "$1" | k create -f -; }
check 'seconds of NoSchedule' fails "spec.tolerations[0].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when \`tolerationSeconds\` is set" bears '{key: a, operator: Exists, effect: NoSchedule, tolerationSeconds: 3}'
check 'seconds of any effect' fails "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when \`tolerationSeconds\` is set" bears '{key: a, operator: Exists, tolerationSeconds: 3}'
check 'a value of Exists' fails "value must be empty when \`operator\` is 'Exists'" bears '{key: a, operator: Exists, value: b}'
check 'no key' fails 'operator must be Exists when `key` is empty, which means "match all values and all keys"' bears '{value: b}'
check 'an unknown operator' fails 'spec.tolerations[0].operator: Unsupported value: "Like"' bears '{key: a, operator: Like, value: b}'
check 'tolerations only grow' fails 'existing toleration can not be modified except its tolerationSeconds' k patch pod ever --type=merge -p '{"spec":{"tolerations":[]}}'
finish
