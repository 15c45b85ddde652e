# bench/scale.sh: sourced by bench/run. The API with many pods in it, at three sizes: a line for each figure tells how it grows, a row compares the
# largest size with the budget. Processor time is the server's own (all threads), so that what else the machine does is not in it.
#   BENCH_SCALE   the sizes (1000 10000 100000)      BENCH_SCALE_OPS   requests of each kind at each size (10000)

sizes=${BENCH_SCALE:-1000 10000 100000} ops=${BENCH_SCALE_OPS:-10000}

scale_pass() { # ARGUMENTS...: one run against the server, its figures at the end of $sfig
    timeout 280 "$programs/scale_bench" "$data" 6443 "$server_pid" "$@" >>"$sfig" || echo "scale_bench $* ended with code $?" >&2
}

scale_at() { # PODS: all figures at that size
    local n=$1 k=$(($1 < ops ? $1 : ops)) before after
    fresh --container-runtime=fake
    sleep 2
    before=$(resident_mb "$server_pid")
    scale_pass create 0 "$n"
    sleep 1
    after=$(resident_mb "$server_pid")
    awk -v a="$after" -v b="$before" -v n="$n" 'BEGIN {printf "pod_kb %.2f\n", (a - b) * 1000 / n}' >>"$sfig"
    scale_pass get 0 "$k"
    scale_pass list 20 0
    scale_pass table 10 0
    scale_pass label 10 0
    scale_pass update 0 "$k"
    scale_pass status 0 "$k"
    [ "$n" -lt 10000 ] || scale_pass watch 1000 1000
    kill "$server_pid"; wait "$server_pid" 2>/dev/null
    pass start "$work/server.out" "$berth" server --data-dir "$data" --node-name edge --container-runtime=fake
    server_pid=$(value pid "$fig")
    { echo "restart_ms $(value start_api_ms "$fig")"; echo "restart_node_ms $(value start_node_ms "$fig")"
      echo "restart_cpu_ms $(($(cpu_ns "$server_pid") / 1000000))"; } >>"$sfig"
    ended
}

growth() { # NAME UNIT FIGURE: the figure at each size
    local n line=; for n in $sizes; do line="$line / $(value "$3" "$work/scale.$n")"; done
    printf '   %-36s %s %s\n' "$1" "${line# / }" "$2"
}

bench_scale() {
    local n last=
    for n in $sizes; do last=$n sfig=$work/scale.$n; scale_at "$n"; done
    echo "== with $(echo $sizes | sed 's, , / ,g') pods of $(value create_bytes "$sfig") bytes; processor time is the server's"
    growth 'create, processor' us create_cpu_us
    growth 'update, processor' us update_cpu_us
    growth 'status patch, processor' us status_cpu_us
    growth 'GET, processor' us get_cpu_us
    growth 'LIST of a namespace, JSON, processor' ms list_cpu_ms
    growth '  its bytes' bytes list_bytes
    growth 'LIST of a namespace, Table' ms table_cpu_ms
    growth 'LIST of all that have a label, none' ms label_cpu_ms
    growth 'a delivery of a watch, processor' us watch_cpu_us
    growth 'resident memory a pod' KB pod_kb
    growth 'restart to the API answering' ms restart_ms
    growth '  to the node Ready' ms restart_node_ms
    growth '  processor until then' ms restart_cpu_ms
    local what; for what in create update status; do
        row "durable ${what/status/status patch} of a 3 KB pod, 64 connections, $last pods (Kubernetes 2000)" "$(value ${what}_per_s "$sfig")" 15000 /s more
        row "  99th percentile (Kubernetes 80)" "$(value ${what}_p99_ms "$sfig")" 20 ms
    done
    row 'LIST of 5,000 pods, JSON, whole' "$(value list_ms "$sfig")" 15 ms
    row 'LIST of 5,000 pods as Table' "$(value table_ms "$sfig")" 60 ms
    row '1,000 watchers: processor an event of a 3 KB pod and watcher' "$(value watch_cpu_us "$sfig")" 2 us
    row "resident memory a 3 KB pod, $last of them" "$(value pod_kb "$sfig")" 6 KB
    row "restart with $last pods, to the API answering" "$(value restart_ms "$sfig")" 1000 ms
}
