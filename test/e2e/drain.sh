#!/bin/bash
# Disruption budgets: their status follows the pods, evictions heed them, and so does kubectl drain.
. "$(dirname "$0")/lib.sh"
E2E_IMAGES=busybox start_berth

cat >"$work/web.yaml" <<'END'
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  replicas: 3
  serviceName: web
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: busybox, command: [sleep, "9999"]}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}
END
applied() { k apply -f "$work/web.yaml" >"$work/applied" 2>&1 && cat "$work/applied" && ! grep Warning "$work/applied"; }
evict() { k create --raw "/api/v1/namespaces/default/pods/$1/eviction" -f - <<<"{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"$1\"}}"; }
numbers() { k get pdb web -o 'jsonpath={.status.expectedPods} {.status.currentHealthy} {.status.desiredHealthy} {.status.disruptionsAllowed}'; }
row() { k get pdb web --no-headers | awk '{print $1, $2, $3, $4}'; }
uid() { k get pod "$1" -o 'jsonpath={.metadata.uid}'; }
check 'a set and its budget, without a warning' applied
check 'the budget counts the pods' within 30 equal '3 3 2 1' numbers
check 'and shows it' equal 'web N/A 1 1' row
check 'its condition says so' equal 'True SufficientPods' k get pdb web -o 'jsonpath={.status.conditions[0].status} {.status.conditions[0].reason}'
was=$(uid web-1)
check 'a pod is evicted' contains Success evict web-1
renewed() { local now; now=$(uid web-1) && [ -n "$now" ] && [ "$now" != "$was" ]; }
check 'and made anew' within 20 renewed
check 'then the budget is whole again' within 20 equal '3 3 2 1' numbers
check 'no pod may be missing' contains patched k patch pdb web --type=merge -p '{"spec":{"maxUnavailable":0}}'
check 'the budget follows' within 10 equal '3 3 3 0' numbers
was=$(uid web-1)
check 'an eviction is refused' fails "Cannot evict pod as it would violate the pod's disruption budget" evict web-1
check 'kubectl drain waits in vain' fails 'Cannot evict pod' k drain edge --ignore-daemonsets --delete-emptydir-data --timeout=2s
check 'all pods are still there' equal "$was" uid web-1
check 'the node takes pods again' contains uncordoned k uncordon edge
check 'half of them may' contains patched k patch pdb web --type=merge -p '{"spec":{"maxUnavailable":null,"minAvailable":"50%"}}'
check 'which is two' within 10 equal '3 3 2 1' numbers
check 'the wanted number is that of the set' contains scaled k scale sts web --replicas=1
check 'which is one' within 20 equal '1 1 1 0' numbers
check 'nothing protects the pod any more' contains deleted k delete pdb web
check 'so the node drains' k drain edge --ignore-daemonsets --delete-emptydir-data --timeout=30s
waits() { [ "$(k get pod web-0 -o 'jsonpath={.status.phase} {.spec.nodeName}')" = 'Pending ' ]; }
check 'the pod waits for a node' within 20 waits
check 'and gets it back' contains uncordoned k uncordon edge
check 'runs' within 20 pods_ready app=web 1
finish
