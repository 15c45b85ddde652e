#!/bin/bash
# Whatever is wrong is said in one line that names it, and nothing is lost by it: machines that lack something, damaged or foreign files, full
# disks, broken manifests, hostile images, pods that cannot start.
. "$(dirname "$0")/lib.sh"
chmod 711 "$work"; install -m 755 "$berth" "$work/berth"; berth=$work/berth

# says TEXT COMMAND...: the command fails in time, and its standard error is one line that holds TEXT.
says() {
    local text=$1; shift
    if timeout -k 2 5 "$@" >"$work/says.out" 2>"$work/says.err"; then echo 'did not fail'; cat "$work/says.out"; return 1; fi
    local lines; lines=$(wc -l <"$work/says.err")
    [ "$lines" = 1 ] && grep -qF -- "$text" "$work/says.err" || { echo "wanted one line with: $text"; cat "$work/says.out" "$work/says.err"; return 1; }
}
fake=("$berth" server --container-runtime fake --data-dir)
die_quietly() { [ -z "$server_pid" ] || { kill "$server_pid"; wait "$server_pid" 2>/dev/null; server_pid=; }; }
api=https://127.0.0.1:6443
call() { curl -sS -m 30 --cacert "$data/tls/ca.crt" --cert "$data/tls/admin.crt" --key "$data/tls/admin.key" "$@"; }
unharmed() { k get --raw /readyz | grep -q ok && kill -0 "$server_pid"; }

options() {
    local d=$work/other
    check 'not root' says 'must run as root' setpriv --reuid 65534 --regid 65534 --clear-groups "$berth" server --data-dir /tmp/none
    local program path
    for program in conmon crun; do # hidden under a file that cannot be run, in this test's own mounts
        path=$(type -P $program)
        mount --bind "$work/resolv.conf" "$path"
        check "$program missing: the package is named" says "install the Debian package $program" "$berth" server --data-dir "$d"
        umount "$path"
    done
    check 'an unknown subcommand' fails 'sail' "$berth" sail
    check 'an unknown flag' fails 'sails' "$berth" server --sails
    check 'an unexpected word' says '"away"' "${fake[@]}" "$d" away
    check 'a port beyond 65535' says '"99999" is no port' "${fake[@]}" "$d" --https-listen-port 99999
    check 'a port that is a word' says '"tls" is no port' "${fake[@]}" "$d" --https-listen-port tls
    check 'an address that is a word' says '"moon" is no IP address' "${fake[@]}" "$d" --bind-address moon
    check 'an address of another machine' says '192.0.2.1' "${fake[@]}" "$work/else" --bind-address 192.0.2.1
    check 'a range that is none' says '10.42.0.0/33' "${fake[@]}" "$d" --cluster-cidr 10.42.0.0/33
    check 'ranges that overlap' says 'overlap' "$berth" server --data-dir "$d" --cluster-cidr 10.42.0.0/16 --service-cidr 10.42.8.0/24 --cluster-dns 10.42.8.10
    check 'a DNS address outside the service range' says '10.99.0.10' "$berth" server --data-dir "$d" --cluster-dns 10.99.0.10
    check 'a node name with capitals' says 'UPPER' "${fake[@]}" "$d" --node-name UPPER
    check 'a bad domain' says 'a..b' "${fake[@]}" "$d" --cluster-domain a..b
    check 'a mirror that is none' says 'docker.io=http' "${fake[@]}" "$d" --registry-mirror docker.io
    check 'an unknown runtime' says '"docker" is unknown' "$berth" server --data-dir "$d" --container-runtime docker
    check 'an unknown log format' says '"xml" is unknown' "${fake[@]}" "$d" --log-format xml
    check 'a level that is a word' says '"loud" is no level' "${fake[@]}" "$d" -v loud
    check 'an empty data directory name' says 'is empty' "${fake[@]}" ''
    touch "$work/file"
    check 'a data directory that is a file' says "$work/file" "${fake[@]}" "$work/file"
    mkdir "$work/sealed"; mount -t tmpfs -o ro,size=64k none "$work/sealed"
    check 'a data directory that cannot be written' says "$work/sealed" "${fake[@]}" "$work/sealed"
    umount "$work/sealed"

    check 'a missing configuration file' says "$work/none.yaml" "${fake[@]}" "$d" --config "$work/none.yaml"
    config() { printf '%b' "$2" >"$work/c.yaml"; check "configuration: $1" says "$3" "${fake[@]}" "$d" --config "$work/c.yaml"; }
    config 'an unknown setting' 'colour: blue\n' '"colour" is unknown'
    config 'a bad value' 'https-listen-port: many\n' '"many" is no port'
    config 'a list where one value belongs' 'node-name: [a, b]\n' 'single value'
    config 'no mapping' '- a\n- b\n' 'mapping'
    config 'broken YAML' 'node-name: "edge\n' 'YAML'
    config 'binary' '\x01\x02\x00' 'c.yaml'
    head -c 300000 /dev/zero | tr '\0' '#' >"$work/c.yaml"
    check 'configuration: too large' says '256 KiB' "${fake[@]}" "$d" --config "$work/c.yaml"
    check 'nothing was made by all these' bash -c "! [ -e '$d/berth.db' ]"
}

databases() {
    data=$work/db; KUBECONFIG=$data/kubeconfig
    launch --container-runtime fake || return
    k apply -f - >/dev/null <<<'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"kept"},"data":{"a":"b"}}'
    check 'data directory in use: by whom, and what to do' says "process $server_pid: stop it with" "${fake[@]}" "$data" --https-listen-port 7443
    check 'port in use: another is proposed' says 'choose another with --https-listen-port' "${fake[@]}" "$work/db2"
    check 'the first server does not mind' unharmed
    die_quietly
    local db=$data/berth.db before
    sum() { sha256sum "$db" | cut -d' ' -f1; }
    cp "$db" "$work/good.db"; cp "$db-wal" "$work/good.wal" 2>/dev/null

    sqlite3 "$db" 'PRAGMA wal_checkpoint(TRUNCATE); UPDATE meta SET format=99; PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null; before=$(sum)
    check 'a newer data directory is refused' says 'newer version' "${fake[@]}" "$data"
    check 'and left as it is' equal "$before" sum
    sqlite3 "$db" 'UPDATE meta SET format=1; PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null

    sqlite3 "$db" "UPDATE log SET body=replace(body,'kept','lost') WHERE key LIKE '%kept%'; PRAGMA wal_checkpoint(TRUNCATE)" >/dev/null; before=$(sum)
    check 'a changed row: damaged' says 'is damaged' "${fake[@]}" "$data"
    check 'a changed row: left as it is' equal "$before" sum
    cp "$work/good.db" "$db"; [ ! -f "$work/good.wal" ] || cp "$work/good.wal" "$db-wal"
    sqlite3 "$db" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null; cp "$db" "$work/good.db"; rm -f "$db-wal" "$db-shm"
    local size; size=$(stat -c %s "$db")
    dd if=/dev/urandom of="$db" bs=4096 seek=$((size / 4096 - 2)) count=1 conv=notrunc status=none; before=$(sum)
    check 'an overwritten page: damaged' says 'is damaged' "${fake[@]}" "$data"
    check 'an overwritten page: left as it is' equal "$before" sum
    cp "$work/good.db" "$db"; truncate -s 8192 "$db"; before=$(sum); rm -f "$db-wal" "$db-shm"
    check 'a cut file: damaged' says 'is damaged' "${fake[@]}" "$data"
    check 'a cut file: left as it is' equal "$before" sum
    head -c 20000 /dev/urandom >"$db"; before=$(sum); rm -f "$db-wal" "$db-shm"
    check 'no database at all' says "$db" "${fake[@]}" "$data"
    check 'no database: left as it is' equal "$before" sum
    cp "$work/good.db" "$db"; rm -f "$db-wal" "$db-shm"
    check 'the copy put back works' launch --container-runtime fake
    check 'nothing was lost' equal b k get configmap kept -o 'jsonpath={.data.a}'
    die_quietly
    rm -rf "$data"
}

full_disk() {
    data=$work/small; KUBECONFIG=$data/kubeconfig
    mkdir "$data"; mount -t tmpfs -o size=6m none "$data"
    launch --container-runtime fake || return
    head -c 20000 /dev/zero | tr '\0' x >"$work/20k"
    k create configmap first --from-file="$work/20k" >/dev/null
    dd if=/dev/zero of="$data/filler" bs=64k status=none 2>/dev/null
    fill() { local i; for i in $(seq 60); do k create configmap "fill-$i" --from-file="$work/20k" || return; done; }
    check 'disk full: writes are refused, with the reason' fails 'space' fill
    check 'disk full: reads work' contains first k get configmap first
    check 'disk full: the server lives' kill -0 "$server_pid"
    kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null
    rm "$data/filler"
    check 'room again: it starts' launch --container-runtime fake
    check 'room again: what was acknowledged is there' contains first k get configmap first
    dd if=/dev/zero of="$data/filler" bs=64k status=none 2>/dev/null
    (fill) >/dev/null 2>&1
    rm "$data/filler"
    check 'room again without a restart: writes work' within 10 k create configmap after --from-literal=a=b
    die_quietly
    umount "$data"; rmdir "$data"
}

images() {
    local d=$work/images t=$work/tree
    local import=("$berth" image import --data-dir "$d")
    mkdir -p "$t" "$work/outside"; echo fine >"$t/fine"
    tar -C "$t" -cf "$work/layer.tar" fine
    archive "$work/a.tar" good:1 "$work/layer.tar"
    check 'a good archive, to compare' contains good:1 "${import[@]}" "$work/a.tar"
    check 'no such file' says 'No such file' "${import[@]}" "$work/none.tar"
    echo 'no archive' >"$work/b.tar"
    check 'no archive at all' says "$work/b.tar" "${import[@]}" "$work/b.tar"
    head -c 5000 "$cache/images/busybox.tar" >"$work/b.tar"
    check 'a cut archive' says "$work/b.tar" "${import[@]}" "$work/b.tar"
    tar -C "$t" -cf "$work/b.tar" fine
    check 'an archive of something else' says 'image' "${import[@]}" "$work/b.tar"
    echo other >"$t/fine"; tar -C "$t" -cf "$work/layer.tar" fine # a layer that the store does not have
    archive "$work/b.tar" bad:1 "$work/layer.tar" digest
    check 'a wrong layer digest' says 'sha256:' "${import[@]}" "$work/b.tar"
    archive "$work/b.tar" bad:1 "$work/layer.tar" diff
    check 'a wrong digest of the unpacked layer' says 'sha256:' "${import[@]}" "$work/b.tar"
    head -c 3000 /dev/urandom >"$work/noise"
    archive "$work/b.tar" bad:1 "$work/noise"
    check 'a layer that is noise' says "$work/b.tar" "${import[@]}" "$work/b.tar"

    # Layers that reach out: refused or held inside, never written outside.
    outside_is_empty() { [ -z "$(ls -A "$work/outside")" ] && [ ! -e "$work/escaped" ] && [ ! -e "$d/escaped" ] && [ ! -e "$d/images/escaped" ] && [ ! -e /escaped ]; }
    tar -C "$t" -P --transform 's,^fine,../../../../../../../../../../escaped,' -cf "$work/layer.tar" fine
    archive "$work/b.tar" bad:2 "$work/layer.tar"
    check 'a layer with .. in a path' says 'escaped' "${import[@]}" "$work/b.tar"
    ln -s "$work/outside" "$t/link"
    tar -C "$t" -cf "$work/layer.tar" link
    tar -C "$t" --transform 's,^fine,link/escaped,' -rf "$work/layer.tar" fine
    archive "$work/b.tar" bad:3 "$work/layer.tar"
    "${import[@]}" "$work/b.tar" >/dev/null 2>&1
    check 'a layer that writes through its own link stays inside' outside_is_empty
    tar -C "$t" -P --transform 's,^fine,/escaped,' -cf "$work/layer.tar" fine
    archive "$work/b.tar" bad:4 "$work/layer.tar"
    "${import[@]}" "$work/b.tar" >/dev/null 2>&1
    check 'an absolute path stays inside' outside_is_empty
    ln "$t/fine" "$t/hard"; echo secret >"$work/outside-file"
    tar -C "$t" -P --transform "s,^fine,$work/outside-file,h" -cf "$work/layer.tar" fine hard
    archive "$work/b.tar" bad:5 "$work/layer.tar"
    "${import[@]}" "$work/b.tar" >/dev/null 2>&1
    check 'a hard link to a file outside is no link to it' equal 1 stat -c %h "$work/outside-file"
    check 'none of the bad images is listed' equal 0 bash -c "'$berth' image ls --data-dir '$d' | grep -c 'bad:[12]'"
    check 'no work is left behind' equal '' bash -c "ls -A '$d/images/tmp'"
    check 'rm of an unknown image' says 'no such image' "$berth" image rm nothing:1 --data-dir "$d"
    check 'a malformed reference' says 'UPPER' "$berth" image pull 'UPPER/Case:1' --data-dir "$d"
    rm -rf "$d"
}

manifests() {
    local cm='{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}'
    post() { call -o "$work/reply" -w '%{http_code} ' -H "Content-Type: ${T:-application/json}" --data-binary @- "$api/api/v1/namespaces/default/${R:-configmaps}"; cat "$work/reply"; }
    pod() { cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: busybox, imagePullPolicy: IfNotPresent, $2}]
Y
    }
    check 'an unknown field is named' fails 'comand' bash -c "$(declare -f pod); pod x 'comand: [ls]' | '$kubectl' apply -f -"
    check 'a wrong type is named' fails 'replicas' bash -c "sed 's/replicas: 3/replicas: three/' '$top/examples/redis.yaml' | '$kubectl' apply -f - --validate=false"
    check 'nothing of the set was made' gone sts redis
    check 'an unknown kind is named' fails 'Submarine' bash -c "echo '{\"apiVersion\":\"v1\",\"kind\":\"Submarine\",\"metadata\":{\"name\":\"x\"}}' | '$kubectl' apply -f -"
    check 'broken YAML' fails 'yaml' bash -c "printf 'a: [1\nb: }\n' | '$kubectl' apply -f -"
    check 'an empty name' fails 'name' bash -c "echo '{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{}}' | '$kubectl' create -f -"
    check 'a bad name' fails 'Bad_Name' k create configmap Bad_Name
    broken() { echo "$cm" | post; }
    check 'broken JSON: 400' contains '400 ' broken
    latin() { printf '%s,"data":{"a":"\xff\xfe"}}' "$cm" | post; }
    check 'bytes that are no UTF-8: 400' contains '400 ' latin
    wrong() { echo '[1,2]' | post; }
    check 'a list: 400' contains '400 ' wrong
    media() { echo "$cm}" | T=text/plain post; }
    check 'a wrong media type: 415' contains '415 ' media
    deep() { (printf '%s,"data":' "$cm"; printf '{"a":%.0s' $(seq 10000); printf 1; printf '}%.0s' $(seq 10001)) | post; }
    check 'JSON 10,000 deep: 400' contains '400 ' deep
    deep_yaml() { (printf 'apiVersion: v1\nkind: ConfigMap\ndata: '; printf '[%.0s' $(seq 10000); printf ']%.0s' $(seq 10000); echo) | T=application/yaml post; }
    check 'YAML 10,000 deep: 400' contains '400 ' deep_yaml
    bomb() { printf 'a: &a [x,x,x,x,x,x,x,x,x]\n'; local p=a q; for q in b c d e f g h i j; do printf '%s: &%s [*%s,*%s,*%s,*%s,*%s,*%s,*%s,*%s,*%s]\n' $q $q $p $p $p $p $p $p $p $p $p; p=$q; done; }
    laughs() { bomb | T=application/yaml post; }
    check 'YAML of a billion laughs: 400' contains '400 ' laughs
    big() { head -c 100000000 /dev/zero | tr '\0' ' ' | post; }
    check 'a body of 100 MB: 413' contains '413' big
    high_water() { [ "$(awk '/VmHWM/ {print $2}' "/proc/$server_pid/status")" -lt 150000 ] || { grep Vm "/proc/$server_pid/status"; return 1; }; }
    check 'without ever holding it' high_water
    check 'kubectl with 4 MB is told so' fails 'too large' bash -c "head -c 4000000 /dev/zero | tr '\0' x >'$work/4m'; '$kubectl' create configmap big --from-file='$work/4m'"
    check 'the server does not mind' unharmed

    # ---- pods that cannot be ----
    pod absent 'x: y' | sed 's/busybox, imagePullPolicy: IfNotPresent, x: y/"absent:9"/' | k apply -f - >/dev/null
    pod broken 'command: [/nothing/here]' | k apply -f - >/dev/null
    pod short 'command: [sh, -c, "exit 3"]' | k apply -f - >/dev/null
    pod lost 'command: [ls]' | sed 's/spec:/spec:\n  nodeSelector: {sea: dead}/' | k apply -f - >/dev/null
    sed -e 's/accessModes/storageClassName: golden\n        accessModes/' -e 's/redis:7/busybox:latest/' "$top/examples/redis.yaml" | k apply -f - >/dev/null
    events() { k get events --field-selector "involvedObject.name=$1" -o 'jsonpath={range .items[*]}{.type} {.reason}: {.message}{"\n"}{end}'; }
    waiting() { contains "$2" k get pod "$1"; }
    check 'an absent image: ErrImagePull or its back-off at once' within 10 waiting absent 'Im'
    check 'then ImagePullBackOff' within 20 waiting absent ImagePullBackOff
    check 'the event names the reference' contains 'absent:9' events absent
    check 'the event names the reason' contains 'not found' events absent
    check 'the event is of reason Failed' contains 'Warning Failed: Failed to pull image "absent:9"' events absent
    check 'and the back-off has one' within 10 contains 'BackOff: Back-off pulling image "absent:9"' events absent
    check 'a missing command: named in describe' within 15 contains '/nothing/here' k describe pod broken
    check 'a missing command: backs off' within 25 waiting broken CrashLoopBackOff
    check 'a container that exits at once: CrashLoopBackOff' within 25 waiting short CrashLoopBackOff
    check 'its exit code is told' equal 3 k get pod short -o 'jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}'
    check 'the back-off is told' contains 'Back-off restarting failed container' events short
    check 'a pod that fits no node: Pending' waiting lost Pending
    check 'and why' within 5 contains 'affinity/selector' k describe pod lost
    check 'an unknown storage class: the claim is Pending' within 10 contains Pending k get pvc data-redis-0
    check 'the claim says why' within 10 contains '"golden" not found' k describe pvc data-redis-0
    check 'the pod is Pending' waiting redis-0 Pending
    check 'the pod says why' within 10 contains 'PersistentVolumeClaim' k describe pod redis-0
    check 'the class made later heals it' bash -c "'$kubectl' get sc local -o json | jq 'del(.metadata.uid,.metadata.resourceVersion,.metadata.annotations)|.metadata.name=\"golden\"' | '$kubectl' create -f -"
    bound() { [ "$(k get pvc data-redis-0 -o 'jsonpath={.status.phase}')" = Bound ]; }
    check 'the claim is bound then' within 20 bound
    check 'all of them go' k delete pods,sts --all --timeout=30s
}

options
databases
full_disk
images
data=$work/data KUBECONFIG=$work/data/kubeconfig
# A registry that has nothing: every answer is 404.
perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 5555, Listen => 8, ReuseAddr => 1) or die; while ($c = $s->accept) { while (<$c>) { last if /^\r?\n$/ } print $c "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"; close $c }' &
registry_pid=$!
E2E_IMAGES=busybox start_berth --registry-mirror docker.io=http://127.0.0.1:5555
manifests
kill $registry_pid 2>/dev/null
finish
