# test/e2e/lib.sh: what every end-to-end test shares. Source it first; it runs the rest of the script inside namespaces of its own (network
# without a way out, mounts, processes), so that nothing of a test is seen by the machine or by another test, and everything ends with it.
#
#   start_berth [OPTION...]   a server on a data directory of its own, images imported; KUBECONFIG is set
#   k ARGUMENTS               kubectl of the version under test (KUBECTL_VERSION: 1.20, 1.32 or 1.36)
#   check NAME COMMAND...     one test: the command succeeds; its output is shown when not
#   within SECONDS COMMAND... repeats the command until it succeeds
#   field RESOURCE/NAME PATH  one field, by JSONPath
#   pod NAME YAML [LINE]      a busybox pod of one container, and forget NAME...; ready, phase and shows ask about it
#   archive FILE REF LAYER    an image of that layer as an OCI archive
#   lacking PROGRAM           a test is skipped because npm could not fetch the program
#   finish                    stops the server and checks that nothing is left behind

set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${BERTH_CACHE:-$top/.cache}
if [ -z "${E2E_INSIDE:-}" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "ok 1 - $(basename "$0") # SKIP needs root for namespaces and containers"; echo 1..1; exit 0
    fi
    export E2E_INSIDE=1
    # timeout ends the namespace's first process, and the kernel all others.
    exec timeout -k 5 "${E2E_TIMEOUT_S:-240}" unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private bash "$0" "$@"
fi

berth=${BERTH:-$top/build/release/berth}
KUBECTL_VERSION=${KUBECTL_VERSION:-1.32}
kubectl=$cache/bin/kubectl-$KUBECTL_VERSION
work=$(mktemp -d /tmp/berth-e2e.XXXXXX)
data=$work/data
export HOME=$work KUBECONFIG=$data/kubeconfig
number=0 failed=0 server_pid=

ip link set lo up
# The machine's resolvers are not to be asked: a resolver of our own, when a test wants one, listens here.
echo 'nameserver 127.0.0.53' >"$work/resolv.conf"
mount --bind "$work/resolv.conf" /etc/resolv.conf

cleanup() {
    if [ -n "$server_pid" ]; then kill -9 "$server_pid"; wait "$server_pid"; fi 2>/dev/null
    if [ "$failed" != 0 ]; then echo "# the end of the server's log:"; tail -n 15 "$work/server.log" 2>/dev/null | sed 's/^/#   /'; fi
    [ ! -d "$data" ] || "$berth" stop --data-dir "$data" 2>&1 | sed "s/^/# /"
    umount /etc/resolv.conf 2>/dev/null
    # What a test that ended early had mounted itself.
    awk -v work="$work/" 'index($5, work) == 1 {print $5}' /proc/self/mountinfo | tac | xargs -r umount -l 2>/dev/null
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT

k() { timeout "${K_TIMEOUT_S:-60}" "$kubectl" "$@"; }

result() { # NAME CODE OUTPUT-FILE
    number=$((number + 1))
    if [ "$2" = 0 ]; then
        echo "ok $number - $1"
    else
        failed=$((failed + 1))
        sed 's/^/#   /' "$3" | tail -n 25
        echo "not ok $number - $1"
    fi
}

# lacking PROGRAM: npm could not fetch it; the test that it stands for is skipped.
lacking() {
    [ ! -x "$cache/bin/$1" ] || return 1
    number=$((number + 1)); echo "# npm could not fetch it: see $cache/npm/log"; echo "ok $number - $1 # SKIP"
}

check() {
    local name=$1; shift
    "$@" >"$work/out" 2>&1 # not in a subshell: launch sets server_pid
    result "$name" $? "$work/out"
}

# within SECONDS COMMAND...: the command's last output stays on standard output.
within() {
    local end=$((SECONDS + $1)) out; shift
    while :; do
        if out=$("$@" 2>&1); then echo "$out"; return 0; fi
        if [ $SECONDS -ge "$end" ]; then echo "$out"; echo "still not after the time: $*"; return 1; fi
        sleep 0.05
    done
}

equal() { # WANTED COMMAND...: the command's output is exactly that
    local wanted=$1 got; shift
    got=$("$@" 2>&1)
    [ "$got" = "$wanted" ] || { printf 'got:    %s\nwanted: %s\n' "$got" "$wanted"; return 1; }
}

contains() { # TEXT COMMAND...
    local text=$1 got; shift
    got=$("$@" 2>&1)
    case $got in *"$text"*) ;; *) printf 'no "%s" in:\n%s\n' "$text" "$got"; return 1 ;; esac
}

lacks() { # TEXT COMMAND...
    local text=$1 got; shift
    got=$("$@" 2>&1)
    case $got in *"$text"*) printf '"%s" is in:\n%s\n' "$text" "$got"; return 1 ;; *) ;; esac
}

fails() { # TEXT COMMAND...: fails and says TEXT
    local text=$1 got; shift
    if got=$("$@" 2>&1); then printf 'did not fail:\n%s\n' "$got"; return 1; fi
    case $got in *"$text"*) ;; *) printf 'no "%s" in:\n%s\n' "$text" "$got"; return 1 ;; esac
}

launch() { # OPTION...: starts the server, waits for its last line
    rm -f "$work/server.out" # an earlier server had the same last line
    "$berth" server --data-dir "$data" --node-name edge "$@" >"$work/server.out" 2>>"$work/server.log" &
    server_pid=$!
    within 20 grep -q '^ready' "$work/server.out" >/dev/null || { cat "$work/server.out" "$work/server.log"; return 1; }
}

relaunch() { # NAME: launch as a test; not inside check, whose subshell would keep server_pid to itself
    launch >"$work/out" 2>&1
    result "$1" $? "$work/out"
}

start_berth() {
    mkdir -p "$data"
    local image
    for image in ${E2E_IMAGES:-busybox redis}; do
        "$berth" image import "$cache/images/$image.tar" --data-dir "$data" >/dev/null || { echo "Bail out! cannot import $image"; exit 1; }
    done
    launch "$@" || { echo "Bail out! the server does not start"; exit 1; }
}

ready_count() { k get pods -l "$1" --no-headers 2>/dev/null | awk '{split($2,a,"/"); if (a[1]==a[2] && $3=="Running") n++} END {print n+0}'; }
pods_ready() { [ "$(ready_count "$1")" = "$2" ]; } # SELECTOR COUNT
gone() { ! k get "$@" >/dev/null 2>&1; }

field() { k get "$1" -o "jsonpath={$2}"; }
value_is() { [ "$("${@:2}")" = "$1" ]; } # WANTED COMMAND...: like equal, without a word
exit_code() { local wanted=$1; shift; "$@"; local got=$?; [ $got = "$wanted" ] || { echo "exit code $got, wanted $wanted"; return 1; }; }
ip_of() { field "svc/$1" .spec.clusterIP; }

# pod NAME CONTAINER-YAML [SPEC-LINE]; GRACE: its grace period
pod() {
    k apply -f - <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1}}
spec:
  terminationGracePeriodSeconds: ${GRACE:-1}
  ${3:-restartPolicy: Always}
  containers:
  - {name: main, image: busybox, imagePullPolicy: IfNotPresent, $2}
Y
}
forget() { k delete pod "$@" --grace-period=0 --force >/dev/null 2>&1; }
phase() { [ "$(field "pod/$1" .status.phase)" = "$2" ]; } # POD PHASE
ready() { [ "$(field "pod/$1" '.status.conditions[?(@.type=="Ready")].status')" = True ]; }
shows() { contains "$2" k get pod "$1"; } # POD TEXT

web_set() { # SERVICE REPLICAS: the manifest of the set web, whose pods tell their name on port 8080 and are ready while they have /tmp/ready
    cat <<Y
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: $1
  replicas: $2
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: web:1
        command: [sh, -c, "trap 'exit 0' TERM; mkdir -p /tmp/w; hostname >/tmp/w/index.html; touch /tmp/ready; httpd -f -p 8080 -h /tmp/w & wait"]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1, failureThreshold: 1}
Y
}

# archive FILE REF LAYER-TAR [WRONG]: an OCI archive with that layer; WRONG: digest (of the layer's blob), diff (of the unpacked layer).
archive() {
    local img=$work/img sum size cfg digest; rm -rf "$img"; mkdir -p "$img/blobs/sha256"
    blob() { digest=$(sha256sum "$1" | cut -d' ' -f1) size=$(stat -c %s "$1"); cp "$1" "$img/blobs/sha256/$digest"; }
    blob "$3"; local layer="{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:$digest\",\"size\":$size}" diff=$digest
    [ "${4:-}" != digest ] || echo more >>"$img/blobs/sha256/$digest"
    [ "${4:-}" != diff ] || diff=$(printf %064d 7)
    printf '{"architecture":"%s","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$(dpkg --print-architecture)" "$diff" >"$work/cfg"
    blob "$work/cfg"
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[%s]}' "$digest" "$size" "$layer" >"$work/mf"
    blob "$work/mf"
    printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"%s"}}]}' "$digest" "$size" "$2" >"$img/index.json"
    printf '{"imageLayoutVersion":"1.0.0"}' >"$img/oci-layout"
    tar -C "$img" -cf "$1" oci-layout index.json blobs
}

leftovers() { # everything a server could have left: prints it
    grep -F " $data" /proc/self/mountinfo
    ip -o link | grep -vE '^[0-9]+: (lo|tunl0|sit0|ip6tnl0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0|ip6gre0|teql0|dummy0|bond0|ifb[01])[@:]'
    nft list tables 2>/dev/null
    ps -eo pid,args | grep -E 'conmon|redis-server|crun' | grep -v grep
    find /sys/fs/cgroup -type d -name "$(basename "$work")*" 2>/dev/null
}

finish() {
    check 'berth stop ends the pods and the server' "$berth" stop --data-dir "$data"
    wait "$server_pid" 2>/dev/null; server_pid=
    check 'nothing is left behind: no mount, link, nft table, process' equal '' leftovers
    echo "1..$number"
    trap - EXIT; cleanup
    [ "$failed" = 0 ]; exit $?
}
