#!/bin/bash
# The tutorial's PostgreSQL set, line by line, with stock kubectl: names, disks and order, updates in every way, scaling, deleting in each way,
# and what kubectl describe says when a pod waits.
E2E_IMAGES="busybox postgres"
export E2E_TIMEOUT_S=${E2E_TIMEOUT_S:-480}
. "$(dirname "$0")/lib.sh"
start_berth

cat >"$work/postgres.yaml" <<'Y'
apiVersion: v1
kind: Service
metadata: {name: postgres-headless, labels: {app: postgres}}
spec:
  clusterIP: None
  selector: {app: postgres}
  ports:
  - port: 5432
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: postgres}
spec:
  serviceName: postgres-headless
  replicas: 3
  selector: {matchLabels: {app: postgres}}
  template:
    metadata: {labels: {app: postgres}}
    spec:
      containers:
      - name: postgres
        image: postgres:15
        ports:
        - containerPort: 5432
        env:
        - name: POSTGRES_PASSWORD
          valueFrom: {secretKeyRef: {name: postgres-secret, key: password}}
        - {name: PGDATA, value: /var/lib/postgresql/data/pgdata}
        readinessProbe: {exec: {command: [pg_isready, -U, postgres]}, periodSeconds: 2}
        livenessProbe: {exec: {command: [pg_isready, -U, postgres]}, initialDelaySeconds: 30, periodSeconds: 10, failureThreshold: 6}
        volumeMounts:
        - {name: data, mountPath: /var/lib/postgresql/data}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
      resources: {requests: {storage: 10Gi}}
Y
app=app=postgres
sql() { k exec "$1" -- psql -U postgres -XAtq -c "$2"; }
of() { k get "$@" -o 'jsonpath={range .items[*]}{.metadata.name}={.metadata.uid} {end}'; }
names() { k get pods -l "${1:-$app}" -o 'jsonpath={.items[*].metadata.name}'; }
uid() { k get pod "$1" -o 'jsonpath={.metadata.uid}'; }
settled() { # COUNT: all there, Ready and at the newest revision
    [ "$(k get sts postgres -o 'jsonpath={.status.replicas} {.status.readyReplicas} {.status.updatedReplicas} {.status.observedGeneration}')" = "$1 $1 $1 $(k get sts postgres -o 'jsonpath={.metadata.generation}')" ] && pods_ready $app "$1"
}
watch() { # FILE: records pods' names, readiness and end until unwatch
    k get pods -w -o 'jsonpath={.metadata.name}{" "}{.status.conditions[?(@.type=="Ready")].status}{" "}{.metadata.deletionTimestamp}{"\n"}' >"$1" 2>/dev/null & watch_pid=$!
    sleep 0.5
}
unwatch() { kill "$watch_pid"; wait "$watch_pid"; } 2>/dev/null
starts() { awk '!seen[$1]++ {print "exists", $1} $2=="True" && !ready[$1]++ {print "ready", $1}' "$work/watch" | tr '\n' ' '; }
ends() { awk '$NF ~ /Z$/ && !seen[$1]++ {printf "%s ", $1}' "$work/$1"; }

# ---- create ----
watch "$work/watch"
check 'the set is applied before its secret' contains 'statefulset.apps/postgres created' k apply -f "$work/postgres.yaml"
check 'describe says which secret is missing' within 10 contains 'secret "postgres-secret" not found' k describe pod postgres-0
check 'so does describe of the set' within 10 contains 'secret "postgres-secret" not found' k describe sts postgres
check 'the secret' contains 'secret/postgres-secret created' k create secret generic postgres-secret --from-literal=password=anchor
check 'three are Ready' within 60 settled 3
check 'in order, each Ready before the next exists' equal 'exists postgres-0 ready postgres-0 exists postgres-1 ready postgres-1 exists postgres-2 ready postgres-2 ' starts
unwatch
check 'claims are Bound, 10Gi, one writer' equal 'data-postgres-0 Bound 10Gi ReadWriteOnce;data-postgres-1 Bound 10Gi ReadWriteOnce;data-postgres-2 Bound 10Gi ReadWriteOnce;' \
    k get pvc -l $app -o 'jsonpath={range .items[*]}{.metadata.name} {.status.phase} {.status.capacity.storage} {.status.accessModes[0]};{end}'
check 'get pvc shows it' contains RWO k get pvc data-postgres-0
check 'describe pvc names its pod' contains 'Used By:       postgres-0' k describe pvc data-postgres-0
check 'the password is wanted over the network' fails 'no password supplied' k exec postgres-1 -- psql -w -h postgres-0.postgres-headless -U postgres -c 'select 1'
check 'and the right one is taken' equal 1 k exec postgres-1 -- env PGPASSWORD=anchor psql -h postgres-0.postgres-headless -U postgres -XAtc 'select 1'
check 'logs show the server' contains 'ready to accept connections' k logs postgres-0

# ---- names and disks ----
address() { k get pod "$1" -o 'jsonpath={.status.podIP}'; }
check 'a throw-away pod resolves the name' contains "$(address postgres-0)" k run debug --rm -i --restart=Never --image=busybox --image-pull-policy=IfNotPresent -- nslookup postgres-0.postgres-headless
check 'also the full one' contains "$(address postgres-2)" k exec postgres-1 -- nslookup postgres-2.postgres-headless.default.svc.cluster.local
check 'the hostname is the name' equal postgres-1 k exec postgres-1 -- hostname
for i in 0 1 2; do check "a table on postgres-$i" sql postgres-$i "create table crew as select 'postgres-$i' as name"; done
keeps() { local i; for i in ${1:-0 1 2}; do equal "postgres-$i" sql postgres-$i 'select name from crew' || return 1; done; }
claims=$(of pvc -l $app)
for i in 1 0; do
    before=$(uid postgres-$i)
    check "postgres-$i is deleted" contains deleted k delete pod postgres-$i
    anew() { [ "$(uid postgres-$i)" != "$before" ] && settled 3; }
    check 'it comes back' within 40 anew
    check 'its name leads to its new address' within 5 contains "$(address postgres-$i)" k exec postgres-2 -- nslookup postgres-$i.postgres-headless.default.svc.cluster.local
done
check 'the data is there' keeps
pods=$(of pods)
kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null
relaunch 'the server is killed and started again'
check 'all are Ready' within 40 settled 3
check 'the same pods' equal "$pods" of pods
"$berth" stop --data-dir "$data" >/dev/null 2>&1; wait "$server_pid" 2>/dev/null
relaunch 'everything is stopped and started again, as by a reboot'
check 'all are Ready' within 60 settled 3
check 'the claims are the same' equal "$claims" of pvc -l $app
check 'the data is there' keeps

# ---- updates ----
env_of() { local i; for i in 0 1 2; do k get pod postgres-$i -o 'jsonpath={.spec.containers[0].env[?(@.name=="SAIL")].value}{" "}'; done; }
watch "$work/roll"
check 'a change of the template' contains updated k set env sts/postgres SAIL=one
check 'rollout status comes to the end' contains 'complete' k rollout status sts/postgres --timeout=60s
check 'all are Ready' within 40 settled 3
unwatch
check 'in reverse order' equal 'postgres-2 postgres-1 postgres-0 ' ends roll
one_by_one() { awk '$2=="True" && $NF !~ /Z$/ {down[$1]=0} $NF ~ /Z$/ {down[$1]=1; n=0; for (p in down) n+=down[p]; if (n>1) print "two are down:", $0}' "$work/roll"; }
check 'one at a time, each Ready first' equal '' one_by_one
partition() { k patch sts postgres -p "{\"spec\":{\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":$1}}}}"; }
has() { equal "$1" env_of && pods_ready $app 3; }
check 'partition 2' contains patched partition 2
check 'a change' contains updated k set env sts/postgres SAIL=two
check 'changes postgres-2 only' within 40 has 'one one two '
check 'partition 1' contains patched partition 1
check 'changes postgres-1' within 40 has 'one two two '
before=$(uid postgres-0)
k delete pod postgres-0 >/dev/null
anew0() { [ "$(uid postgres-0)" != "$before" ] && has 'one two two '; }
check 'below the partition a pod is made anew as it was' within 40 anew0
check 'partition 0' contains patched partition 0
check 'changes postgres-0' within 40 has 'two two two '
check 'rollout history has the revisions' contains REVISION k rollout history sts/postgres
check 'undo' contains 'rolled back' k rollout undo sts/postgres
check 'goes back' within 60 has 'one one one '
check 'OnDelete' contains patched k patch sts postgres -p '{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null}}}'
check 'a change' contains updated k set env sts/postgres SAIL=three
observed() { [ "$(k get sts postgres -o 'jsonpath={.status.observedGeneration}')" = "$(k get sts postgres -o 'jsonpath={.metadata.generation}')" ]; }
check 'is seen' within 10 observed
check 'and changes nothing' has 'one one one '
check 'until a pod is deleted' contains deleted k delete pod postgres-1
check 'which then has it' within 40 has 'one three one '
check 'back to rolling updates' contains patched k patch sts postgres -p '{"spec":{"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":0}}}}'
check 'which finish it' within 60 has 'three three three '
check 'the data is there' keeps

# ---- scale and delete ----
check 'scale to 5' contains scaled k scale sts postgres --replicas=5
check 'five are Ready' within 60 settled 5
for i in 3 4; do check "a table on postgres-$i" sql postgres-$i "create table crew as select 'postgres-$i' as name"; done
watch "$work/down"
check 'scale to 2' contains scaled k scale sts postgres --replicas=2
check 'two are left' within 60 settled 2
unwatch
check 'the last went first' equal 'postgres-4 postgres-3 postgres-2 ' ends down
five() { equal 'data-postgres-0 data-postgres-1 data-postgres-2 data-postgres-3 data-postgres-4' k get pvc -l $app -o 'jsonpath={.items[*].metadata.name}'; }
check 'five claims are kept' five
check 'scale to 5 again' contains scaled k scale sts postgres --replicas=5
check 'five are Ready again' within 60 settled 5
check 'each with its data' keeps '0 1 2 3 4'
check 'scale to 3' contains scaled k scale sts postgres --replicas=3
check 'three are left' within 60 settled 3
pods=$(of pods)
check 'delete, orphaning' contains deleted k delete sts postgres --cascade=orphan
check 'the pods go on' equal "$pods" of pods
check 'applied again' contains created k apply -f "$work/postgres.yaml"
adopted() { [ "$(k get pods -l $app -o 'jsonpath={.items[*].metadata.ownerReferences[0].uid}' | tr ' ' '\n' | sort -u)" = "$(k get sts postgres -o 'jsonpath={.metadata.uid}')" ]; }
check 'they are adopted' within 20 adopted
check 'all are Ready' within 60 settled 3
check 'delete in the foreground' contains deleted k delete sts postgres --cascade=foreground
check 'the pods went with it' equal '' names
check 'applied again' contains created k apply -f "$work/postgres.yaml"
check 'all are Ready' within 60 settled 3
check 'the data is there' keeps
check 'delete' contains deleted k delete sts postgres
check 'the pods go' within 40 equal '' names
check 'the claims stay' five
k create service clusterip postgres-primary --tcp=5432 >/dev/null
k create service clusterip postgres-replicas --tcp=5432 >/dev/null
k create configmap postgres-config --from-literal=a=b >/dev/null
check 'delete the claims by label' contains '"data-postgres-4" deleted' k delete pvc -l $app
check 'none is left' equal '' k get pvc -o name
check 'delete three services' contains '"postgres-replicas" deleted' k delete svc postgres-headless postgres-primary postgres-replicas
check 'delete the configmap' contains deleted k delete configmap postgres-config
check 'delete the secret' contains deleted k delete secret postgres-secret

# ---- order, with programs that start at once ----
plain() { # NAME POLICY CONTAINER-MORE SPEC-MORE CLAIM-MORE SIZE
    cat <<Y
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: $1}
spec:
  serviceName: $1
  replicas: 3
  podManagementPolicy: $2
  selector: {matchLabels: {app: $1}}
  template:
    metadata: {labels: {app: $1}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "trap 'exit 0' TERM; sleep 3600 & wait"], volumeMounts: [{name: data, mountPath: /data}]${3:-}}
      ${4:-}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: ${6:-16Mi}}}${5:-}}
Y
}
probe=', readinessProbe: {exec: {command: [test, -e, /data/ready]}, periodSeconds: 1, failureThreshold: 1}'
plain web OrderedReady "$probe" | k apply -f - >/dev/null
running() { [ "$(k get pod "$1" -o 'jsonpath={.status.phase}')" = Running ]; }
check 'web-0 runs' within 20 running web-0
sleep 1
check 'unready, it keeps web-1 from starting' equal web-0 names app=web
check 'describe of the pod says why' within 10 contains 'Readiness probe failed' k describe pod web-0
check 'and describe of the set' within 10 contains 'web-0 is not Ready: readiness probe' k describe sts web
for i in 0 1 2; do check "web-$i is made ready" within 20 k exec web-$i -- touch /data/ready; done
check 'three are Ready' within 20 pods_ready app=web 3
k exec web-0 -- rm /data/ready
check 'web-0 is not Ready' within 10 pods_ready app=web 2
k scale sts web --replicas=1 >/dev/null
sleep 1
check 'that keeps web-2 from going' equal 'web-0 web-1 web-2' names app=web
k exec web-0 -- touch /data/ready
check 'until it is Ready again' within 20 equal web-0 names app=web
k delete sts web >/dev/null
check 'a set that does not wait' contains created bash -c "$(declare -f plain); plain fleet Parallel '$probe' | '$kubectl' apply -f -"
check 'starts all at once, none Ready' within 20 equal 'fleet-0 fleet-1 fleet-2' names app=fleet
k scale sts fleet --replicas=0 >/dev/null
check 'and ends all' within 20 equal '' names app=fleet
k delete sts fleet >/dev/null

# ---- what waits, and why ----
waits() { # NAME WORDS-OF-POD WORDS-OF-CLAIM WORDS-OF-SET
    check "$1: describe pod" within 15 contains "$2" k describe pod "$1-0"
    check "$1: describe pvc" within 15 contains "$3" k describe pvc "data-$1-0"
    check "$1: describe sts" within 15 contains "$4" k describe sts "$1"
}
plain typo OrderedReady '' '' ', storageClassName: lokal' | k apply -f - >/dev/null
plain bare OrderedReady '' '' ', storageClassName: ""' | k apply -f - >/dev/null
plain huge OrderedReady '' '' '' 5000Ti | k apply -f - >/dev/null
plain init OrderedReady '' 'initContainers: [{name: prepare, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "echo the tide is out; exit 3"]}]' | k apply -f - >/dev/null
plain mount OrderedReady '' 'volumes: [{name: conf, configMap: {name: chart}}]' | k apply -f - >/dev/null
plain key OrderedReady ', env: [{name: A, valueFrom: {secretKeyRef: {name: codes, key: gate}}}]' | k apply -f - >/dev/null
waits typo 'data-typo-0: StorageClass "lokal" does not exist' 'storageclass.storage.k8s.io "lokal" not found' 'StorageClass "lokal" does not exist'
waits bare 'data-bare-0: no free volume fits' 'no persistent volumes available' 'no free volume fits'
waits huge 'ask for less' 'ask for less' 'ask for less'
waits init 'Back-off restarting failed container prepare' 'Used By:       init-0' 'container prepare exited with code 3'
waits mount 'configmap "chart" not found' 'Used By:       mount-0' 'configmap "chart" not found'
waits key 'secret "codes" not found' 'Used By:       key-0' 'secret "codes" not found'
check 'logs -c shows the words of an init container' contains 'the tide is out' k logs init-0 -c prepare
check 'also of the one before' within 20 contains 'the tide is out' k logs init-0 -c prepare --previous
check 'get pods tells them apart' contains 'Init:' k get pods
check 'berth status says what waits' contains 'StorageClass "lokal" does not exist' "$berth" status --data-dir "$data"
k create configmap chart --from-literal=a=b >/dev/null
check 'what was missing is made: it goes on' within 30 running mount-0
k create secret generic codes --from-literal=gate=7 >/dev/null
check 'the secret too' within 30 running key-0
k delete sts --all >/dev/null
k delete pvc --all >/dev/null
no_pods() { [ -z "$(k get pods -o name)" ]; }
check 'all go' within 30 no_pods
finish
