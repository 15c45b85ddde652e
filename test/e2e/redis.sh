#!/bin/bash
# The tutorial's Redis set, line by line, with stock kubectl: order, names in DNS, own disks, scaling, rolling, deleting in each way.
. "$(dirname "$0")/lib.sh"
start_berth

# A recorder of the pods' life, for the order.
k get pods -w -o 'jsonpath={.metadata.name}{" "}{.status.phase}{" "}{.status.conditions[?(@.type=="Ready")].status}{" "}{.metadata.deletionTimestamp}{"\n"}' >"$work/watch" 2>/dev/null &
watch_pid=$!

check 'apply creates' contains 'statefulset.apps/redis created' k apply -f "$top/examples/redis.yaml"
check 'three pods become Ready' within 30 pods_ready app=redis 3
# kubectl says "configured" for a set with claim templates, here as with any Kubernetes: the server fills in defaults within that atomic
# list, so kubectl sends a patch every time. What must hold is that nothing changes by it.
versions() { k get sts,svc,pods -o 'jsonpath={range .items[*]}{.metadata.name} {.metadata.generation} {.metadata.resourceVersion}{"\n"}{end}'; }
before_again=$(versions)
check 'apply again' contains 'service/redis unchanged' k apply -f "$top/examples/redis.yaml"
check 'apply again changes nothing' equal "$before_again" versions
order() { # the first Ready of each comes before the next exists
    awk '!seen[$1]++ {print "exists", $1} $3=="True" && !ready[$1]++ {print "ready", $1}' "$work/watch" | head -6 | tr '\n' ' '
}
check 'redis-0 is Ready before redis-1 exists, and so on' equal 'exists redis-0 ready redis-0 exists redis-1 ready redis-1 exists redis-2 ready redis-2 ' order
check 'claims are Bound' equal 'Bound Bound Bound' k get pvc -l app=redis -o 'jsonpath={.items[*].status.phase}'
check 'the set says 3/3' contains '3/3' k get sts redis

ip0=$(k get pod redis-0 -o 'jsonpath={.status.podIP}')
check 'redis-0.redis resolves in a throw-away pod' contains "$ip0" k run debug --rm -i --restart=Never --image=busybox --image-pull-policy=IfNotPresent -- nslookup redis-0.redis
check 'the full name resolves from every pod' contains "$ip0" k exec redis-2 -- nslookup redis-0.redis.default.svc.cluster.local
all_addresses() { local i; for i in 0 1 2; do contains "$(k get pod redis-$i -o 'jsonpath={.status.podIP}')" k exec redis-1 -- nslookup redis.default.svc.cluster.local || return 1; done; }
check 'the bare service name returns every ready pod' all_addresses
check 'hostname is the pod name' equal redis-1 k exec redis-1 -- hostname
check 'pods reach each other by name' equal PONG k exec redis-2 -- redis-cli -h redis-0.redis ping
kill $watch_pid 2>/dev/null

check 'the durable set is applied' contains configured k apply -f "$top/examples/redis-durable.yaml"
rolled() { [ "$(k get sts redis -o 'jsonpath={.status.currentRevision}')" = "$(k get sts redis -o 'jsonpath={.status.updateRevision}')" ] && [ "$(k get sts redis -o 'jsonpath={.status.updatedReplicas}')" = 3 ] && pods_ready app=redis 3; }
check 'rollout status waits for the end' k rollout status sts/redis --timeout=60s
check 'all are updated and Ready' within 30 rolled
check 'a value is written' equal OK k exec redis-1 -- redis-cli set ship berth
uid1=$(k get pod redis-1 -o 'jsonpath={.metadata.uid}')
check 'delete pod redis-1' contains deleted k delete pod redis-1
back() { [ "$(k get pod redis-1 -o 'jsonpath={.metadata.uid}')" != "$uid1" ] && pods_ready app=redis 3; }
check 'it comes back with another uid' within 30 back
check 'with the same claim' equal data-redis-1 k get pod redis-1 -o 'jsonpath={.spec.volumes[?(@.name=="data")].persistentVolumeClaim.claimName}'
check 'and the value' equal berth k exec redis-1 -- redis-cli get ship

check 'scale to 5' contains scaled k scale sts redis --replicas=5
check 'five are Ready' within 30 pods_ready app=redis 5
check 'a value on redis-4' equal OK k exec redis-4 -- redis-cli set deck four
k get pods -w -o 'jsonpath={.metadata.name}{" "}{.metadata.deletionTimestamp}{"\n"}' >"$work/down" 2>/dev/null & watch_pid=$!
sleep 0.3
check 'scale to 2' contains scaled k scale sts redis --replicas=2
only_two() { [ "$(k get pods -l app=redis --no-headers | wc -l)" = 2 ]; }
check 'two are left' within 30 only_two
kill $watch_pid 2>/dev/null
down_order() { awk 'NF==2 && !seen[$1]++ {printf "%s ", $1}' "$work/down"; }
check 'removed 4, 3, 2 in that order' equal 'redis-4 redis-3 redis-2 ' down_order
check 'five claims are kept' equal 5 bash -c "'$kubectl' get pvc -l app=redis --no-headers | wc -l"
check 'scale up again' contains scaled k scale sts redis --replicas=5
check 'five are Ready again' within 30 pods_ready app=redis 5
check 'redis-4 finds its data' equal four k exec redis-4 -- redis-cli get deck
check 'back to three' contains scaled k scale sts redis --replicas=3
three() { [ "$(k get pods -l app=redis --no-headers | wc -l)" = 3 ]; }
check 'three are left' within 30 three

k get pods -w -o 'jsonpath={.metadata.name}{" "}{.metadata.uid}{" "}{.status.conditions[?(@.type=="Ready")].status}{" "}{.metadata.deletionTimestamp}{"\n"}' >"$work/roll" 2>/dev/null & watch_pid=$!
sleep 0.3
check 'an environment variable changes' contains 'env updated' k set env sts/redis SAIL=up
check 'it rolls out' within 40 rolled
kill $watch_pid 2>/dev/null
roll_order() { awk '$NF ~ /Z$/ && !seen[$1]++ {printf "%s ", $1}' "$work/roll"; }
check 'rolled 2, 1, 0' equal 'redis-2 redis-1 redis-0 ' roll_order
check 'the variable is there' equal up k exec redis-0 -- sh -c 'echo $SAIL'

check 'delete the set, orphaning' contains deleted k delete sts redis --cascade="$([ "$KUBECTL_VERSION" = 1.20 ] && echo orphan || echo orphan)"
check 'the pods go on' equal 3 ready_count app=redis
uids=$(k get pods -l app=redis -o 'jsonpath={.items[*].metadata.uid}')
check 're-apply adopts' contains created k apply -f "$top/examples/redis-durable.yaml"
adopted() { [ "$(k get pod redis-0 -o 'jsonpath={.metadata.ownerReferences[0].uid}')" = "$(k get sts redis -o 'jsonpath={.metadata.uid}')" ]; }
check 'the pods are adopted' within 20 adopted
check 'delete the set in the foreground' contains deleted k delete sts redis --cascade=foreground
no_pods() { [ -z "$(k get pods -l app=redis -o name)" ]; }
check 'its pods are gone with it' no_pods
check 'three and more claims are kept' equal 5 bash -c "'$kubectl' get pvc -l app=redis --no-headers | wc -l"
check 'apply once more' contains created k apply -f "$top/examples/redis-durable.yaml"
check 'three are Ready once more' within 30 pods_ready app=redis 3
check 'the value is still there' equal berth k exec redis-1 -- redis-cli get ship
check 'delete the set in the background' contains deleted k delete sts redis
check 'its pods go' within 30 no_pods
check 'delete the claims by label' contains deleted k delete pvc -l app=redis
no_volumes() { [ -z "$(k get pv -o name)" ] && [ -z "$(ls "$data/volumes" 2>/dev/null)" ]; }
check 'their volumes go too' within 20 no_volumes
check 'delete the service' contains deleted k delete svc redis
finish
