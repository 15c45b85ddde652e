#!/bin/bash
# Clients that others wrote, against one server: Debian's python3-kubernetes (typed and dynamic) and @kubernetes/client-node from npm; and what Argo CD, Flux,
# k9s and Headlamp ask. What they do is in test/clients; each step is a test here. PARTS chooses one of them.
E2E_TIMEOUT_S=${E2E_TIMEOUT_S:-420}
. "$(dirname "$0")/lib.sh"
E2E_IMAGES='busybox web' start_berth

# steps NAME COMMAND...: runs a client and makes a test of every step that it tells: "pass STEP" or "fail STEP", comments before it, "done" at the end.
steps() {
    local client=$1 line; shift
    timeout 180 "$@" </dev/null >"$work/steps" 2>"$work/steps.err"
    : >"$work/said"
    while IFS= read -r line; do
        case $line in
        pass\ *) result "$client: ${line#pass }" 0 "$work/said"; : >"$work/said" ;;
        fail\ *) result "$client: ${line#fail }" 1 "$work/said"; : >"$work/said" ;;
        done) ;;
        *) echo "$line" >>"$work/said" ;;
        esac
    done <"$work/steps"
    at_end() { [ "$(tail -n 1 "$work/steps")" = "done" ] || { tail -n 15 "$work/steps" "$work/steps.err"; return 1; }; }
    check "$client: came to its end" at_end
}

python() { steps python /usr/bin/python3 -B "$top/test/clients/python_client.py"; }
gitops() { steps gitops /usr/bin/python3 -B "$top/test/clients/gitops_client.py"; }
node() { # its packages are looked for beside the program
    if [ ! -e "$cache/npm/installed.json" ]; then # the last that fetch-npm writes
        number=$((number + 1)); echo "# npm could not install it: see $cache/npm/log"; echo "ok $number - node client # SKIP"
        return
    fi
    cp "$top/test/clients/node_client.mjs" "$cache/npm/client.$$.mjs"
    steps node node "$cache/npm/client.$$.mjs"
    rm -f "$cache/npm/client.$$.mjs"
}

for part in ${PARTS:-python gitops node}; do $part; done
finish
