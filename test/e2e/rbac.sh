#!/bin/bash
# Who may what, with stock kubectl: roles and bindings made by its generators and by auth reconcile, asked for in the name of others and with a certificate
# of one's own, auth can-i with its reasons and lists, what nobody may give, roles that collect others. No container runs. KUBECTL_VERSION chooses one version.
E2E_IMAGES=' ' E2E_TIMEOUT_S=${E2E_TIMEOUT_S:-180}
. "$(dirname "$0")/lib.sh"
mkdir -p "$data"
launch --container-runtime fake || { echo 'Bail out! the server does not start'; exit 1; }
jane() { k --as jane "$@"; }
dev() { k --as jane --as-group dev "$@"; }
k_says() { k "$@" 2>&1; true; }

check 'a stranger is refused in the words of Kubernetes' fails 'Error from server (Forbidden): pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"' jane get pods
check 'create role' contains created k create role reader --verb=get,list,watch --resource=pods,pods/log
check 'create rolebinding' contains created k create rolebinding reader --role=reader --user=jane
check 'the role counts at once' contains 'No resources found' jane get pods
check 'and in its namespace alone' fails 'at the cluster scope' jane get pods -A
check 'and for its verbs alone' fails 'pods "x" is forbidden: User "jane" cannot delete resource "pods"' jane delete pod x
check 'another user has nothing of it' fails Forbidden k --as bob get pods
watch() { timeout 20 "$kubectl" --as jane get pods -w --request-timeout=2s >"$work/watched" 2>&1; cat "$work/watched"; ! grep -q Forbidden "$work/watched"; }
check 'get -w needs watch' watch

yes() { [ "$(k auth can-i "$@" 2>/dev/null)" = yes ]; }
no() { [ "$(k auth can-i "$@" 2>/dev/null)" = no ]; }
check 'auth can-i: yes' yes list pods --as jane
check 'auth can-i: a subresource' yes get pods --subresource=log --as jane
check 'auth can-i: no' no create pods --as jane
check 'auth can-i: the administrator may do everything' yes '*' '*' --all-namespaces
check 'auth can-i --list' contains pods/log k auth can-i --list --as jane
check 'auth can-i of a path' yes get /apis --as jane
k create rolebinding lost --role=nowhere --user=eve >/dev/null
check 'auth can-i tells of a role that is missing' contains 'role.rbac.authorization.k8s.io "nowhere" not found' k_says auth can-i list pods --as eve

check 'an account of a service has what its binding says' contains created k create serviceaccount till
check 'create clusterrole' contains created k create clusterrole tills --verb=get,list --resource=configmaps --resource-name=kube-root-ca.crt
check 'create rolebinding to an account' contains created k create rolebinding till --clusterrole=tills --serviceaccount=default:till
check 'it gets what is named' contains kube-root-ca.crt k --as system:serviceaccount:default:till get configmap kube-root-ca.crt
check 'and nothing else' fails 'User "system:serviceaccount:default:till" cannot get resource "configmaps"' k --as system:serviceaccount:default:till get configmap other
printf '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}' >"$work/wish"
token=$(k create --raw /api/v1/namespaces/default/serviceaccounts/till/token -f "$work/wish" | sed 's/.*"token":"\([^"]*\)".*/\1/')
till() { timeout 60 "$kubectl" --kubeconfig /dev/null --server "$(k config view -o 'jsonpath={.clusters[0].cluster.server}')" --certificate-authority "$data/tls/ca.crt" --token "$token" "$@"; }
check 'its token is as good as its name' contains kube-root-ca.crt till get configmap kube-root-ca.crt
check 'for what it may not do, too' fails 'User "system:serviceaccount:default:till" cannot list resource "pods"' till get pods
check 'and is in the groups of accounts' contains 'created' k create clusterrolebinding accounts --clusterrole=view --group=system:serviceaccounts:default
check 'which may look at everything' contains 'No resources found' k --as system:serviceaccount:default:till get statefulsets -A

echo '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}' >"$work/who"
check 'admin, edit and view are there' contains aggregate-to-view k get clusterroles admin edit view -o yaml
check 'edit in a namespace' contains created k create rolebinding dev --clusterrole=edit --group=dev
check 'edits' contains created dev create configmap mine --from-literal=a=b
check 'applies on the side of the server' contains applied eval 'printf "#\n{apiVersion: v1, kind: ConfigMap, metadata: {name: other}, data: {a: b}}\n" | dev apply --server-side -f - | sed s/serverside-//'
check 'but gives nothing' fails 'roles.rbac.authorization.k8s.io is forbidden' dev create role more --verb=get --resource=secrets
check 'admin gives' contains created k create rolebinding admin --clusterrole=admin --user=ann
check 'what it has' contains created k --as ann create role pods --verb=get --resource=pods
check 'and not more' fails 'is attempting to grant RBAC permissions not currently held:' k --as ann create role nodes --verb=get --resource=nodes
check 'nor by a binding' fails '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}' k --as ann create rolebinding all --clusterrole=cluster-admin --user=ann
own() { "$berth" kubeconfig --data-dir "$data" "$@"; }
check 'berth kubeconfig' eval 'own ann dev ops >"$work/ann"'
check 'a certificate of their own names user and groups' contains '"dev","ops","system:authenticated"' eval "$kubectl --kubeconfig $work/ann create --raw /apis/authentication.k8s.io/v1/selfsubjectreviews -f $work/who"
check 'to speak for others is a right of its own' fails 'cannot impersonate resource "users" in API group "" at the cluster scope' eval "$kubectl --kubeconfig $work/ann get pods --as jane"
cat >"$work/reconcile.yaml" <<'Y'
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: nodes, labels: {rbac.authorization.k8s.io/aggregate-to-view: "true"}}
rules: [{apiGroups: [""], resources: [nodes], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: nodes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: nodes}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: max}]
Y
check 'auth reconcile makes what is missing' contains reconciled k auth reconcile -f "$work/reconcile.yaml"
check 'and it is in force' contains edge k --as max get nodes -o name
sed -i 's/\[get, list\]/[get, list, watch]/' "$work/reconcile.yaml"
check 'auth reconcile adds what is missing' contains reconciled k auth reconcile -f "$work/reconcile.yaml"
check 'and it is there' contains watch k get clusterrole nodes -o 'jsonpath={.rules[*].verbs}'
collected() { k get clusterrole "$1" -o json | tr -d ' \n' | grep -q '"resources":\["nodes"\]'; }
check 'view has collected it' within 30 collected view
check 'and admin from view by edit' within 30 collected admin
k delete clusterrole nodes >/dev/null
check 'and lets it go' within 30 eval '! collected admin'
check 'a reference does not change' fails 'cannot change roleRef' k patch clusterrolebinding nodes --type=merge -p '{"roleRef":{"name":"view"}}'

relaunched() { kill "$server_pid"; wait "$server_pid" 2>/dev/null; launch --container-runtime fake; }
k delete clusterrole view >/dev/null
relaunched >"$work/out" 2>&1; result 'the server starts again' $? "$work/out"
check 'with the default role that was deleted' contains view k get clusterrole view
check 'and roles are in force' contains 'No resources found' jane get pods
finish
