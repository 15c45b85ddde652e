#!/bin/bash
# Server-side apply with stock kubectl: who owns which field, conflicts, force, dry runs, diff, and the way over from client-side apply. Pods are
# not run here.
versions=${KUBECTL_VERSION:-1.20 1.32 1.36}
. "$(dirname "$0")/lib.sh"
E2E_IMAGES='' start_berth --container-runtime fake

cat >"$work/set.yaml" <<'Y'
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, labels: {app: web}}
spec:
  serviceName: web
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "web:1", env: [{name: A, value: "1"}]}
Y
sed 's/replicas: 1/replicas: 2/' "$work/set.yaml" >"$work/two.yaml"
sed 's/, env: .*}/}/' "$work/set.yaml" >"$work/no-env.yaml"
fields() { k get sts web -o yaml "$@" | grep -c 'f:'; }
owners() { k get sts web -o 'jsonpath={range .metadata.managedFields[*]}{.manager}/{.operation}/{.subresource} {end}'; }

for v in $versions; do
    if lacking "kubectl-$v"; then continue; fi
    kubectl=$cache/bin/kubectl-$v ns=apply-${v/./-}
    "$kubectl" config set-context --current --namespace=default >/dev/null
    check "$v a namespace" contains created k create namespace "$ns"
    "$kubectl" config set-context --current --namespace="$ns" >/dev/null
    check "$v dry run of an apply that creates" contains 'serverside-applied (server dry run)' k apply --server-side --dry-run=server -f "$work/set.yaml"
    check "$v it created nothing" fails NotFound k get sts web
    check "$v apply creates" contains 'serverside-applied' k apply --server-side -f "$work/set.yaml"
    check "$v who applies is the owner" contains 'kubectl/Apply/' owners
    check "$v the fields are shown" test "$(fields $([ "$v" = 1.20 ] || echo --show-managed-fields))" -gt 5
    check "$v an apply of the same changes nothing" equal "$(k get sts web -o 'jsonpath={.metadata.generation}')" bash -c "'$kubectl' apply --server-side -f '$work/set.yaml' >/dev/null; '$kubectl' get sts web -o 'jsonpath={.metadata.generation}'"
    check "$v scale takes the replicas" contains scaled k scale sts web --replicas=3
    check "$v a conflict names the manager and the field" fails '.spec.replicas' k apply --server-side --field-manager=other -f "$work/two.yaml"
    check "$v force takes them back" contains serverside-applied k apply --server-side --force-conflicts --field-manager=other -f "$work/two.yaml"
    check "$v and they are as applied" equal 2 k get sts web -o 'jsonpath={.spec.replicas}'
    check "$v diff shows what an apply would do" fails 'replicas: 1' k diff --server-side --force-conflicts -f "$work/set.yaml"
    check "$v what is no longer applied by anybody goes" contains serverside-applied k apply --server-side --force-conflicts --field-manager=other -f "$work/no-env.yaml"
    check "$v but not what another still applies" contains '"A"' k get sts web -o 'jsonpath={.spec.template.spec.containers[0].env}'
    check "$v the first lets go as well" contains serverside-applied k apply --server-side -f "$work/no-env.yaml"
    check "$v and it is gone" equal '' k get sts web -o 'jsonpath={.spec.template.spec.containers[0].env}'
    check "$v a field that does not exist" fails 'field not declared in schema' bash -c "sed 's/serviceName/servizeName/' '$work/set.yaml' | '$kubectl' apply --server-side --validate=false -f -"
    check "$v client-side apply" contains created bash -c "sed 's/name: web, labels/name: old, labels/' '$work/set.yaml' | '$kubectl' apply -f -"
    check "$v goes over to server-side apply" contains serverside-applied bash -c "sed 's/name: web, labels/name: old, labels/; s/web:1/web:2/' '$work/set.yaml' | '$kubectl' apply --server-side -f -"
    check "$v with the new image" equal web:2 k get sts old -o 'jsonpath={.spec.template.spec.containers[0].image}'
    check "$v and back again" contains configured bash -c "sed 's/name: web, labels/name: old, labels/; s/web:1/web:3/' '$work/set.yaml' | '$kubectl' apply -f -"
    check "$v the controller owns the status" within 10 contains '/status' owners
    check "$v the namespace goes" contains deleted k delete namespace "$ns"
done
"$kubectl" config set-context --current --namespace=default >/dev/null
finish
