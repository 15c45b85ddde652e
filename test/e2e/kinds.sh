#!/bin/bash
# Every kind that is stored without behaviour, by kubectl: created with a warning that says so, shown in its columns, listed by
# api-resources, explained, and refused when it makes no sense.
E2E_TIMEOUT_S=${E2E_TIMEOUT_S:-300}
. "$(dirname "$0")/lib.sh"
start_berth --container-runtime=fake

cat >"$work/all.yaml" <<'YAML'
{apiVersion: v1, kind: PodTemplate, metadata: {name: t}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}
---
{apiVersion: v1, kind: ReplicationController, metadata: {name: rc}, spec: {replicas: 0, template: {metadata: {labels: {r: c}}, spec: {containers: [{name: c, image: i}]}}}}
---
{apiVersion: v1, kind: LimitRange, metadata: {name: limits}, spec: {limits: [{type: Container, max: {memory: 1Gi}, min: {memory: 1Mi}}]}}
---
{apiVersion: v1, kind: ResourceQuota, metadata: {name: quota}, spec: {hard: {pods: "4", limits.cpu: "2"}}}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: job}, spec: {completions: 3, parallelism: 2, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}
---
{apiVersion: batch/v1, kind: CronJob, metadata: {name: cron}, spec: {schedule: "*/5 1-3 * JAN MON-FRI", timeZone: Etc/UTC, jobTemplate: {spec: {template: {spec: {restartPolicy: OnFailure, containers: [{name: c, image: i}]}}}}}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: pdb}, spec: {minAvailable: 50%, selector: {matchLabels: {a: b}}}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: net}, spec: {podSelector: {matchLabels: {a: b}}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: 80, endPort: 90}]}]}}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: ing}, spec: {ingressClassName: nginx, rules: [{host: a.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}]}}
---
{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: nginx}, spec: {controller: example.com/nginx}}
---
{apiVersion: networking.k8s.io/v1, kind: IPAddress, metadata: {name: 192.168.7.7}, spec: {parentRef: {resource: services, namespace: default, name: kubernetes}}}
---
{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: {name: more}, spec: {cidrs: [10.99.0.0/16]}}
---
{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: hpa}, spec: {maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: web}}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: "e2e:reader"}, rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: rb}, roleRef: {kind: Role, name: "e2e:reader", apiGroup: rbac.authorization.k8s.io}, subjects: [{kind: User, name: jane}, {kind: ServiceAccount, name: default, namespace: default}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: cr}, rules: [{nonResourceURLs: [/metrics], verbs: [get]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: crb}, roleRef: {kind: ClusterRole, name: cr, apiGroup: rbac.authorization.k8s.io}, subjects: [{kind: Group, name: ops}]}
---
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: high}, value: 1000}
---
{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: small}, handler: kata}
---
{apiVersion: storage.k8s.io/v1, kind: CSIDriver, metadata: {name: csi.example.com}, spec: {tokenRequests: [{audience: vault}]}}
---
{apiVersion: storage.k8s.io/v1, kind: CSINode, metadata: {name: edge}, spec: {drivers: [{name: csi.example.com, nodeID: edge, topologyKeys: [a]}]}}
---
{apiVersion: storage.k8s.io/v1, kind: CSIStorageCapacity, metadata: {name: cap}, storageClassName: local, capacity: 5Gi}
---
{apiVersion: storage.k8s.io/v1, kind: VolumeAttachment, metadata: {name: va}, spec: {attacher: csi.example.com, nodeName: edge, source: {persistentVolumeName: pv}}}
---
{apiVersion: storage.k8s.io/v1, kind: VolumeAttributesClass, metadata: {name: gold}, driverName: csi.example.com, parameters: {iops: "3000"}}
---
{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {name: csr}, spec: {request: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUE9PQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K, signerName: example.com/signer, usages: [client auth], extra: {scopes: [a, b]}}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: vw}, webhooks: [{name: a.example.com, sideEffects: None, admissionReviewVersions: [v1], clientConfig: {url: "https://h/"}, rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods]}]}]}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: mw}, webhooks: [{name: a.example.com, sideEffects: None, admissionReviewVersions: [v1], clientConfig: {service: {namespace: d, name: s}}}]}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: vap}, spec: {matchConstraints: {resourceRules: [{operations: ["*"], apiGroups: [apps], apiVersions: [v1], resources: [deployments]}]}, validations: [{expression: "true"}]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: vapb}, spec: {policyName: vap, validationActions: [Deny]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicy, metadata: {name: map}, spec: {reinvocationPolicy: Never, matchConstraints: {}, mutations: [{patchType: JSONPatch, jsonPatch: {expression: "[]"}}]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicyBinding, metadata: {name: mapb}, spec: {policyName: map}}
---
{apiVersion: flowcontrol.apiserver.k8s.io/v1, kind: FlowSchema, metadata: {name: fs}, spec: {priorityLevelConfiguration: {name: pl}, rules: [{subjects: [{kind: User, user: {name: jane}}], resourceRules: [{verbs: [get], apiGroups: [""], resources: [pods], namespaces: ["*"]}]}]}}
---
{apiVersion: flowcontrol.apiserver.k8s.io/v1, kind: PriorityLevelConfiguration, metadata: {name: pl}, spec: {type: Limited, limited: {limitResponse: {type: Queue, queuing: {queues: 64}}}}}
YAML

documents=$(grep -c '^{' "$work/all.yaml")
sed -i 's/^{/# kubectl takes what begins with a brace for JSON\n{/' "$work/all.yaml"
create_all() { k create -f "$work/all.yaml" >"$work/created" 2>"$work/warnings" || { cat "$work/warnings"; return 1; }; }
check "each of $documents kinds is created" create_all
warned() { n=$(grep -c '^Warning: Berth stores .* but does not' "$work/warnings"); cat "$work/warnings"; [ "$n" = $((documents - 11)) ]; }
# Replication controllers, limits, quotas, jobs, cron jobs, budgets, priority classes, roles and their bindings are acted upon.
check "each comes with a warning in a sentence of its own" warned
same() { # what was sent comes back: nothing of it is missing from what kubectl reads
    k get -f "$work/all.yaml" -o json >"$work/got.json" && k create --dry-run=client -f "$work/all.yaml" -o json >"$work/sent.json" 2>/dev/null &&
        python3 - "$work" <<'PY'
import json, sys
def docs(name):
    text = open(f"{sys.argv[1]}/{name}").read(); d = json.JSONDecoder(); out = []; i = 0
    while i < len(text.rstrip()):
        v, i = d.raw_decode(text, i); out += v["items"] if v.get("kind") == "List" else [v]
        while i < len(text) and text[i].isspace(): i += 1
    return {(o["kind"], o["metadata"]["name"]): o for o in out}
def missing(want, got, path):
    if isinstance(want, dict):
        return [m for k, v in want.items() for m in (missing(v, got[k], path + "." + k) if isinstance(got, dict) and k in got else [path + "." + k])]
    if isinstance(want, list):
        return [m for i, v in enumerate(want) for m in (missing(v, got[i], f"{path}[{i}]") if isinstance(got, list) and i < len(got) else [path])]
    return [] if want == got else [f"{path}: {want!r} became {got!r}"]
sent, got = docs("sent.json"), docs("got.json")
bad = [m for k, o in sent.items() for m in missing(o, got.get(k, {}), k[0])]
print("\n".join(bad)); sys.exit(bool(bad) or len(sent) < 30)
PY
}
check "and comes back whole" same

row() { # KIND NAME WORD...: the wide table has these cells
    k get "$1" "$2" -o wide | tee "$work/row" | tail -1 | tr -s ' ' >"$work/cells"; shift 2
    cat "$work/row"; for cell in "$@"; do grep -qF -- "$cell" "$work/cells" || { echo "no cell $cell"; return 1; }; done
}
check "a job's row" row job job "0/3" "Running" "batch.kubernetes.io/controller-uid="
check "a cron job's row" row cj cron "*/5 1-3 * JAN MON-FRI" "Etc/UTC False 0 <none>"
check "a budget's row" row pdb pdb "50% N/A 0"
check "an ingress's row" row ing ing "nginx a.example.com 80"
check "a network policy's row" row netpol net "a=b"
check "an autoscaler's row" row hpa hpa "StatefulSet/web" "cpu: <unknown>/80% 1 5 0"
check "a quota's row" row quota quota "pods: 0/4" "limits.cpu: 0/2"
check "a binding's row" row rolebinding rb "Role/e2e:reader" "jane" "default/default"
check "a priority's row" row pc high "1000 false" "PreemptLowerPriority"
check "a storage driver's row" row csidriver csi.example.com "true false false vault false Persistent"
check "a certificate request's row" row csr csr "example.com/signer" "Pending"
approve() { k certificate approve csr 2>&1 && k get csr csr | grep -q Approved; }
check "a certificate request is approved" approve
check "a replication controller's row" row rc rc "0 0 0" "r=c"
scaled() { k scale rc rc --replicas=3 && [ "$(k get rc rc -o 'jsonpath={.spec.replicas}')" = 3 ]; }
check "a replication controller is scaled" scaled

resources() { # NAME SHORT GROUP NAMESPACED KIND, as a real cluster prints them
    k api-resources --no-headers | tr -s ' ' >"$work/resources"
    for want in "cronjobs cj batch/v1 true CronJob" "horizontalpodautoscalers hpa autoscaling/v2 true HorizontalPodAutoscaler" "ingresses ing networking.k8s.io/v1 true Ingress" \
        "networkpolicies netpol networking.k8s.io/v1 true NetworkPolicy" "poddisruptionbudgets pdb policy/v1 true PodDisruptionBudget" "priorityclasses pc scheduling.k8s.io/v1 false PriorityClass" \
        "resourcequotas quota v1 true ResourceQuota" "certificatesigningrequests csr certificates.k8s.io/v1 false CertificateSigningRequest" "limitranges limits v1 true LimitRange"; do
        # kubectl 1.20 prints the group without its version.
        pattern=$(echo "$want" | sed -E 's#^(\S+ \S+) (\S+/)?(v[0-9]+) (.*)#^\1 (\2\3|GROUP|) ?\4 ?$#')
        group=$(echo "$want" | cut -d' ' -f3 | sed 's#/.*##')
        grep -qE "$(echo "$pattern" | sed "s#GROUP#$group#")" "$work/resources" || { echo "missing: $want"; cat "$work/resources"; return 1; }
    done
}
check "api-resources is as on a real cluster" resources
explained() { for what in job.spec cronjob ingress.spec networkpolicy hpa csr.spec pdb.spec flowschema; do k explain "$what" --recursive >"$work/explain" || { cat "$work/explain"; return 1; }; [ "$(wc -l <"$work/explain")" -gt 8 ] || { cat "$work/explain"; return 1; }; done; k explain job.spec.backoffLimit | grep -q 'given up'; }
check "explain knows them in full" explained

# kubectl reads these in protobuf since 1.32.
described() { # KIND NAME TEXT...
    k describe "$1" "$2" >"$work/described" 2>&1 || { cat "$work/described"; return 1; }; local what="$1"; shift 2
    for text in "$@"; do tr -s ' ' <"$work/described" | grep -qF -- "$text" || { echo "$what: no $text in:"; cat "$work/described"; return 1; }; done
}
all_described() {
    described job job "Parallelism: 2" "Completions: 3" "Image: i" && described cj cron "Schedule: */5 1-3 * JAN MON-FRI" "Concurrency Policy: Allow" &&
        described pdb pdb "Min available: 50%" "Selector: a=b" && described netpol net "CIDR: 10.0.0.0/8" "Except: 10.1.0.0/16" &&
        described quota quota "Name: quota" && described limits limits "memory" "1Gi" && described rolebinding rb "Kind: Role" "User jane" "ServiceAccount default default" &&
        described clusterrole cr "[/metrics]" && described pc high "Value: 1000" && described rc rc "current / 3 desired" &&
        described hpa hpa "Min replicas: 1" "resource cpu on pods (as a percentage of request): <unknown> / 80%" && described ing ing "a.example.com" "s:80" &&
        described ingressclass nginx "Controller: example.com/nginx" && described csinode edge "csi.example.com" && described storageclass local "Provisioner" && described node edge "Name: edge" &&
        described ns default "Status: Active" && described svc kubernetes "Type: ClusterIP"
}
# kubectl 1.20 describes and makes some of these by versions that have gone since.
[ "$KUBECTL_VERSION" = 1.20 ] || check "describe reads them" all_described
made() { # by the generators of kubectl, which use typed clients
    k create configmap made --from-literal=a=1 && k create secret generic made --from-literal=a=1 && k create job made --image=i -- true && k create cronjob made --image=i --schedule='0 1 * * *' -- true &&
        k create job made2 --from=cronjob/made && k create ingress made --rule='h/p=s:80' && k create role made --verb=get --resource=pods && k create rolebinding made --role=made --user=u &&
        k create clusterrole made --verb=get --resource=nodes && k create clusterrolebinding made --clusterrole=made --group=g && k create priorityclass made --value=7 &&
        k create poddisruptionbudget made --selector=a=b --min-available=1 && k create quota made --hard=pods=1 && k create serviceaccount made && k create deployment made --image=i --replicas=0 &&
        k autoscale deployment made --max=3 --cpu-percent=55 &&
        k create namespace made && k create service clusterip made --tcp=80
}
[ "$KUBECTL_VERSION" = 1.20 ] || check "the generators of kubectl make them" made

both() { # one autoscaler and one event, in two versions and groups
    [ "$(k get horizontalpodautoscalers.v2.autoscaling made -o 'jsonpath={.apiVersion} {.spec.metrics[0].resource.target.averageUtilization}')" = "autoscaling/v2 55" ] &&
        [ "$(k get horizontalpodautoscalers.v1.autoscaling made -o 'jsonpath={.apiVersion} {.spec.targetCPUUtilizationPercentage}{.spec.metrics}')" = "autoscaling/v1 55" ] &&
        k patch horizontalpodautoscalers.v2.autoscaling made --type=json -p '[{"op":"add","path":"/spec/metrics/-","value":{"type":"Resource","resource":{"name":"memory","target":{"type":"Utilization","averageUtilization":70}}}}]' &&
        k patch horizontalpodautoscalers.v1.autoscaling made --type=merge -p '{"spec":{"targetCPUUtilizationPercentage":66}}' &&
        [ "$(k get horizontalpodautoscalers.v2.autoscaling made -o 'jsonpath={.spec.metrics[*].resource.target.averageUtilization}')" = "66 70" ] || return 1
    printf '#\n{apiVersion: v1, kind: Event, metadata: {name: made}, involvedObject: {kind: Pod, name: p, namespace: default}, message: hello, reason: R, type: Normal, count: 2, source: {component: c}}\n' | k create -f - &&
        [ "$(k get events.v1.events.k8s.io made -o 'jsonpath={.apiVersion} {.note} {.regarding.name} {.deprecatedCount} {.deprecatedSource.component}{.message}')" = "events.k8s.io/v1 hello p 2 c" ] &&
        k get events.v1.events.k8s.io --no-headers | grep -q 'pod/p .*hello' && k get events.v1.events.k8s.io -o yaml | grep -q 'note: hello' &&
        printf '#\n{apiVersion: events.k8s.io/v1, kind: Event, metadata: {name: newer}, regarding: {kind: Pod, name: p, namespace: default}, note: there, reason: R, type: Normal, action: A, eventTime: "2026-01-02T03:04:05.678901Z", reportingController: x/y, reportingInstance: z}\n' | k create -f - &&
        [ "$(k get events.v1. newer -o 'jsonpath={.apiVersion} {.message} {.involvedObject.name} {.reportingComponent} {.eventTime}')" = "v1 there p x/y 2026-01-02T03:04:05.678901Z" ]
}
[ "$KUBECTL_VERSION" = 1.20 ] || check "one object is seen in two versions and groups" both

asked() { # what is true now is answered
    [ "$(k auth can-i create pods)" = yes ] && [ "$(k auth can-i '*' '*' --all-namespaces 2>/dev/null)" = yes ] && k auth can-i --list | grep -q '\*\.\*' || return 1
    [ "$KUBECTL_VERSION" = 1.20 ] || k auth whoami -o 'jsonpath={.status.userInfo.groups}' | grep -q system:masters || return 1
    printf '#\n{apiVersion: authorization.k8s.io/v1, kind: SubjectAccessReview, spec: {user: jane, resourceAttributes: {verb: get, resource: pods}}}\n' | k create -o 'jsonpath={.status.allowed}' -f - | grep -q false
}
check "who may do what is answered" asked

refused() { # TEXT DOCUMENT: create fails with this text
    printf '#\n%s\n' "$2" | k create -f - >"$work/refused" 2>&1 && { echo "was accepted"; return 1; }
    cat "$work/refused"; grep -qF -- "$1" "$work/refused"
}
check "a job whose pods are always restarted is refused" refused 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"' \
    '{apiVersion: batch/v1, kind: Job, metadata: {name: bad}, spec: {template: {spec: {containers: [{name: c, image: i}]}}}}'
check "a schedule that is none is refused" refused 'spec.schedule: Invalid value: "61 * * * *"' \
    '{apiVersion: batch/v1, kind: CronJob, metadata: {name: bad}, spec: {schedule: "61 * * * *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}}'
check "a budget with both bounds is refused" refused 'minAvailable and maxUnavailable cannot be both set' \
    '{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: bad}, spec: {minAvailable: 1, maxUnavailable: 1}}'
check "a role without an API group is refused" refused 'rules[0].apiGroups: Required value: resource rules must supply at least one api group' \
    '{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: bad}, rules: [{verbs: [get], resources: [pods]}]}'
check "an ingress without routes is refused" refused 'either `defaultBackend` or `rules` must be specified' \
    '{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: bad}, spec: {}}'
check "a reserved priority is refused" refused 'maximum allowed value of a user defined priority is 1000000000' \
    '{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: bad}, value: 2000000000}'
immutable() { k patch rolebinding rb --type=merge -p '{"roleRef":{"name":"other"}}' >"$work/said" 2>&1 && return 1; cat "$work/said"; grep -q 'cannot change roleRef' "$work/said"; }
check "a binding's role cannot change" immutable
updated() { k label netpol net x=y 2>&1 | tee "$work/said"; grep -q 'Warning: Berth stores NetworkPolicy' "$work/said"; }
check "an update warns too" updated
check "all of them are deleted" k delete -f "$work/all.yaml" --wait=true
finish
