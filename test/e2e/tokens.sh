#!/bin/bash
# Tokens of service accounts: a program in a pod (kubectl, which finds the API as client-go's InClusterConfig does) is its account, as long as the pod
# and the account are there; kubectl create token; users, groups and who wants no token; Secrets with tokens.
. "$(dirname "$0")/lib.sh"
E2E_IMAGES=busybox start_berth

place=/var/run/secrets/kubernetes.io/serviceaccount
mkdir "$work/bin" && cp -L "$cache/bin/kubectl-1.36" "$work/bin/kubectl" && chmod 755 "$work" "$work/bin" "$work/bin/kubectl"
# A pod whose containers have kubectl at /k.
robot() { # NAME [SPEC-LINE]
    pod "$1" 'command: [sleep, "600"], volumeMounts: [{name: k, mountPath: /k, readOnly: true}]' "${2:-restartPolicy: Always}
  serviceAccountName: robot
  volumes: [{name: k, hostPath: {path: $work/bin}}]"
}
inside() { k exec "$@"; }
asks() { local in=$1; shift; inside "$in" -- env HOME=/tmp /k/kubectl "$@"; }
whoami() { # TOKEN: who a bearer is, over TLS without a certificate
    printf '{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}' |
        curl -s --cacert "$work/ca.crt" -H "Authorization: Bearer $1" -H 'Content-Type: application/json' -d @- \
            "$server/apis/authentication.k8s.io/v1/selfsubjectreviews"
}
code() { # PATH [CURL-OPTION...]
    local path=$1; shift
    curl -s -o /dev/null -w '%{http_code}' --cacert "$work/ca.crt" "$@" "$server$path"
}
claim() { cut -d. -f2 <<<"$1" | tr '_-' '/+' | { cat; echo ===; } | base64 -di 2>/dev/null | grep -o "\"$2\":[^,}]*" | head -1; }

server=$("$kubectl" config view --raw -o 'jsonpath={.clusters[0].cluster.server}')
"$kubectl" config view --raw -o 'jsonpath={.clusters[0].cluster.certificate-authority-data}' | base64 -d >"$work/ca.crt"
k create serviceaccount robot >/dev/null

in_pods() {
    check 'a pod is made' robot one
    check 'it runs' within 30 ready one
    check 'it has token, CA and namespace' equal "ca.crt
namespace
token" inside one -- ls $place
    check 'its namespace' equal default inside one -- cat $place/namespace
    check 'the volume is as Kubernetes has it' contains '"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}' k get pod one -o json -o 'jsonpath={.spec.volumes}'
    check 'nobody owns the volume that admission added' lacks kube-api-access k get pod one --show-managed-fields -o 'jsonpath={.metadata.managedFields}'
    check 'the files are in memory' contains "tmpfs $place tmpfs" inside one -- grep $place /proc/mounts
    check 'the program in it finds the API and is its account' within 30 contains 'system:serviceaccount:default:robot' asks one auth whoami
    check 'of its groups' contains 'system:serviceaccounts:default' asks one auth whoami
    check 'bound to its pod and node' contains '[edge]' asks one auth whoami
    check 'by the name of the Service' contains '"major"' inside one -- sh -c "HOME=/tmp /k/kubectl --server https://kubernetes.default.svc --certificate-authority $place/ca.crt --token \$(cat $place/token) get --raw /version"
    token=$(inside one -- cat $place/token)
    check 'what it may not do is refused in its name' contains 'User \"system:serviceaccount:default:robot\" cannot list resource \"secrets\"' \
        curl -s --cacert "$work/ca.crt" -H "Authorization: Bearer $token" "$server/api/v1/namespaces/default/secrets"
    k create role members --verb=get,list,watch,patch --resource=pods >/dev/null
    k create rolebinding members --role=members --serviceaccount=default:robot >/dev/null
    check 'with a role it sees the members of its set' contains 'pod/one' asks one get pods -o name
    check 'and says who leads, as Patroni does' contains labeled asks one label pod one role=primary
    check 'and nothing else' contains 'cannot delete resource \"pods\"' \
        curl -s -X DELETE --cacert "$work/ca.crt" -H "Authorization: Bearer $token" "$server/api/v1/namespaces/default/pods/one"
    check 'outside the pod the token says the same' contains '"username": "system:serviceaccount:default:robot"' whoami "$token"
    printf 'apiVersion: authentication.k8s.io/v1\nkind: TokenReview\nspec: {token: %s}\n' "$token" >"$work/review.yaml"
    check 'a review knows it, too' contains '"authenticated": true' k create -o json -f "$work/review.yaml"
    k delete pod one --now >/dev/null
    check 'after the pod has gone the token is worth nothing' equal 401 code /version -H "Authorization: Bearer $token"
    check 'and nobody is refused otherwise than by name' equal 403 code /api
}

who_wants_none() {
    pod none 'command: [sleep, "600"]' 'automountServiceAccountToken: false' >/dev/null
    check 'a pod that wants no token' within 30 ready none
    check 'has none' fails 'No such file' inside none -- ls $place
    k patch serviceaccount default -p '{"automountServiceAccountToken": false}' >/dev/null
    pod silent 'command: [sleep, "600"]' >/dev/null
    check 'nor has one whose account wants none' equal '' field pod/silent .spec.volumes
    pod wants 'command: [sleep, "600"]' 'automountServiceAccountToken: true' >/dev/null
    check 'unless it asks for one itself' contains kube-api-access- field pod/wants '.spec.volumes[*].name'
    k patch serviceaccount default -p '{"automountServiceAccountToken": null}' >/dev/null
    forget none silent wants
}

created() {
    check 'kubectl create token' eval 'token=$(k create token robot) && [ -n "$token" ]'
    token=$(k create token robot)
    check 'gives one that counts' contains '"username": "system:serviceaccount:default:robot"' whoami "$token"
    check 'for an hour' bash -c "[ \$(( $(claim "$token" exp | cut -d: -f2) - $(claim "$token" iat | cut -d: -f2) )) = 3600 ]"
    token=$(k create token robot --audience vault --duration 20m)
    check 'for others only' equal 401 code /version -H "Authorization: Bearer $token"
    check 'is too short a time' fails 'may not specify a duration less than 10 minutes' k create token robot --duration 5m
    check 'of an account that is not there' fails 'serviceaccounts "ghost" not found' k create token ghost
    k create secret generic lease >/dev/null
    token=$(k create token robot --bound-object-kind Secret --bound-object-name lease)
    check 'bound to a secret' equal 200 code /version -H "Authorization: Bearer $token"
    k delete secret lease >/dev/null
    check 'ends with it' equal 401 code /version -H "Authorization: Bearer $token"
    token=$(k create token robot)
    k delete serviceaccount robot >/dev/null
    check 'and each with its account' equal 401 code /version -H "Authorization: Bearer $token"
    k create serviceaccount robot >/dev/null
}

files() {
    robot user "securityContext: {runAsUser: 1000, fsGroup: 2000}
  serviceAccountName: robot
  volumes: [{name: k, hostPath: {path: $work/bin}}]" >/dev/null
    check 'a pod of another user' within 30 ready user
    check 'reads its token' equal '1000 2000 640' inside user -- stat -L -c '%u %g %a' $place/token
    check 'and the API takes it' within 30 contains robot asks user auth whoami
    forget user
}

secrets() {
    k apply -f - >/dev/null <<'Y'
apiVersion: v1
kind: Secret
metadata: {name: old, annotations: {kubernetes.io/service-account.name: robot}}
type: kubernetes.io/service-account-token
Y
    check 'a Secret for a token is filled' equal "$(cat "$work/ca.crt")" bash -c "'$kubectl' get secret old -o 'jsonpath={.data.ca\\.crt}' | base64 -d"
    token=$(field secret/old .data.token | base64 -d)
    check 'its token counts' contains '"username": "system:serviceaccount:default:robot"' whoami "$token"
    k delete serviceaccount robot >/dev/null
    check 'it goes with the account' within 20 gone secret old
    check 'and its token with it' equal 401 code /version -H "Authorization: Bearer $token"
    k create serviceaccount robot >/dev/null
}

for part in ${PARTS:-in_pods who_wants_none created files secrets}; do $part; done
finish
