# bench/postgres.sh: figures of a set of PostgreSQL servers. Sourced by bench/run, which has the functions.

ms_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.0f", (b - a) * 1000}'; }

# From sending the set to all Ready, beside what the programs in it take by themselves on the same disks.
bench_postgres_start() {
    local begin own
    k apply -f "$here/examples/postgres/config.yaml" -f "$here/examples/postgres/secret.yaml" -f "$here/examples/postgres/services.yaml" >/dev/null
    begin=$EPOCHREALTIME
    k apply -f "$here/examples/postgres/statefulset.yaml" >/dev/null
    k rollout status sts postgres --timeout=60s >/dev/null || return 1
    ms_since "$begin" >"$work/pg_ready"
    own=$(k exec postgres-0 -c postgres -- bash -c '
        cd /var/lib/postgresql/data; begin=$EPOCHREALTIME
        initdb -D own >/dev/null 2>&1
        middle=$EPOCHREALTIME
        for i in 1 2; do PGPASSWORD=change-me-too pg_basebackup -h "$(hostname -i)" -U replicator -D copy$i -X stream -c fast; done
        echo "$begin $middle $EPOCHREALTIME"; rm -rf own copy1 copy2') || return 1
    awk '{printf "%.0f", ($2 - $1) * 1000}' <<<"$own" >"$work/pg_initdb"
    awk '{printf "%.0f", ($3 - $2) * 1000}' <<<"$own" >"$work/pg_copies"
}

# Short runs in turn, so that what else the machine does falls on both alike; the median of the pairs' ratios.
bench_postgres_service() {
    local ip
    ip=$(k get pod postgres-0 -o 'jsonpath={.status.podIP}')
    k run pgbench --image=postgres:15 --restart=Never --env=PGPASSWORD=change-me --command -- sleep 600 >/dev/null
    k wait --for=condition=Ready pod/pgbench --timeout=30s >/dev/null || return 1
    k exec pgbench -- pgbench -q -i -s 5 -h postgres-primary -U postgres postgres >/dev/null 2>&1 || return 1
    k exec pgbench -- bash -c '
        tps() { pgbench -n -S -c 4 -T 2 -h "$1" -U postgres postgres 2>/dev/null | awk "/^tps/ {print \$3}"; }
        for i in $(seq '"$runs"'); do a=$(tps '"$ip"'); b=$(tps postgres-primary); b2=$(tps postgres-primary); a2=$(tps '"$ip"'); echo "$a $b $b2 $a2"; done' >"$work/pg_tps"
    awk '{print 100 * ($2 + $3) / ($1 + $4)}' "$work/pg_tps" | median
}

# From the change as a watch shows it to the end of the rollout, a pod.
bench_rolling_restart() {
    k apply -f "$here/examples/redis.yaml" >/dev/null
    k rollout status sts redis --timeout=60s >/dev/null || return 1
    K_TIMEOUT_S=120 k get sts redis -w -o 'jsonpath={.metadata.generation} {.status.observedGeneration} {.status.readyReplicas} {.status.updatedReplicas} {.status.currentRevision} {.status.updateRevision}{"\n"}' 2>/dev/null |
        while read -r line; do echo "$EPOCHREALTIME $line"; done >>"$work/roll" &
    local i
    for i in $(seq "$runs"); do
        sleep 1
        : >"$work/roll"
        k rollout restart sts redis >/dev/null
        within 30 rolled >/dev/null || return 1
        awk '!begin {begin = $1} $2 == $3 && $4 == 3 && $5 == 3 && $6 == $7 {end = $1; exit} END {print (end - begin) * 1000 / 3}' "$work/roll" >>"$work/roll_ms"
    done
    median <"$work/roll_ms"
}
rolled() { awk '$2 == $3 && $4 == 3 && $5 == 3 && $6 == $7 {found = 1} END {exit !found}' "$work/roll"; }

bench_postgres() {
    E2E_IMAGES="redis postgres" fresh
    local initdb copies
    if bench_postgres_start; then
        initdb=$(cat "$work/pg_initdb") copies=$(cat "$work/pg_copies")
        row "PostgreSQL set of 3, apply to all Ready (initdb $initdb + 2 base backups $copies + 1000 ms)" "$(cat "$work/pg_ready")" $((initdb + copies + 1000)) ms
        row 'pgbench -S through postgres-primary against the pod itself' "$(bench_postgres_service)" 97 % more
    else
        row 'PostgreSQL set of 3, apply to all Ready' - '' ms
    fi
    k delete sts postgres --wait=true >/dev/null
    k delete pod pgbench --grace-period=0 --force >/dev/null 2>&1
    row 'rolling restart of 3 Redis servers without a probe, a pod' "$(bench_rolling_restart)" 150 ms
    ended
}
