#!/bin/bash
# Custom kinds as a user meets them: a definition applied, objects with columns, defaults and rules, explain, scale, status, owners and
# namespaces, and everything gone with the definition.
. "$(dirname "$0")/lib.sh"
E2E_IMAGES=busybox
start_berth --container-runtime=fake

cat >"$work/crd.yaml" <<'YAML'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [cronSpec]
            properties:
              cronSpec: {type: string, description: When it runs., pattern: '^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$'}
              image: {type: string, default: "busybox"}
              replicas: {type: integer, minimum: 1, maximum: 10}
          status:
            type: object
            properties: {replicas: {type: integer}, labelSelector: {type: string}}
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.labelSelector}
  - name: v1beta1
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
YAML
cat >"$work/ct.yaml" <<'YAML'
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: mine}
spec: {cronSpec: "* * * * */5", replicas: 3}
YAML

check "a definition is applied and established" eval 'k apply -f "$work/crd.yaml" && k wait --for=condition=Established --timeout=30s crd/crontabs.stable.example.com'
check "api-resources lists the kind" eval 'within 20 eval "k api-resources --api-group=stable.example.com | grep -q \"crontabs *ct .*CronTab\""'
check "an object is applied" within 20 k apply -f "$work/ct.yaml"
check "it is shown in its columns" eval 'k get ct | tee /dev/stderr | grep -q "^NAME *SPEC *REPLICAS *AGE" && k get crontab mine --no-headers | grep -qE "^mine +\* \* \* \* \*/5 +3 +[0-9]+s"'
check "its default is there" equal busybox k get ct mine -o 'jsonpath={.spec.image}'
check "get all shows it" eval 'k get all | grep -q crontab.stable.example.com/mine'
check "explain knows its fields" eval 'within 20 eval "k explain crontabs.spec.cronSpec | grep -q \"When it runs\""'
check "a bad value is refused by the rule of the schema" eval '! k patch ct mine --type=merge -p "{\"spec\":{\"cronSpec\":\"x\"}}" >"$work/err" 2>&1; cat "$work/err"; grep -q "spec.cronSpec in body should match" "$work/err"'
check "a number over the bound is refused" eval '! k patch ct mine --type=merge -p "{\"spec\":{\"replicas\":11}}" 2>&1 | tee "$work/err" >&2; grep -q "should be less than or equal to 10" "$work/err"'
check "it is scaled" eval 'k scale ct/mine --replicas=5 && equal 5 k get ct mine -o "jsonpath={.spec.replicas}"'
check "another version shows the same object" equal "stable.example.com/v1beta1 5" k get crontabs.v1beta1.stable.example.com mine -o 'jsonpath={.apiVersion} {.spec.replicas}'
check "apply changes it" eval 'sed -i "s/replicas: 3/replicas: 4/" "$work/ct.yaml"; k apply -f "$work/ct.yaml" && equal 4 k get ct mine -o "jsonpath={.spec.replicas}"'
check "server-side apply takes it over" eval 'k apply --server-side --force-conflicts -f "$work/ct.yaml" && k get ct mine -o yaml --show-managed-fields 2>/dev/null | grep -q "operation: Apply" || k get ct mine -o yaml | grep -q "operation: Apply"'

check "what it owns goes with it" eval '
    uid=$(k get ct mine -o "jsonpath={.metadata.uid}")
    printf "#\\n{apiVersion: v1, kind: ConfigMap, metadata: {name: owned, ownerReferences: [{apiVersion: stable.example.com/v1, kind: CronTab, name: mine, uid: %s}]}}" "$uid" | k apply -f - &&
    k delete ct mine && within 30 eval "! k get configmap owned 2>/dev/null"'
check "what a built-in kind owns goes with that" eval '
    k create configmap owner && uid=$(k get configmap owner -o "jsonpath={.metadata.uid}") &&
    printf "#\\n{apiVersion: stable.example.com/v1, kind: CronTab, metadata: {name: owned, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: owner, uid: %s}]}, spec: {cronSpec: \"1 * * * *\"}}" "$uid" | k apply -f - &&
    k delete configmap owner && within 30 eval "! k get ct owned 2>/dev/null"'
check "a namespace takes its objects along" eval '
    k create namespace gone && k apply -n gone -f "$work/ct.yaml" && k delete namespace gone --timeout=50s && [ -z "$(k get ct -A -o name)" ]'
check "a server that starts again serves the kind at once" eval 'k apply -f "$work/ct.yaml" && kill "$server_pid" && wait "$server_pid"; launch --container-runtime=fake && equal 4 k get ct mine -o "jsonpath={.spec.replicas}"'
check "the definition is deleted with its objects" eval 'k delete crd crontabs.stable.example.com --timeout=50s && within 20 eval "! k get ct 2>/dev/null"'
finish
