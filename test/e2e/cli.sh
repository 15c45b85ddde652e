#!/bin/bash
# The berth command line as a newcomer meets it: help, words and values that are wrong, files that are missing or not to be read, servers side by side,
# what `berth stop` says while it waits. One server; no pod but those of the last part.
. "$(dirname "$0")/lib.sh"
b() { timeout 30 "$berth" "$@" 2>&1 </dev/null; }
nobody() { timeout 30 setpriv --reuid 65534 --clear-groups "$berth" "$@" 2>&1; }

helps() {
    local command
    for command in server image status stop kubeconfig version; do
        contains "Usage: berth $command" b "$command" --help && contains "Usage: berth $command" b "$command" -h &&
            contains "Usage: berth $command" b help "$command" && contains 'Usage: berth' b "$command" --usage || return 1
    done
}
check 'help of every command, by each of its names' helps
check 'it names the words that a command takes' contains 'import FILE...' b image --help
check 'help of a command that is not there' fails 'there is no command "frob"' b help frob
check 'berth -h' contains 'usage: berth' b -h
too_much() {
    local command
    for command in server stop version; do fails '"word" is too much' b "$command" word || return 1; done
    fails '"word" is too much' b image ls word --data-dir "$work"
}
check 'words that mean nothing are refused' too_much
check 'an unknown word of berth image is named' fails 'there is no "frob"' b image frob
check 'half a name of a set' fails '"default/" is no name of a set' b status default/
check 'a list of images makes no directory' fails 'there is no such data directory' b image ls --data-dir "$work/none"
check 'and none is there' fails '' test -e "$work/none"
check 'a directory is no archive' fails 'is a directory' b image import "$work" --data-dir "$work/none"
mkdir "$work/small"; mount -t tmpfs -o size=300k none "$work/small"
check 'an import without room' fails 'No space left on device' b image import "$cache/images/busybox.tar" --data-dir "$work/small"
umount "$work/small"
check 'a grace period that is none' fails 'give seconds' b stop --grace-period 0
mkdir "$work/conf"; echo '# all as it is' >"$work/empty.yaml"
check 'a directory as the configuration' fails 'cannot be read: Is a directory' b server --config "$work/conf"
check 'an address of another machine' fails 'no interface of this machine has that address' b server --bind-address 192.0.2.1 --container-runtime fake --data-dir "$work/other"

fake() { timeout 30 "$berth" server --container-runtime fake --data-dir "$work/fake" --https-listen-port 7443 "$@" >"$work/fake.out" 2>&1 & fake_pid=$!; }
started() { fake "$@"; within 20 grep -q '^ready' "$work/fake.out"; local got=$?; kill $fake_pid; wait $fake_pid; return $got; }
check 'a configuration of comments is one' started --config "$work/empty.yaml"
# A service manager's end of sd_notify(3): what it is told, a line each, until it is told STOPPING.
manager='import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); s.settimeout(30); told = ""
while "STOPPING=1" not in told: told = s.recv(4096).decode(); print(told, flush=True)'
managed() {
    local got; python3 -c "$manager" "$work/notify" >"$work/told" & local pid=$!
    within 10 test -S "$work/notify" && NOTIFY_SOCKET=$work/notify started; got=$?
    wait $pid && [ $got = 0 ] && [ "$(grep -c . "$work/told")" = 3 ] && grep -qx 'READY=1' "$work/told" && [ "$(tail -1 "$work/told")" = STOPPING=1 ]
}
check 'a service manager is told when it is ready, and when it stops' managed
cp -a "$work/fake" "$work/lost"; rm "$work/lost/tls/ca.key"
check 'an authority without its key is not made anew' fails 'ca.key is missing; put the right files there' b server --container-runtime fake --data-dir "$work/lost" --https-listen-port 7443
check 'its certificate is as it was' cmp "$work/lost/tls/ca.crt" "$work/fake/tls/ca.crt"
echo rubbish >"$work/lost/tls/ca.crt"; cp "$work/fake/tls/ca.key" "$work/lost/tls/"
check 'nor is a damaged one' fails 'put the right files there' b server --container-runtime fake --data-dir "$work/lost" --https-listen-port 7443
cp "$work/fake/tls/ca.crt" "$work/lost/tls/"; cp "$work/fake/tls/server.key" "$work/lost/tls/ca.key"
check 'nor one with the key of another' fails 'put the right files there' b server --container-runtime fake --data-dir "$work/lost" --https-listen-port 7443

E2E_IMAGES=busybox start_berth
check 'the node says which crun it has' contains 'crun://1.' k get node edge -o wide
chmod 755 "$work"
check 'stop by somebody else' fails 'run this as root' nobody stop --data-dir "$data"
check 'status by somebody else' fails 'run this as root' nobody status --data-dir "$data"
check 'a kubeconfig by somebody else' fails 'run this as root' nobody kubeconfig jane --data-dir "$data"
check 'images by somebody else' fails 'run this as root' nobody image ls --data-dir "$data"
check 'a second server in the same network' fails 'is in use by another berth server' b server --data-dir "$work/second" --https-listen-port 7444
check 'nor with another bridge alone' fails '--cluster-cidr "10.42.0.0/16" is in use' b server --data-dir "$work/second" --bridge berth1 --https-listen-port 7444
check 'stopping a directory whose server is gone' contains 'the network stays' b stop --data-dir "$work/fake"
check "leaves another server's network alone" ip link show berth0

for i in 0 1; do GRACE=60 pod "slow-$i" "command: [sh, -c, \"trap '' TERM; while :; do sleep 1; done\"]" >/dev/null; done
check 'pods that do not heed SIGTERM' within 60 bash -c "[ \"\$('$kubectl' get pods --no-headers | grep -c Running)\" = 2 ]"
env --default-signal=INT "$berth" stop --data-dir "$data" >"$work/stop" 2>&1 & stop_pid=$!
check 'stop says at once what it waits for, and for how long' within 10 grep -q 'waiting up to 60 s, .*default/slow-0 (60 s), default/slow-1' "$work/stop"
check 'and goes on saying it' within 20 grep -q '^after .* 2 pods left, up to .* default/slow-0' "$work/stop"
kill -INT $stop_pid; wait $stop_pid
check 'after Ctrl-C the server goes on stopping; who asks again sees it, and shortens it' contains 'the server is stopping already' b stop --grace-period 1 --data-dir "$data"
check 'it has ended' bash -c "! kill -0 $server_pid 2>/dev/null || ! '$kubectl' get --raw /readyz"
wait "$server_pid" 2>/dev/null; server_pid=
check 'nothing is left behind' equal '' leftovers
echo "1..$number"
trap - EXIT; cleanup
[ "$failed" = 0 ]
