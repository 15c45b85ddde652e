#!/bin/bash
# Deployments with their ReplicaSets, and DaemonSets, by kubectl: random names, all at once, rollouts within their bounds, history and undo, pause,
# a rollout that gets stuck, Recreate, adoption and release, every way to delete.
E2E_IMAGES="busybox web"
. "$(dirname "$0")/lib.sh"
start_berth

program="trap 'exit 0' TERM; touch /tmp/ready; sleep 1000 & wait"
pod_spec() { # IMAGE
    echo "{terminationGracePeriodSeconds: 1, containers: [{name: main, image: \"$1\", imagePullPolicy: IfNotPresent, command: [sh, -c, \"$program\"],
        readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}}]}"
}
cat >"$work/web.yaml" <<Y
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}, annotations: {kubernetes.io/change-cause: first}}
spec:
  replicas: 4
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 1}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: $(pod_spec web:1)
Y
cells() { "$@" | awk '{$1=$1; print}'; }                          # one blank between words
rolled_out() { contains 'successfully rolled out' k rollout status "$1" --timeout=40s; }
new_set() { k get rs -l app="$1" -o 'jsonpath={range .items[?(@.spec.replicas>0)]}{.metadata.name}{"\n"}{end}'; }
count_of_names() { names "$1" | grep -c .; }
images() { k get pods -l app="$1" -o 'jsonpath={range .items[*]}{.spec.containers[0].image}{"\n"}{end}' | sort | uniq -c | awk '{$1=$1; print}'; }
names() { k get pods -l app="$1" -o name | sort; }
count() { # N COMMAND...: that many lines
    local wanted=$1 got; shift
    got=$("$@" 2>/dev/null | grep -c .)
    [ "$got" = "$wanted" ] || { echo "$got lines, wanted $wanted"; "$@"; return 1; }
}

# ---- coming up ----
check 'apply gives no warning' lacks Warning k apply -f "$work/web.yaml"
check 'rollout status' rolled_out deploy/web
check 'the table' contains 'web 4/4 4 4' cells k get deploy web
check 'the wide table' contains 'main web:1 app=web' cells k get deploy web -o wide
check 'the table of the set' contains '4 4 4' cells k get rs -l app=web
random_names() { [ "$(names web | grep -cE '^pod/web-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$')" = 4 ]; }
check 'pods have random names under their set' random_names
check 'the event of the set' contains 'Scaled up replica set web-' k describe deploy web
check 'describe names the set' contains '4 desired | 4 updated | 4 total | 4 available | 0 unavailable' k describe deploy web
check 'wait for Available' k wait --for=condition=Available deploy/web --timeout=10s
check 'imperative' k create deployment imp --image=web:1 --replicas=3 -- sh -c "$program"
check 'imperative: rolled out' rolled_out deploy/imp
check 'expose' k expose deployment imp --port=80
check 'expose: endpoints' within 10 count 1 bash -c "'$kubectl' get endpoints imp --no-headers | grep -F ':80,'"
sed -e 's/name: web, labels: {app: web}/name: never/; s/app: web/app: never/g; s/command: \[test, -e, [^]]*\]/command: ["false"]/' "$work/web.yaml" >"$work/never.yaml"
k apply -f "$work/never.yaml" >/dev/null
check 'all at once: four although none is Ready' within 10 count 4 names never
check 'not available' contains MinimumReplicasUnavailable field deploy/never '.status.conditions[*].reason'

# ---- scaling, healing, adoption ----
check 'scale up' k scale deploy/web --replicas=6
check 'six' within 20 equal 6 field deploy/web .status.readyReplicas
check 'scale down' k scale deploy/web --replicas=4 --current-replicas=6
check 'four' within 20 count 4 names web
check 'scaling makes no revision' equal 1 field deploy/web '.metadata.annotations.deployment\.kubernetes\.io/revision'
victim=$(names web | head -1)
check 'a deleted pod' k delete "$victim" --wait=false
replaced() { count 4 names web && lacks "$victim" names web && [ "$(field deploy/web .status.readyReplicas)" = 4 ]; }
check '... is replaced by one of another name' within 20 replaced
loner=$(names web | head -1)
check 'a pod that changes its label' k label "$loner" app=loner --overwrite
check '... is let go' within 10 equal '' field "$loner" .metadata.ownerReferences
check '... and replaced' within 20 equal 4 field deploy/web .status.readyReplicas
check 'a pod that gets the label back' k label "$loner" app=web --overwrite
check '... is one too many' within 20 count 4 names web
k delete deploy never imp --wait=false >/dev/null; k delete svc imp >/dev/null

# ---- rollouts ----
# At rest: every pod there is the set's and Ready by its own word, and the status, which trails behind, says so as well.
at_rest() {
    local pods; pods=$(k get pods -l app=web -o 'jsonpath={range .items[*]}{.metadata.deletionTimestamp}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' | sort | uniq -c | tr -s ' ')
    [ "$pods" = ' 4 True' ] && equal '4 4 4' field deploy/web '.status.replicas} {.status.readyReplicas} {.status.availableReplicas'
}
check 'at rest before the roll-out' within 30 at_rest
watch_bounds() { k get deploy web -w -o 'jsonpath={.status.replicas} {.status.availableReplicas}{"\n"}' >"$work/bounds" 2>/dev/null & watcher=$!; }
within_bounds() { # LEAST MOST: every status that the watch saw
    sleep 0.2; kill "$watcher" 2>/dev/null; wait "$watcher" 2>/dev/null
    awk -v least="$1" -v most="$2" '$1 > most || $2 + 0 < least {print "out of bounds: " $0; bad=1} END {exit bad || NR < 3}' "$work/bounds"
}
first=$(new_set web)
watch_bounds
check 'set image' k set image deploy/web main=busybox
check 'rollout status follows it' rolled_out deploy/web
check 'all of the new image' within 20 equal '4 busybox' images web
check 'never fewer than 3 available nor more than 5' within_bounds 3 5
check 'the old set is kept at none' equal 0 field "rs/$first" .spec.replicas
check 'another name' lacks "$first" new_set web
history_is() { [ "$(k rollout history deploy/web | awk 'NR > 2 && NF {print $1 ":" $2}' | tr '\n' ' ')" = "$1" ] || { k rollout history deploy/web; return 1; }; }
check 'a word on why' k annotate deploy web kubernetes.io/change-cause=second --overwrite
check 'history' within 10 history_is '1:first 2:second '
check 'history of one revision' contains 'web:1' k rollout history deploy/web --revision=1
check 'undo' k rollout undo deploy/web
check 'undone' rolled_out deploy/web
check 'the first set is back' equal "$first" new_set web
check 'all of the old image' within 20 equal '4 web:1' images web
check 'its number is new' within 10 history_is '2:second 3:first '
check 'undo to a revision' k rollout undo deploy/web --to-revision=2
check 'undone again' rolled_out deploy/web
check 'the images' within 20 equal '4 busybox' images web
check 'pause' k rollout pause deploy/web
check 'a change while paused' k set env deploy/web A=1
check 'a scale while paused' k scale deploy/web --replicas=3
check '... is done' within 20 count 3 names web
check 'no set was made' count 2 k get rs -l app=web -o name
check 'resume' k rollout resume deploy/web
check 'resumed' rolled_out deploy/web
check 'a third set' count 3 k get rs -l app=web -o name
before=$(names web)
check 'restart' k rollout restart deploy/web
check 'restarted' rolled_out deploy/web
other_names() { count 3 names web && [ -z "$(comm -12 <(echo "$before") <(names web))" ]; }
check 'every pod is another' within 20 other_names
check 'a short history' k patch deploy web -p '{"spec":{"revisionHistoryLimit":1}}'
check '... drops old sets' within 20 count 2 k get rs -l app=web -o name

# ---- stuck ----
check 'a short deadline' k patch deploy web -p '{"spec":{"progressDeadlineSeconds":2}}'
check 'an image that is not there' k set image deploy/web main=absent:1
check 'rollout status says so' fails 'exceeded its progress deadline' k rollout status deploy/web --timeout=30s
check 'the condition' contains ProgressDeadlineExceeded field deploy/web '.status.conditions[?(@.type=="Progressing")].reason'
check 'the old ones serve' contains MinimumReplicasAvailable field deploy/web '.status.conditions[?(@.type=="Available")].reason'
check 'undo mends it' k rollout undo deploy/web
check 'mended' rolled_out deploy/web

# ---- bad input ----
check 'the selector stays' fails 'field is immutable' k patch deploy web --type=merge -p '{"spec":{"selector":{"matchLabels":{"app":"x"}},"template":{"metadata":{"labels":{"app":"x"}}}}}'
check 'no bounds at all' fails 'may not be 0 when `maxSurge` is 0' k patch deploy web -p '{"spec":{"strategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":0}}}}'

# ---- Recreate ----
check 'Recreate' k patch deploy web -p '{"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}}'
k get pods -l app=web -w -o 'custom-columns=N:.metadata.name,I:.spec.containers[0].image,D:.metadata.deletionTimestamp,P:.status.phase' --no-headers >"$work/recreate" 2>/dev/null & watcher=$!
check 'a change' k set image deploy/web main=web:1
check 'recreated' rolled_out deploy/web
check 'of the new image' within 20 equal '3 web:1' images web
never_both() { # once a new pod is seen, nothing is heard of an old one
    sleep 0.2; kill "$watcher" 2>/dev/null; wait "$watcher" 2>/dev/null
    awk '$2 == "web:1" {new=1} $2 == "busybox" && new {print; bad=1} END {exit bad || !new}' "$work/recreate"
}
check 'no old pod beside a new one' never_both

# ---- restart of the server ----
before=$(names web)
kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null
relaunch 'the server comes back'
sleep 1
check 'the pods are the same' equal "$before" names web

# ---- deleting ----
check 'delete and orphan' k delete deploy web --cascade=orphan
set_name=$(new_set web)
check 'the set stays, without an owner' within 10 equal '' field "rs/$set_name" .metadata.ownerReferences
check 'the pods stay' equal "$before" names web
check 'the same again' k apply -f "$work/web.yaml"
check '... adopts the set' within 10 equal web field "rs/$set_name" '.metadata.ownerReferences[0].name'
check '... and rolls out' rolled_out deploy/web
check 'delete in the foreground' k delete deploy web --cascade=foreground
check '... has waited for sets and pods' equal '' k get rs,pods -l app=web -o name
k apply -f "$work/web.yaml" >/dev/null
check 'once more' rolled_out deploy/web
check 'delete in the background' k delete deploy web
check '... takes all' within 20 equal '' k get rs,pods -o name

# ---- DaemonSets ----
cat >"$work/agent.yaml" <<Y
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, annotations: {kubernetes.io/change-cause: first}}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: $(pod_spec web:1)
Y
check 'a DaemonSet' lacks Warning k apply -f "$work/agent.yaml"
check 'rolled out' rolled_out ds/agent
check 'its table' contains 'agent 1 1 1 1 1 <none>' cells k get ds agent
check 'its pod is on the node' equal edge field "$(names agent)" .spec.nodeName
check 'describe' contains 'Pods Status:  1 Running / 0 Waiting / 0 Succeeded / 0 Failed' k describe ds agent
k annotate ds agent kubernetes.io/change-cause=second --overwrite >/dev/null
check 'set image' k set image ds/agent main=busybox
check 'updated' rolled_out ds/agent
check 'the image' within 20 equal '1 busybox' images agent
check 'history' contains 'second' k rollout history ds/agent
check 'undo' k rollout undo ds/agent
check 'undone' rolled_out ds/agent
check 'the old image' within 20 equal '1 web:1' images agent
check 'restart' k rollout restart ds/agent
check 'restarted' rolled_out ds/agent
check 'surge' k patch ds agent -p '{"spec":{"updateStrategy":{"rollingUpdate":{"maxSurge":1,"maxUnavailable":0}}}}'
before=$(names agent)
check 'surge: set image' k set image ds/agent main=busybox
check 'surge: updated' within 20 equal '1 busybox' images agent
check 'OnDelete' k patch ds agent -p '{"spec":{"updateStrategy":{"$retainKeys":["type"],"type":"OnDelete"}}}'
k set image ds/agent main=web:1 >/dev/null
stale=$(names agent)
check 'OnDelete: only when deleted' k delete "$stale"
check 'OnDelete: then new' within 20 equal '1 web:1' images agent
check 'a selector that no node fits' k patch ds agent -p '{"spec":{"updateStrategy":{"type":"RollingUpdate"},"template":{"spec":{"nodeSelector":{"disk":"ssd"}}}}}'
check '... ends the pod' within 20 equal '' names agent
check 'the node gets the label' k label node edge disk=ssd
check '... and a pod' within 20 equal 1 field ds/agent .status.numberReady
check 'a taint that ends pods' k taint node edge gone=1:NoExecute
check '... ends this one' within 20 equal '' names agent
check 'without the taint' k taint node edge gone-
check '... it comes back' within 20 equal 1 field ds/agent .status.numberReady
check 'cordoned, it is made all the same' k cordon edge
k delete "$(names agent)" >/dev/null
check '... made' within 20 equal 1 field ds/agent .status.numberReady
k uncordon edge >/dev/null
check 'delete the DaemonSet' k delete ds agent
check '... and its pod and history' within 20 equal '' k get pods,controllerrevisions -o name

# ---- ReplicationControllers ----
cat >"$work/old.yaml" <<Y
apiVersion: v1
kind: ReplicationController
metadata: {name: old}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: old}}
    spec: $(pod_spec web:1)
Y
check 'a ReplicationController' lacks Warning k apply -f "$work/old.yaml"
check 'its pods' within 20 equal 2 field rc/old .status.readyReplicas
check 'its table' contains 'old 2 2 2' cells k get rc old
check 'its wide table' contains 'main web:1 app=old' cells k get rc old -o wide
check 'all shows it' contains replicationcontroller/old k get all -o name
check 'describe' contains 'Pods Status:  2 Running / 0 Waiting / 0 Succeeded / 0 Failed' k describe rc old
check 'its events' contains 'replication-controller' k describe rc old
check 'scale it' k scale rc old --replicas=3 --current-replicas=2
check '... three' within 20 equal 3 field rc/old .status.availableReplicas
check '... one that is deleted comes back' k delete "$(names old | head -n 1)"
check '... three again' within 20 equal 3 field rc/old .status.readyReplicas
let_go=$(names old | head -n 1)
check 'a pod of other labels is let go' k label "$let_go" app=free --overwrite
check '... it has no owner' within 10 equal '' field "$let_go" .metadata.ownerReferences
check '... and a successor' within 20 equal 3 count_of_names old
check '... it is taken back' k label "$let_go" app=old --overwrite
check '... and one is too many' within 20 equal 3 field rc/old .status.replicas
check 'its selector is its own' k patch rc old -p '{"spec":{"selector":{"app":"old","tier":"x"},"template":{"metadata":{"labels":{"tier":"x"}}}}}'
check '... and makes it start anew' within 20 equal 3 field rc/old .status.readyReplicas
k delete pod -l 'app=old,!tier' >/dev/null
check 'expose it' k expose rc old --port=80
check 'drain knows it' contains evicting k drain edge --ignore-daemonsets --delete-emptydir-data --dry-run=server
check 'a delete without a word lets its pods stay' k delete --raw /api/v1/namespaces/default/replicationcontrollers/old
check '... it is gone' within 10 gone rc old
check '... they are not' equal 3 count_of_names old
check 'a new one' k create -f <(sed 's/replicas: 2/replicas: 3/; s/{app: old}/{app: old, tier: x}/' "$work/old.yaml")
check '... adopts them' within 10 equal 3 field rc/old .status.readyReplicas
check 'kubectl deletes it with its pods' k delete rc old
check '... all' within 20 equal '' names old
finish
