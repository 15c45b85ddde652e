#!/bin/bash
# Images: from a real registry on loopback, by every pull policy, with tokens, over a line that breaks, with bytes that lie; from archives and
# pipes; listed and removed.
. "$(dirname "$0")/lib.sh"
if ! command -v docker-registry >/dev/null; then
    echo "ok 1 - registry.sh # SKIP needs the Debian package docker-registry"; echo 1..1; trap - EXIT; cleanup; exit 0
fi

# serve NAME PORT [AUTH-YAML]: a registry of its own; $work/NAME.log has its requests.
serve() {
    printf 'version: 0.1\nlog: {level: warn, accesslog: {disabled: false}}\nstorage: {filesystem: {rootdirectory: "%s"}, maintenance: {uploadpurging: {enabled: false}}}\nhttp: {addr: "127.0.0.1:%s", secret: x}\n%s\n' "$work/$1" "$2" "${3:-}" >"$work/$1.yml"
    docker-registry serve "$work/$1.yml" >"$work/$1.log" 2>&1 &
    helpers="$helpers $!"
    within 10 curl -s -o "$work/ping" "http://127.0.0.1:$2/v2/" >/dev/null
}
helpers=
# push PORT NAME:TAG: sends the image that `archive` left in $work/img.
push() {
    local base=http://127.0.0.1:$1/v2/library/${2%:*} blob location manifest
    manifest=$(jq -r '.manifests[0].digest' "$work/img/index.json")
    for blob in $(cd "$work/img/blobs/sha256" && ls); do
        [ "sha256:$blob" != "$manifest" ] || continue
        location=$(curl -fsS "${auth[@]}" -X POST -D - -o "$work/ping" "$base/blobs/uploads/" | tr -d '\r' | awk 'tolower($1)=="location:" {print $2}') || return
        case $location in /*) location=http://127.0.0.1:$1$location ;; esac
        curl -fsS "${auth[@]}" -X PUT -H 'Content-Type: application/octet-stream' --data-binary @"$work/img/blobs/sha256/$blob" "$location&digest=sha256:$blob" || return
    done
    curl -fsS "${auth[@]}" -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @"$work/img/blobs/sha256/${manifest#sha256:}" "$base/manifests/${2#*:}"
}
auth=()
# image REF WORD [SIZE]: busybox with the word in /word, and a file of noise of SIZE bytes, left in $work/img.
image() {
    rm -rf "$work/tree"; mkdir -p "$work/tree"
    tar -xf "$cache/images/busybox.tar" -C "$work/tree" --wildcards 'blobs/*'
    local layer; layer=$(ls -S "$work"/tree/blobs/sha256/* | head -1)
    gzip -dc "$layer" >"$work/layer.tar"
    mkdir "$work/tree/more"; echo "$2" >"$work/tree/more/word"; head -c "${3:-10}" /dev/urandom >"$work/tree/more/noise"
    tar -C "$work/tree/more" -rf "$work/layer.tar" word noise
    archive "$work/$2.tar" "$1" "$work/layer.tar"
    layer_digest=$(jq -r '.layers[0].digest' "$work/img/blobs/sha256/$(jq -r '.manifests[0].digest' "$work/img/index.json" | cut -d: -f2)")
}
asked() { grep -cE '"(GET|HEAD) /v2/[^ ]*'"$2" "$work/$1.log"; } # REGISTRY PATTERN: how many requests
run_pod() { # NAME IMAGE POLICY
    k apply -f - >/dev/null <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "$2", imagePullPolicy: $3, command: [sleep, "600"]}]
Y
}
says_word() { equal "$2" k exec "$1" -- cat /word; }
mirrors=(--registry-mirror docker.io=http://127.0.0.1:5000 --registry-mirror private.test=http://127.0.0.1:5002 --registry-mirror cut.test=http://127.0.0.1:5004)
pull() { timeout 60 "$berth" image pull "$1" --data-dir "$data" "${mirrors[@]}"; }
blobs_of() { find "$data/images/blobs" -type f | wc -l; }

serve plain 5000
E2E_IMAGES='busybox web' start_berth "${mirrors[@]}"

policies() {
    image tide:1 first; check 'push to the registry' push 5000 tide:1
    push 5000 tide:latest
    check 'pull' contains 'docker.io/library/tide:1 sha256:' pull tide:1
    check 'pull again, which says what it does, transfers no blob' contains 'pulling docker.io/library/tide:1' pull tide:1
    check 'indeed none' equal 2 asked plain 'tide/blobs/'
    check 'ls shows it' contains 'docker.io/library/tide:1' "$berth" image ls --data-dir "$data"
    check 'pull of what is not there' fails 'docker.io/library/tide:9' pull tide:9
    local before; before=$(asked plain '')
    run_pod local busybox:latest IfNotPresent; run_pod never web:1 Never; run_pod pulled tide:1 IfNotPresent
    check 'local images start' within 20 ready local
    check 'with Never too' within 20 ready never
    check 'and the one pulled before' within 20 ready pulled
    check 'no request was made for them' equal "$before" asked plain ''
    run_pod absent nowhere:1 Never
    never_pull() { contains ErrImageNeverPull k get pod absent; }
    check 'Never with an absent image says so' within 10 never_pull
    check 'still no request' equal "$before" asked plain ''
    run_pod newest tide:latest Always
    check 'Always starts' within 20 ready newest
    check 'with the first content' says_word newest first
    k delete pod newest >/dev/null
    image tide:latest second; push 5000 tide:latest
    run_pod newest tide:latest Always
    check 'Always again' within 20 ready newest
    check 'has the new content' says_word newest second
    run_pod stay tide:latest IfNotPresent
    check 'the event of a local image' within 20 ready stay
    check 'says that it was present' contains 'already present on machine' k describe pod stay
    check 'the event of a pull tells its time' contains 'Successfully pulled image' k describe pod newest
    image fresh:1 third; push 5000 fresh:1
    run_pod fresh fresh:1 IfNotPresent
    check 'IfNotPresent pulls what is absent' within 20 ready fresh
    check 'and runs it' says_word fresh third
    local digest; digest=$(jq -r '.manifests[0].digest' "$work/img/index.json")
    run_pod exact "fresh@$digest" IfNotPresent
    check 'an image by its digest' within 20 ready exact
    check 'imageID has the digest' contains "$digest" k get pod exact -o 'jsonpath={.status.containerStatuses[0].imageID}'
}

removal() {
    local many; many=$(blobs_of)
    check 'rm of an image in use leaves its container whole' bash -c "'$berth' image rm fresh:1 --data-dir '$data'; '$kubectl' exec fresh -- cat /word | grep third"
    k delete pod fresh exact >/dev/null
    run_pod fresh fresh:1 IfNotPresent
    check 'what was removed is pulled again' within 20 ready fresh
    k delete pods --all >/dev/null
    unmounted() { ! grep -q "merged.* overlay " /proc/self/mountinfo; }
    check 'deleted pods let go of their images' within 10 unmounted
    check 'rm' "$berth" image rm tide:1 --data-dir "$data"
    check 'rm took it off the list' lacks 'tide:1' "$berth" image ls --data-dir "$data"
    check 'rm of it again' fails 'no such image' "$berth" image rm tide:1 --data-dir "$data"
    "$berth" image rm tide:latest --data-dir "$data"; "$berth" image rm fresh:1 --data-dir "$data"
    fewer() { [ "$(blobs_of)" = 6 ] || { find "$data/images/blobs" -type f; "$berth" image ls --data-dir "$data"; return 1; }; }
    check 'only the blobs of the two local images are left' fewer
    layers() { [ "$(ls "$data/images/layers" | wc -l)" = 2 ] || { ls "$data/images/layers"; return 1; }; }
    check 'and their two layers' layers
}

archives() {
    image pipe:1 piped
    piped() { "$berth" image import - --data-dir "$data" <"$work/piped.tar"; }
    check 'import from standard input' contains 'pipe:1' piped
    squeezed() { gzip -c "$work/piped.tar" | "$berth" image import - --data-dir "$data"; }
    check 'import of a compressed pipe' contains 'pipe:1' squeezed
    local d=$work/docker; mkdir -p "$d/layer"
    cp "$work/layer.tar" "$d/layer/layer.tar"; cp "$work/img/blobs/sha256/$(jq -r '.config.digest' "$work/mf" | cut -d: -f2)" "$d/config.json"
    echo '[{"Config":"config.json","RepoTags":["saved:1"],"Layers":["layer/layer.tar"]}]' >"$d/manifest.json"
    tar -C "$d" -cf "$work/docker.tar" manifest.json config.json layer
    check 'import of a docker save archive' contains 'saved:1' "$berth" image import "$work/docker.tar" --data-dir "$data"
    run_pod saved saved:1 Never
    check 'it runs' within 20 ready saved
    check 'with its content' says_word saved piped
    jq 'del(.manifests[0].annotations)' "$work/img/index.json" >"$work/i" && mv "$work/i" "$work/img/index.json"
    tar -C "$work/img" -cf "$work/nameless.tar" oci-layout index.json blobs
    check 'an archive without a name takes --as' contains 'named:1' "$berth" image import "$work/nameless.tar" --as named:1 --data-dir "$data"
    check 'and is refused without' fails 'name' "$berth" image import "$work/nameless.tar" --data-dir "$data"
}

broken_lines() {
    image big:1 big 3000000; push 5000 big:1
    local hex=${layer_digest#sha256:} size; size=$(stat -c %s "$work/img/blobs/sha256/$hex")
    head -c 1000000 "$work/img/blobs/sha256/$hex" >"$data/images/tmp/partial-$hex"
    check 'a pull goes on where another stopped' pull big:1
    check 'by a range request' grep -E "big/blobs/sha256:$hex.* 206 $((size - 1000000)) " "$work/plain.log"
    "$berth" image rm big:1 --data-dir "$data"
    head -c 1000000 /dev/urandom >"$data/images/tmp/partial-$hex"
    check 'a partial file that lies is found out' fails 'arrived as' pull big:1
    check 'and thrown away: the next pull works' pull big:1
    "$berth" image rm big:1 --data-dir "$data"

    # A line that breaks after 700 kB, again and again.
    perl -MIO::Socket::INET -e '
        $SIG{CHLD} = "IGNORE"; $SIG{PIPE} = "IGNORE";
        my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 5004, Listen => 8, ReuseAddr => 1) or die;
        while (my $c = $s->accept) {
            next if fork; # the child serves
            my $u = IO::Socket::INET->new(PeerAddr => "127.0.0.1:5000") or exit; my $sent = 0; my $b;
            while (1) {
                my $r = ""; vec($r, fileno($c), 1) = 1; vec($r, fileno($u), 1) = 1; select($r, undef, undef, 10) or exit;
                if (vec($r, fileno($c), 1)) { sysread($c, $b, 65536) or exit; syswrite($u, $b) }
                if (vec($r, fileno($u), 1)) { sysread($u, $b, 65536) or exit; syswrite($c, $b); $sent += length $b; exit if $sent > 700000 }
            }
        }' &
    helpers="$helpers $!"
    sleep 0.3
    broken() { pull cut.test/library/big:1 || pull cut.test/library/big:1; }
    check 'a line that breaks four times' broken
    ranges() { [ "$(grep -cE "big/blobs/sha256:$hex.* 206 " "$work/plain.log")" -ge 4 ] || grep "big/blobs/sha256:$hex" "$work/plain.log"; }
    check 'went on by ranges' ranges

    image liar:1 liar; push 5000 liar:1
    hex=${layer_digest#sha256:}
    local stored=$work/plain/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data
    cp "$stored" "$work/true"; printf 'x' | dd of="$stored" bs=1 seek=5000 conv=notrunc status=none
    check 'a registry that serves other bytes is found out' fails 'arrived as' pull liar:1
    run_pod liar liar:1 IfNotPresent
    lying() { contains 'arrived as' k describe pod liar; }
    check 'the pod says it' within 10 lying
    check 'nothing of it is kept' lacks liar "$berth" image ls --data-dir "$data"
    cp "$work/true" "$stored"
    check 'the true bytes are taken later' within 45 ready liar
}

# JSON Web Tokens by openssl, a token service by perl.
tokens() {
    local now; now=$(date +%s)
    url64() { base64 -w0 | tr '+/' '-_' | tr -d '='; }
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=issuer -keyout "$work/t.key" -out "$work/t.crt" 2>/dev/null
    jwt() { # ACTIONS
        local head body
        head=$(printf '{"typ":"JWT","alg":"RS256","x5c":["%s"]}' "$(openssl x509 -in "$work/t.crt" -outform DER | base64 -w0)" | url64)
        body=$(printf '{"iss":"issuer","sub":"me","aud":"harbour","exp":%s,"nbf":%s,"iat":%s,"jti":"1","access":[{"type":"repository","name":"library/secret","actions":[%s]}]}' $((now + 3600)) $((now - 60)) "$now" "$1" | url64)
        printf '%s.%s.%s' "$head" "$body" "$(printf '%s.%s' "$head" "$body" | openssl dgst -sha256 -sign "$work/t.key" -binary | url64)"
    }
    printf '{"token":"%s"}' "$(jwt '"pull"')" >"$work/token.json"
    auth=(-H "Authorization: Bearer $(jwt '"pull","push"')")
    WORK=$work perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 5003, Listen => 8, ReuseAddr => 1) or die;
        while (my $c = $s->accept) {
            my $log = ""; while (<$c>) { last if /^\r?\n$/; $log .= $_ }
            open my $l, ">>", "$ENV{WORK}/tokens.log"; print $l $log; close $l;
            open my $f, "<", "$ENV{WORK}/token.json"; my $t = <$f>;
            my $status = -e "$ENV{WORK}/members-only" && $log !~ /^Authorization: Basic bWU6c2VjcmV0/mi ? "401 Unauthorized" : "200 OK";
            $t = "{}" if $status =~ /401/;
            print $c "HTTP/1.1 $status\r\nContent-Type: application/json\r\nContent-Length: " . length($t) . "\r\nConnection: close\r\n\r\n$t"; close $c;
        }' &
    helpers="$helpers $!"
    serve private 5002 "auth: {token: {realm: 'http://127.0.0.1:5003/token', service: harbour, issuer: issuer, rootcertbundle: '$work/t.crt'}}"
    image secret:1 hidden 200000
    check 'push with a token' push 5002 secret:1
    auth=()
    check 'pull with a token' contains 'private.test/library/secret:1' pull private.test/library/secret:1
    check 'the token service was asked for this repository' grep -E 'GET /token\?service=harbour&scope=repository(:|%3A)library(/|%2F)secret(:|%3A)pull' "$work/tokens.log"
    "$berth" image rm private.test/library/secret:1 --data-dir "$data"
    run_pod secret private.test/library/secret:1 Always
    check 'a pod pulls with a token' within 20 ready secret
    check 'and runs it' says_word secret hidden
    k delete pod secret >/dev/null; "$berth" image rm private.test/library/secret:1 --data-dir "$data"
    touch "$work/members-only"
    check 'a token service that refuses' fails 'answered 401' pull private.test/library/secret:1
    run_pod secret private.test/library/secret:1 Always
    denied() { contains 'ImagePullBackOff' k get pod secret; }
    check 'the pod waits' within 20 denied
    check 'and says why' contains '401' k describe pod secret
    k delete pod secret >/dev/null
    check 'a pull secret' contains created k create secret docker-registry harbour --docker-server=private.test --docker-username=me --docker-password=secret
    k apply -f - >/dev/null <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: member}
spec:
  terminationGracePeriodSeconds: 0
  imagePullSecrets: [{name: harbour}]
  containers: [{name: main, image: "private.test/library/secret:1", command: [sleep, "600"]}]
Y
    check 'lets the pod in' within 20 ready member
}

# A disk of 64 MB for images, with one that takes a third of it in use, and then another.
full_disk() {
    k delete pods --all --grace-period=0 --force >/dev/null 2>&1
    kill "$server_pid"; wait "$server_pid" 2>/dev/null
    rm -rf "$data/images"; mkdir "$data/images"; mount -t tmpfs -o size=64m tmpfs "$data/images"
    check 'thresholds the wrong way round are refused' fails 'is above --image-gc-high-threshold 30' \
        "$berth" server --data-dir "$data" --image-gc-high-threshold 30 --image-gc-low-threshold 40
    check 'and a threshold that is none' fails 'is no percentage' "$berth" server --data-dir "$data" --image-gc-high-threshold 101
    E2E_IMAGES=busybox start_berth "${mirrors[@]}" --image-gc-high-threshold 50 --image-gc-low-threshold 45 --minimum-image-ttl 1
    listed() { "$berth" image ls --data-dir "$data" | grep -q "/$1 "; }
    unlisted() { ! listed "$1"; }
    image tank:1 first 9000000; push 5000 tank:1
    image tank:2 second 9000000; push 5000 tank:2
    run_pod one tank:1 IfNotPresent
    check 'a large image' within 20 ready one
    k delete pod one >/dev/null
    check 'stays while there is room' listed tank:1
    sleep 1.2
    run_pod two tank:2 IfNotPresent
    check 'another one' within 20 ready two
    check 'takes the place of the one that nobody uses' within 20 unlisted tank:1
    check 'the one in use stays' listed tank:2
    check 'and so does the one that was imported' listed busybox:latest
    check 'the pod lives on' says_word two second
    run_pod three busybox IfNotPresent
    check 'an imported image still starts' within 20 ready three
    image tank:3 third 9000000; push 5000 tank:3
    run_pod four tank:3 IfNotPresent
    check 'when all that is left is in use' within 20 ready four
    told() { contains 'Failed to garbage collect required amount of images' k get events --field-selector reason=FreeDiskSpaceFailed; }
    check 'the node says so' within 20 told
    k delete pods --all --grace-period=0 --force >/dev/null 2>&1
    kill "$server_pid"; wait "$server_pid" 2>/dev/null
    "$berth" stop --data-dir "$data" >/dev/null 2>&1
    within 10 umount "$data/images"
    launch >/dev/null 2>&1
}

for part in ${PARTS:-policies removal archives broken_lines tokens full_disk}; do $part; done
k delete pods --all --grace-period=0 --force >/dev/null 2>&1
kill $helpers 2>/dev/null
finish
