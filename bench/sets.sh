# bench/sets.sh: sourced by bench/run. StatefulSets with the fake runtime: how many pods a second come up, and how that grows. Processor time is the
# server's own, so that what else the machine does is not in it.
#   BENCH_SETS   replicas of one set, the sizes (1000 10000 100000)      BENCH_SINGLE   sets of one replica (14000)

set_pass() { # SETS REPLICAS POLICY: a fresh server; the figures in $sfig
    fresh --container-runtime=fake
    sleep 2
    timeout 280 "$programs/sets_bench" "$data" 6443 "$server_pid" "$@" >"$sfig" || echo "sets_bench $* ended with code $?" >&2
    ended
}

bench_sets() {
    local n per=; sfig=$work/sets.figures
    for n in ${BENCH_SETS:-1000 10000 100000}; do
        set_pass 1 "$n" Parallel
        per="$per / $(value cpu_us "$sfig")"
        echo "== one Parallel set of $n: $(value pods_per_s "$sfig") pods/s, $(value cpu_us "$sfig") us of processor and $(value rss_kb "$sfig") KB a pod"
        [ "$n" != 10000 ] || row 'pods created and Ready, one Parallel set of 10,000 (fake runtime)' "$(value pods_per_s "$sfig")" 1500 /s more
    done
    row 'processor a pod, the largest set over the smallest' "$(echo "${per# / }" | awk '{print $NF / $1}')" 1.3 x
    set_pass 100 100 OrderedReady
    row 'pods created and Ready, 100 ordered sets of 100 (fake runtime)' "$(value pods_per_s "$sfig")" 1500 /s more
    n=${BENCH_SINGLE:-14000}
    set_pass "$n" 1 OrderedReady
    row "$n sets of one replica: applied to all Ready (fake runtime)" "$(value ready_s "$sfig")" 20 s
    row '  an edit of one of them to its pod replaced, the middle one of nine' "$(value edit_ms "$sfig")" 50 ms
    echo "== $n sets of one replica: $(value cpu_us "$sfig") us of processor and $(value rss_kb "$sfig") KB a set"
}
