#!/bin/bash
# Every verb of stock kubectl that kubectl.sh does not show, with the flags people use: what is created by each generator, what is changed by each command,
# each form of output, and what is refused. KUBECTL_VERSION chooses one version.
versions=${KUBECTL_VERSION:-1.20 1.32 1.36}
E2E_TIMEOUT_S=${E2E_TIMEOUT_S:-420}
. "$(dirname "$0")/lib.sh"
E2E_IMAGES='busybox web' start_berth

newer() { [ "$v" != 1.20 ]; }
is() { within 30 equal "$@" >"$work/is" || { cat "$work/is"; return 1; }; } # WANTED COMMAND...: becomes exactly that
pipe() { local text=$1; shift; printf '%s\n' "$text" | k "$@"; } # TEXT kubectl's ARGUMENTS: TEXT is its standard input

manifests() {
    cat >"$work/all.yaml" <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: one, labels: {set: pruned}}
data: {a: "1"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: two, labels: {set: pruned}}
data: {b: "2"}
Y
    sed -n '1,4p' "$work/all.yaml" | sed 's/a: "1"/a: "9"/' >"$work/one.yaml"
    cat >"$work/deploy.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: front}
spec:
  replicas: 2
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: web, image: "web:1", command: [sh, -c, "trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait"]}
Y
    printf 'COLOUR=blue\nSIZE=3\n' >"$work/vars.env"
    mkdir -p "$work/dir"; echo first >"$work/dir/first.txt"; echo second >"$work/dir/second.txt"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/tls.key" -out "$work/tls.crt" -subj /CN=a.example -days 2 2>/dev/null
}

generators() {
    local c="created"
    check "$v create quota" contains $c k create quota q --hard=pods=20,limits.cpu=4
    check "$v its rows" contains 'pods: ' k get quota q
    check "$v create serviceaccount" contains $c k create serviceaccount robot
    check "$v create secret generic --from-file --type" contains $c k create secret generic files --from-file="$work/dir" --type=example.com/files
    check "$v its keys and type" equal 'first.txt second.txt example.com/files' k get secret files -o 'go-template={{range $k, $_ := .data}}{{$k}} {{end}}{{.type}}'
    check "$v create secret docker-registry" contains $c k create secret docker-registry pull --docker-server=r.example --docker-username=u --docker-password=p
    check "$v its type" equal kubernetes.io/dockerconfigjson field secret/pull .type
    check "$v create secret tls" contains $c k create secret tls pair --cert="$work/tls.crt" --key="$work/tls.key"
    check "$v create secret tls of a wrong key" fails '' k create secret tls bad --cert="$work/tls.crt" --key="$work/vars.env"
    check "$v create configmap --from-env-file" contains $c k create configmap env --from-env-file="$work/vars.env"
    check "$v create configmap --from-file=NAME=" contains $c k create configmap files --from-file=named="$work/dir/first.txt"
    check "$v what they hold" equal 'blue3first' bash -c "'$kubectl' get cm env -o 'jsonpath={.data.COLOUR}{.data.SIZE}'; '$kubectl' get cm files -o 'jsonpath={.data.named}'"
    check "$v create service clusterip" contains $c k create service clusterip plain --tcp=80:8080
    check "$v create service clusterip, headless" contains $c k create service clusterip headless --clusterip=None
    check "$v create service nodeport" contains $c k create service nodeport open --tcp=80:8080 --node-port=30777
    check "$v create service externalname" contains $c k create service externalname other --external-name=db.example
    check "$v create service loadbalancer" contains $c k create service loadbalancer balanced --tcp=80
    check "$v their types" equal 'LoadBalancer ClusterIP NodePort ExternalName ClusterIP' field service '.items[*].spec.type'
    check "$v create deployment" contains $c k create deployment made --image=web:1 --replicas=0 --port=8080
    check "$v create job" contains $c k create job j --image=web:1 -- true
    if newer; then
        check "$v create cronjob" contains $c k create cronjob cj --image=web:1 --schedule='*/5 * * * *' -- true
        check "$v create poddisruptionbudget" contains $c k create pdb budget --selector=app=none --min-available=1
    else # asks for versions that Kubernetes itself has not served since 1.25
        check "$v create cronjob: not in batch/v1beta1" fails 'could not find the requested resource' k create cronjob cj --image=web:1 --schedule='*/5 * * * *' -- true
        check "$v create poddisruptionbudget: not in policy/v1beta1" fails 'no matches for kind' k create pdb budget --selector=app=none --min-available=1
        check "$v both as manifests" contains 'cronjob.batch/cj created' pipe '# not JSON
{apiVersion: batch/v1, kind: CronJob, metadata: {name: cj}, spec: {schedule: "*/5 * * * *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: budget}, spec: {minAvailable: 1, selector: {matchLabels: {app: none}}}}' create -f -
    fi
    if newer; then
        check "$v create job --from" contains $c k create job j2 --from=cronjob/cj
        check "$v the job is the cron job's" equal CronJob field job/j2 '.metadata.ownerReferences[0].kind'
    fi
    check "$v create ingress" contains $c k create ingress in --class=none --rule='a.example/path*=plain:80,tls=pair'
    check "$v create role" contains $c k create role reader --verb=get,list --resource=pods,statefulsets.apps
    check "$v create rolebinding" contains $c k create rolebinding rb --role=reader --serviceaccount="$ns:robot"
    check "$v create clusterrole" contains $c k create clusterrole "cr$ns" --verb=get --non-resource-url=/metrics
    check "$v create clusterrole --aggregation-rule" contains $c k create clusterrole "ag$ns" --aggregation-rule=a=b
    check "$v create clusterrolebinding" contains $c k create clusterrolebinding "crb$ns" --clusterrole="cr$ns" --user=jane
    check "$v create priorityclass" contains $c k create priorityclass "pc$ns" --value=100 --description=some
    check "$v create --dry-run=client" contains 'kind: Deployment' k create deployment dry --image=i --dry-run=client -o yaml
    check "$v create --dry-run=server" contains 'dry run' k create configmap dry --dry-run=server
    check "$v and nothing is there" fails 'not found' k get cm dry
    check "$v create --save-config" contains last-applied bash -c "'$kubectl' create cm saved --save-config -o yaml"
    check "$v create --raw" contains raw-made pipe '{"metadata":{"name":"raw-made"}}' create --raw "/api/v1/namespaces/$ns/configmaps" -f -
    check "$v create --edit" contains 'edited' env KUBE_EDITOR="sed -i s/9/edited/" "$kubectl" create -f "$work/one.yaml" --edit -o yaml
    local more=; newer && more=,cronjob,pdb # which 1.20 describes in the versions above
    check "$v describe of all that was made" k describe quota,sa,secret,cm,svc,deploy,job,ing,role,rolebinding$more
    if newer; then
        check "$v create token" contains eyJ k create token robot
        check "$v auth whoami" contains system:masters k auth whoami
        check "$v auth whoami names the certificate" contains "[X509SHA256=$(k config view --raw -o 'jsonpath={.users[0].user.client-certificate-data}' | base64 -d | openssl x509 -outform der | sha256sum | cut -c1-64)]" k auth whoami
        check "$v auth reconcile" contains reconciled pipe '{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"reader","namespace":"'"$ns"'"},"rules":[{"verbs":["watch"],"apiGroups":[""],"resources":["pods"]}]}' auth reconcile -f -
    fi
    check "$v delete of many kinds" contains deleted k delete quota,secret,cm,deploy,job,cronjob,ing,role,rolebinding,pdb --all
    check "$v delete of what belongs to the cluster" contains deleted k delete clusterrole/cr$ns clusterrole/ag$ns clusterrolebinding/crb$ns priorityclass/pc$ns
    check "$v delete services by name" contains deleted k delete svc plain headless open other balanced
}

applying() {
    check "$v apply of two" contains 'configmap/two created' k apply -f "$work/all.yaml"
    local kinds=; newer || kinds=--prune-whitelist=core/v1/ConfigMap # its own list has kinds that Kubernetes no longer serves
    check "$v apply --prune -l: the one that is missing goes" contains 'configmap/two pruned' k apply -f "$work/one.yaml" --prune -l set=pruned $kinds
    check "$v it is gone" fails 'not found' k get cm two
    check "$v apply view-last-applied" contains 'a: "9"' k apply view-last-applied cm/one
    check "$v apply set-last-applied" contains configured k apply set-last-applied -f "$work/one.yaml"
    check "$v apply edit-last-applied" contains edited env KUBE_EDITOR='sed -i s/9/8/' "$kubectl" apply edit-last-applied cm/one
    check "$v apply -k" contains 'configmap/kust created' bash -c "mkdir -p '$work/kust'; printf 'resources: [cm.yaml]\nnamePrefix: ku\n' >'$work/kust/kustomization.yaml'; printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: st}\n' >'$work/kust/cm.yaml'; '$kubectl' apply -k '$work/kust'"
    check "$v kustomize" contains 'name: kust' k kustomize "$work/kust"
    check "$v apply of a directory" contains 'configmap/one configured' k apply -R -f "$work/kust/cm.yaml" -f "$work/one.yaml"
    check "$v apply --server-side" contains serverside-applied k apply --server-side --field-manager=me -f "$work/deploy.yaml"
    check "$v apply --server-side by another: conflict" fails 'conflict' bash -c "sed 's/replicas: 2/replicas: 3/' '$work/deploy.yaml' | '$kubectl' apply --server-side --field-manager=you -f -"
    check "$v apply --server-side --force-conflicts" contains serverside-applied bash -c "sed 's/replicas: 2/replicas: 3/' '$work/deploy.yaml' | '$kubectl' apply --server-side --field-manager=you --force-conflicts -f -"
    check "$v diff --server-side" fails 'replicas: 2' k diff --server-side --force-conflicts -f "$work/deploy.yaml"
    check "$v diff without a difference" bash -c "'$kubectl' get deploy front -o yaml >'$work/now.yaml' && '$kubectl' diff -f '$work/now.yaml'"
    check "$v apply --force on what cannot change" contains front bash -c "sed 's/app: front/app: back/g; s/replicas: 2/replicas: 1/' '$work/deploy.yaml' | '$kubectl' apply --force -f -"
    check "$v replace --force" contains replaced k replace --force -f "$work/deploy.yaml" --grace-period=1
    check "$v rollout status of the deployment" contains 'successfully rolled out' k rollout status deploy/front --timeout=60s
    if newer; then
        check "$v apply --validate=strict" fails 'unknown field' bash -c "sed 's/replicas/replicsa/' '$work/deploy.yaml' | '$kubectl' apply --validate=strict -f -"
        check "$v apply --validate=warn" contains 'Warning' bash -c "printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: st}\ndatum: {}\n' | '$kubectl' apply --validate=warn -f - 2>&1"
        check "$v get --show-managed-fields" contains 'f:replicas' k get deploy front -o yaml --show-managed-fields
    fi
}

changing() {
    local d=deploy/front
    check "$v label --all" contains labeled k label cm --all x=y
    check "$v label -l" contains labeled k label cm -l x=y z=1
    check "$v label --list" contains 'z=1' k label cm/one --list
    check "$v label x- by selector" contains '' k label cm -l z=1 z-
    check "$v annotate --overwrite and removal" bash -c "'$kubectl' annotate cm one n=1 && '$kubectl' annotate cm one n=2 --overwrite && '$kubectl' annotate cm one n-"
    check "$v annotate in the way" fails 'already has a value' bash -c "'$kubectl' annotate cm one n=1 >/dev/null && '$kubectl' annotate cm one n=2"
    check "$v set image" contains 'image updated' k set image $d web=web:1.1
    check "$v rollout undo" contains 'rolled back' k rollout undo $d
    check "$v set env, list" bash -c "'$kubectl' set env $d A=1 B=2 && '$kubectl' set env $d --list | grep -q A=1"
    check "$v set env --from, removal" bash -c "'$kubectl' set env $d --from=cm/one --prefix=P_ && '$kubectl' set env $d A-"
    check "$v set resources" contains 'resource requirements updated' k set resources $d --limits=memory=64Mi --requests=cpu=10m
    check "$v set serviceaccount" contains 'serviceaccount updated' k set serviceaccount $d robot
    check "$v what came of it" equal 'P_A B 64Mi 10m robot' field $d '.spec.template.spec.containers[0].env[?(@.valueFrom)].name}{" "}{.spec.template.spec.containers[0].env[?(@.value)].name}{" "}{.spec.template.spec.containers[0].resources.limits.memory}{" "}{.spec.template.spec.containers[0].resources.requests.cpu}{" "}{.spec.template.spec.serviceAccountName'
    check "$v rollout pause" contains paused k rollout pause $d
    check "$v rollout restart of what is paused" fails '' k rollout restart $d
    check "$v rollout resume" contains resumed k rollout resume $d
    check "$v rollout status" contains 'successfully rolled out' k rollout status $d --timeout=60s
    check "$v rollout history" contains REVISION k rollout history $d
    check "$v rollout undo --to-revision of none" fails 'unable to find' k rollout undo $d --to-revision=77
    check "$v patch -f" contains patched k patch -f "$work/deploy.yaml" -p '{"metadata":{"labels":{"p":"1"}}}'
    check "$v patch --local" contains 'p: "2"' k patch --local -f "$work/deploy.yaml" -p '{"metadata":{"labels":{"p":"2"}}}' -o yaml
    if newer; then
        check "$v patch --subresource=scale" contains patched k patch $d --subresource=scale --type=merge -p '{"spec":{"replicas":1}}'
        check "$v patch --patch-file" contains patched bash -c "echo 'metadata: {labels: {p: \"3\"}}' >'$work/patch.yaml'; '$kubectl' patch $d --patch-file '$work/patch.yaml'"
        check "$v get --subresource=scale" contains Scale k get $d --subresource=scale -o yaml
    fi
    check "$v scale -l, several" contains scaled k scale deploy -l p --replicas=1
    check "$v scale --current-replicas" fails 'Expected replicas' k scale $d --current-replicas=9 --replicas=2
    check "$v autoscale" contains autoscaled k autoscale $d --min=1 --max=3 --cpu-percent=80
    check "$v the autoscaler says what it does" contains 'Deployment/front' k get hpa front
    check "$v expose" contains exposed k expose $d --port=80 --target-port=8080 --name=ex
    check "$v set selector" contains 'selector updated' k set selector svc ex app=elsewhere
    check "$v edit" contains edited env KUBE_EDITOR='sed -i s/elsewhere/front/' "$kubectl" edit svc ex
    check "$v edit that changes nothing" contains 'cancelled' env KUBE_EDITOR=true "$kubectl" edit svc ex
    check "$v edit of what cannot be" fails '' env KUBE_EDITOR='sed -i s/port:\ 80/port:\ 800000/' "$kubectl" edit svc ex
    check "$v set subject" contains 'subjects updated' bash -c "'$kubectl' create rolebinding sub --clusterrole=view --user=a >/dev/null && '$kubectl' set subject rolebinding sub --user=b"
}

reading() {
    check "$v wait for a condition" contains 'condition met' k wait --for=condition=Available deploy/front --timeout=60s
    check "$v wait that ends in time" fails 'timed out' k wait --for=condition=Never deploy/front --timeout=1s
    if newer; then
        check "$v wait for a path" contains 'condition met' k wait --for=jsonpath='{.status.readyReplicas}'=1 deploy/front --timeout=60s
        check "$v wait for creation" contains 'condition met' bash -c "(sleep 1; '$kubectl' create cm waited >/dev/null) & '$kubectl' wait --for=create cm/waited --timeout=30s"
        check "$v events --for" k events --for deploy/front
        check "$v events --types" contains Normal k events --types=Normal
        check "$v explain --output=plaintext-openapiv2" contains serviceName k explain sts.spec --output=plaintext-openapiv2
    fi
    check "$v explain --recursive" contains 'terminationGracePeriodSeconds' k explain deployment.spec --recursive
    check "$v explain --api-version" contains 'targetCPUUtilizationPercentage' k explain hpa.spec --api-version=autoscaling/v1
    check "$v explain of an unknown field" fails 'does not exist' k explain pod.spec.sail
    check "$v api-resources --namespaced=false" lacks statefulsets k api-resources --namespaced=false
    check "$v api-resources --api-group --verbs" contains 'daemonsets.apps' k api-resources --api-group=apps --verbs=list,watch -o name
    check "$v api-resources --sort-by" k api-resources --sort-by=kind
    check "$v auth can-i" equal yes k auth can-i create pods/exec
    check "$v auth can-i --list" contains '[*]' k auth can-i --list
    check "$v auth can-i --as" fails no k auth can-i get pods --as=nobody
    check "$v get --as of who may not" fails 'cannot list resource "pods"' k get pods --as=nobody
    check "$v get --as --as-group" contains NAME k get deploy --as=nobody --as-group=system:masters
    check "$v get --raw" contains '"kind":"PodList"' k get --raw "/api/v1/namespaces/$ns/pods"
    check "$v get --raw /readyz" contains ok k get --raw '/readyz'
    check "$v get --raw /metrics" contains apiserver_request_total k get --raw /metrics
    check "$v get -o jsonpath with a range" contains front k get deploy,svc -o 'jsonpath={range .items[*]}{.kind}/{.metadata.name}{"\n"}{end}'
    check "$v get -o go-template" equal front k get deploy front -o 'go-template={{.metadata.name}}'
    check "$v get -o custom-columns-file" contains front bash -c "printf 'A\n.metadata.name\n' >'$work/columns'; '$kubectl' get deploy -o custom-columns-file='$work/columns'"
    check "$v get -o jsonpath-as-json" contains '"front"' k get deploy -o jsonpath-as-json='{.items[*].metadata.name}'
    check "$v get --sort-by, --no-headers" contains front k get rs --sort-by=.metadata.creationTimestamp --no-headers
    check "$v get --field-selector !=" equal '' k get pods --field-selector 'metadata.namespace!='"$ns" -o name
    check "$v get --ignore-not-found" equal '' k get cm nobody --ignore-not-found
    check "$v get --chunk-size" k get cm --chunk-size=1
    check "$v get --watch-only" lacks zzz timeout 3 "$kubectl" get cm --watch-only
    watched() {
        (timeout 20 "$kubectl" get cm -w --output-watch-events >"$work/events" 2>&1; true) & local pid=$!
        within 15 grep -q ADDED "$work/events" && k create cm seen >/dev/null && within 15 grep -q 'ADDED *seen' "$work/events" && { k delete cm seen >/dev/null; within 15 grep -q DELETED "$work/events"; }
        local got=$?; kill $pid 2>/dev/null; wait $pid 2>/dev/null; return $got
    }
    check "$v get -w --output-watch-events" watched
    check "$v get all" contains 'deployment.apps/front' k get all
    check "$v get -f" contains front k get -f "$work/deploy.yaml"
    check "$v describe -l" contains 'Name:' k describe pods -l app=front
    check "$v top" contains 'front-' k top pods
    check "$v version -o yaml" contains gitVersion k version -o yaml
    check "$v cluster-info dump" contains '"kind": "' k cluster-info dump
    check "$v completion" contains bash k completion bash
    check "$v options, plugin list" bash -c "'$kubectl' options >/dev/null; '$kubectl' plugin list 2>&1 | grep -q plugin"
    check "$v config: contexts, clusters, view" bash -c "'$kubectl' config get-contexts && '$kubectl' config get-clusters && '$kubectl' config view --minify | grep -q clusters && '$kubectl' config current-context"
    check "$v convert, alpha: no verb of the server" k alpha --help
    check "$v certificate approve of none" fails 'not found' k certificate approve nobody
    check "$v certificate approve, deny" certificate
}

certificate() {
    local request; request=$(openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /dev/null -subj /CN=jane 2>/dev/null | base64 -w0)
    printf '# yaml\n{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {name: csr%s}, spec: {request: %s, signerName: example.com/s, usages: [client auth]}}\n' "$ns" "$request" | k create -f - &&
        k certificate approve "csr$ns" && contains Approved k get csr "csr$ns" && k delete csr "csr$ns"
}

nodes() {
    check "$v taint, and away" bash -c "'$kubectl' taint node edge k=v:PreferNoSchedule && '$kubectl' taint node edge k:PreferNoSchedule-"
    check "$v cordon" contains cordoned k cordon edge
    check "$v is seen" contains SchedulingDisabled k get node edge
    check "$v uncordon" contains uncordoned k uncordon edge
    check "$v drain --dry-run" contains 'dry run' k drain edge --ignore-daemonsets --delete-emptydir-data --force --dry-run=client
    check "$v drain: what nobody owns is not taken" drained_bare
    check "$v drain evicts what is owned" contains evicted k drain edge --ignore-daemonsets --pod-selector=app=front --timeout=60s
    check "$v uncordon after it" contains uncordoned k uncordon edge
    check "$v the deployment comes back" contains 'successfully rolled out' k rollout status deploy/front --timeout=60s
}
drained_bare() {
    k run bare --image=web:1 --labels=run=bare >/dev/null && fails 'cannot delete' k drain edge --pod-selector=run=bare --timeout=5s && k delete pod bare --now
}

running() {
    check "$v run with everything" contains created k run ran --image=web:1 --labels=a=b --env=X=y --port=8080 --restart=Never --command -- sh -c 'echo said $X; httpd -f -p 8080 -h /www'
    check "$v is Ready" contains 'condition met' k wait --for=condition=Ready pod/ran --timeout=60s
    check "$v logs --prefix" contains '[pod/ran/ran] said y' k logs -l a=b --prefix
    check "$v logs of a deployment" k logs deploy/front --tail=1
    check "$v run --expose" contains 'service/exposed created' k run exposed --image=web:1 --port=80 --expose
    check "$v run --dry-run=client -o yaml" contains 'image: i' k run dry --image=i --dry-run=client -o yaml
    check "$v exec by kind" contains '' k exec deploy/front -- true
    check "$v exec -c of none" fails 'container' k exec ran -c nobody -- true
    check "$v cp of a directory" bash -c "'$kubectl' cp '$work/dir' ran:/tmp/dir && '$kubectl' cp ran:/tmp/dir '$work/back' && diff -r '$work/dir' '$work/back'"
    forwarded() {
        timeout 60 "$kubectl" port-forward deploy/front 18081:8080 >"$work/forward" 2>&1 & local pid=$!
        within 20 grep -q Forwarding "$work/forward" && within 20 curl -s -o /dev/null -m 5 http://127.0.0.1:18081/
        local got=$?; kill $pid; wait $pid 2>/dev/null; return $got
    }
    check "$v port-forward of a deployment" forwarded
    proxied() {
        timeout 60 "$kubectl" proxy --port=18082 >"$work/proxy" 2>&1 & local pid=$!
        within 20 curl -s -f -m 5 "http://127.0.0.1:18082/api/v1/namespaces/$ns/pods/ran" | grep -q '"name": *"ran"'
        local got=$?; kill $pid; wait $pid 2>/dev/null; return $got
    }
    check "$v proxy" proxied
    if newer; then
        check "$v debug --copy-to" contains '' k debug ran --copy-to=copied --image=busybox --image-pull-policy=IfNotPresent --share-processes=false -- sleep 600
        check "$v the copy is there" contains copied k get pod copied
        check "$v debug with an ephemeral container" debugged
    fi
}
debugged() { # works, or is refused with a sentence
    k debug ran --image=busybox --target=ran -- true >"$work/debug" 2>&1 && return 0
    cat "$work/debug"; grep -qi 'ephemeral' "$work/debug"
}

deleting() {
    pods_of() { k get pods -l app=front -o name | wc -l; }
    check "$v delete --cascade=orphan" contains deleted k delete deploy front --cascade=orphan
    check "$v the replica sets stay" contains replicaset k get rs -l app=front -o name
    check "$v delete --cascade=foreground" contains deleted k delete rs -l app=front --cascade=foreground
    check "$v what it owned is gone" is 0 pods_of
    check "$v delete --cascade=background" contains deleted bash -c "'$kubectl' apply -f '$work/deploy.yaml' >/dev/null && '$kubectl' delete deploy front --cascade=background"
    check "$v its pods go" is 0 pods_of
    check "$v delete --wait=false, --now, --ignore-not-found" bash -c "'$kubectl' delete pod ran --wait=false --now && '$kubectl' delete pod nobody --ignore-not-found"
    check "$v delete --dry-run=server" contains 'dry run' k delete cm one --dry-run=server
    check "$v delete -f" contains deleted bash -c "'$kubectl' create cm two >/dev/null; '$kubectl' delete -f '$work/one.yaml'"
    check "$v delete --all --force" contains 'deleted' bash -c "'$kubectl' delete pods --all --force --grace-period=0 2>&1; echo deleted"
    check "$v delete --raw" contains '"status":"Success"' k delete --raw "/api/v1/namespaces/$ns/configmaps/two"
    check "$v delete the namespace" contains deleted k delete ns "$ns"
}

manifests
for v in $versions; do
    if lacking "kubectl-$v"; then continue; fi
    kubectl=$cache/bin/kubectl-$v ns=verbs-${v/./-}
    "$kubectl" config set-context --current --namespace=default >/dev/null
    check "$v create namespace" contains created k create namespace "$ns"
    check "$v work in it" contains modified k config set-context --current --namespace="$ns"
    for part in ${PARTS:-generators applying changing reading nodes running deleting}; do $part; done
done
"$kubectl" config set-context --current --namespace=default >/dev/null
finish
