#!/bin/bash
# examples/postgres under a constant load of writes and reads through its services, while pods and the server are killed, restarted, scaled and
# changed: no acknowledged row is missing, the replicas catch up, every pod keeps its claim, and no service leads to a pod that is not Ready.
E2E_IMAGES="busybox postgres"
export E2E_TIMEOUT_S=${E2E_TIMEOUT_S:-480}
. "$(dirname "$0")/lib.sh"
start_berth

sql() { k exec "$1" -c postgres -- psql -U postgres -XAtq -v ON_ERROR_STOP=1 -c "$2"; } # POD SQL
count() { sql "${1:-postgres-0}" 'select count(*) from ledger'; }
of() { k get "$@" -o 'jsonpath={range .items[*]}{.metadata.name}={.metadata.uid} {end}'; }
all_ready() { [ "$(k get sts postgres -o 'jsonpath={.status.readyReplicas} {.status.replicas} {.status.updatedReplicas}')" = "$1 $1 $1" ] && pods_ready app=postgres "$1"; }
process() { # POD: the machine's number of its server
    local p; for p in $(pgrep -x postgres); do
        if grep -qs '^NSpid:.*[[:space:]]1$' "/proc/$p/status" && [ "$(nsenter -t "$p" -u hostname)" = "$1" ]; then echo "$p"; fi
    done
}

check 'apply the examples' contains 'statefulset.apps/postgres created' k apply -f "$top/examples/postgres"
check 'three become Ready' within 60 all_ready 3
check 'a table' sql postgres-0 'create table ledger(run int, client int, number int, primary key (run, client, number))'
claims=$(of pvc -l app=postgres)

# The load: four clients that number their rows. pgbench logs a transaction once it is acknowledged, so a client's n lines stand for its rows 1 to n.
# It ends with its connections, and is begun again under the next run. The reader makes a new connection each time.
cat >"$work/load.sh" <<'L'
cd /tmp
export PGPASSWORD=change-me
to() { echo "host=$1 user=postgres dbname=postgres connect_timeout=2 keepalives_idle=1 keepalives_interval=1 keepalives_count=3"; }
printf '\\set n :n + 1\ninsert into ledger values (:run, :client_id, :n);\n' >insert
read_on() {
    until [ -e stop ]; do
        begin=$EPOCHREALTIME
        answer=$(psql -XAtq "$(to postgres-replicas)" -c 'select inet_server_addr(), pg_is_in_recovery()' 2>>refusals) && echo "$begin $EPOCHREALTIME $answer" >>reads
        sleep 0.05
    done
}
read_on & reader=$!
for run in $(seq 100000); do
    [ ! -e stop ] || break
    PGOPTIONS='-c synchronous_commit=on' pgbench -n -f insert -c 4 -R 400 -T 3600 -D run=$run -D n=0 -l --log-prefix=acknowledged.$run "$(to postgres-primary)" >>output 2>&1
    sleep 0.1
done
wait $reader
for f in acknowledged.*; do run=${f#acknowledged.}; run=${run%%.*}; awk -v run=$run '{n[$1]++} END {for (c in n) print run "," c "," n[c]}' $f; done >total
touch done
sleep 3600
L
k run load --image=postgres:15 --restart=Never --env="LOAD=$(cat "$work/load.sh")" --command -- bash -c 'exec bash -c "$LOAD"' >/dev/null
# When which address was Ready, by the machine's clock.
while :; do # the watch ends with the server
    K_TIMEOUT_S=600 k get pods -l app=postgres -w --output-watch-events \
        -o 'jsonpath={.type} {.object.status.podIP} {.object.status.conditions[?(@.type=="Ready")].status}{"\n"}' 2>/dev/null
    sleep 0.1
done | while read -r line; do echo "$EPOCHREALTIME $line"; done >"$work/readiness" &

grows() { # whether more rows come in within a while
    local before; before=$(count) || return 1
    within 30 more_than "$before"
}
more_than() { local now; now=$(count) && [ "$now" -gt "$1" ]; }
caught_up() { # POD: has all that the primary had when asked
    local lsn; lsn=$(sql postgres-0 'select pg_current_wal_flush_lsn()') && within 30 equal t sql "$1" "select pg_last_wal_replay_lsn() >= '$lsn'"
}
check 'rows come in' within 30 grows
check 'they reach postgres-1' caught_up postgres-1
check 'they reach postgres-2' caught_up postgres-2
by_service() { k exec load -- env PGPASSWORD=change-me psql -h postgres-replicas -U postgres -XAtq -c "$1"; }
both_read() { [ "$(k exec load -- cut -d ' ' -f 3 /tmp/reads | sort -u | wc -l)" -ge 2 ]; }
check 'postgres-replicas leads to both' within 20 both_read
check 'and refuses writes' fails 'read-only transaction' by_service 'insert into ledger values (0, 0, 0)'
check 'a replica refuses writes' fails 'read-only transaction' sql postgres-2 'insert into ledger values (0, 0, 0)'

for i in 2 1 0; do
    old=$(process postgres-$i)
    kill -9 "$old"
    restarted() { local now; now=$(process postgres-$i) && [ -n "$now" ] && [ "$now" != "$old" ] && all_ready 3; }
    check "the server of postgres-$i is killed: it is started again" within 40 restarted
    check 'rows come in' within 30 grows
done
for i in 0 1 2; do
    uid=$(k get pod postgres-$i -o 'jsonpath={.metadata.uid}')
    check "postgres-$i is deleted" contains deleted k delete pod postgres-$i
    made_anew() { [ "$(k get pod postgres-$i -o 'jsonpath={.metadata.uid}')" != "$uid" ] && all_ready 3; }
    check 'it is made anew' within 40 made_anew
    check 'rows come in' within 30 grows
done
pods=$(of pods -l app=postgres)
check 'all are killed at once' contains deleted k delete pod -l app=postgres --grace-period=0 --force
all_anew() { [ "$(join -j 1 <(tr ' ' '\n' <<<"$pods" | sort) <(of pods -l app=postgres | tr ' ' '\n' | sort) | grep -c .)" = 0 ] && all_ready 3; }
check 'all are made anew' within 60 all_anew
check 'rows come in' within 30 grows

pods=$(of pods -l app=postgres)
kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null
acknowledged() { cat "/proc/$load/root/tmp/"acknowledged.* | wc -l; }
load=$(pgrep -x pgbench | head -n 1)
before=$(acknowledged)
more_acknowledged() { [ "$(acknowledged)" -gt "$before" ]; }
check 'with the server killed, rows come in' within 30 more_acknowledged
relaunch 'the server is started again'
check 'all are Ready' within 40 all_ready 3
check 'the pods are the same' equal "$pods" of pods -l app=postgres
check 'rows come in' within 30 grows

check 'a rolling restart' contains restarted k rollout restart sts postgres
check 'comes to its end' k rollout status sts postgres --timeout=60s
check 'all are Ready' within 40 all_ready 3
check 'rows come in' within 30 grows

check 'scale to 5' contains scaled k scale sts postgres --replicas=5
check 'five are Ready' within 60 all_ready 5
check 'postgres-4 has the rows' caught_up postgres-4
check 'scale to 3' contains scaled k scale sts postgres --replicas=3
check 'three are left' within 60 all_ready 3
check 'what is kept for those that left has a bound' equal 2GB sql postgres-0 'show max_slot_wal_keep_size'

setting() { k patch sts postgres -p "{\"spec\":{\"updateStrategy\":{\"rollingUpdate\":{\"partition\":$1}},\"template\":{\"spec\":{\"containers\":[{\"name\":\"postgres\",\"args\":[\"-c\",\"work_mem=8MB\"]}]}}}}"; }
settings() { local i; for i in 0 1 2; do sql postgres-$i 'show work_mem' || return 1; done | tr '\n' ' '; }
settled() { all_pods_ready && equal "$1" settings; }
all_pods_ready() { pods_ready app=postgres 3; }
check 'a setting for partition 2' contains patched setting 2
check 'only postgres-2 has it' within 40 settled '4MB 4MB 8MB '
check 'partition 1' contains patched setting 1
check 'postgres-1 has it too' within 40 settled '4MB 8MB 8MB '
check 'partition 0' contains patched setting 0
check 'all have it' within 40 settled '8MB 8MB 8MB '

# A server that hangs: neither dead nor Ready.
stopped=$(process postgres-1) ip=$(k get pod postgres-1 -o 'jsonpath={.status.podIP}')
kill -STOP "$stopped"
not_ready() { [ "$(k get pod postgres-1 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = False ]; }
check 'a replica that hangs is not Ready' within 40 not_ready
sleep 0.2
others() { k exec load -- bash -c 'for i in $(seq 30); do PGCONNECT_TIMEOUT=2 PGPASSWORD=change-me psql -h postgres-replicas -U postgres -XAtq -c "select inet_server_addr()"; done | sort -u'; }
check 'no connection reaches it' equal "$(k get pod postgres-2 -o 'jsonpath={.status.podIP}')" others
kill -CONT "$stopped"
check 'it goes on' within 40 all_ready 3

k exec load -- touch /tmp/stop
ended() { sql postgres-0 "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'pgbench'"; k exec load -- test -e /tmp/done; }
check 'the load ends' within 20 ended
k exec load -- cat /tmp/total >"$work/total"
values=$(sed 's/.*/(&)/' "$work/total" | paste -sd, -)
missing="select count(*) from (values $values) a(run, client, n), generate_series(1, a.n) i where not exists (select from ledger l where l.run = a.run and l.client = a.client and l.number = i)"
many() { [ "$(awk -F, '{s += $3} END {print s + 0}' "$work/total")" -gt 500 ]; }
check 'many rows were acknowledged' many
check 'none of them is missing' equal 0 sql postgres-0 "$missing"
for i in 1 2; do
    check "postgres-$i catches up" caught_up postgres-$i
    check "none is missing on postgres-$i" equal 0 sql postgres-$i "$missing"
done
check 'one row is taken away' sql postgres-0 'delete from ledger where (run, client, number) in (select run, client, number from ledger where number = 1 limit 1)'
check 'the comparison sees that' equal 1 sql postgres-0 "$missing"
kept() { local now c; now=$(of pvc -l app=postgres); for c in $claims; do case " $now" in *" $c "*) ;; *) echo "$c is not in $now"; return 1 ;; esac; done; }
check 'every pod kept its claim' kept

# Every read came from a replica that was Ready while it was made. A second is for what the watch and the machine may be late.
k exec load -- cat /tmp/reads >"$work/reads"
strays() {
    awk 'NR == FNR { if ($4 == "True" && $2 != "DELETED") { if (!($3 in since)) { since[$3] = 1; n[$3]++; from[$3, n[$3]] = $1; to[$3, n[$3]] = 9e9 } }
                     else if ($3 in since) { to[$3, n[$3]] = $1; delete since[$3] }
                     next }
         { split($3, a, "|"); good = a[2] == "t"; found = 0
           for (i = 1; i <= n[a[1]]; i++) if ($2 >= from[a[1], i] - 1 && $1 <= to[a[1], i] + 1) found = 1
           if (!good || !found) print }' "$work/readiness" "$work/reads"
}
check 'there were many reads' test "$(wc -l <"$work/reads")" -gt 50
check 'each by a replica that was Ready' equal '' strays

# ---- what examples/postgres/README.md promises of worse days ----
k exec postgres-2 -c postgres -- mkdir -p /var/lib/postgresql/data/pgdata.part/half
check 'scale to 2' contains scaled k scale sts postgres --replicas=2
check 'two are left' within 60 all_ready 2
check 'the slot of the third is dropped, as when it was away for too long' within 20 sql postgres-0 "select pg_drop_replication_slot('postgres_2')"
check 'scale to 3' contains scaled k scale sts postgres --replicas=3
check 'three are Ready' within 60 all_ready 3
check 'postgres-2 was copied again, over the rest of an earlier attempt' contains 'copying it again' k logs postgres-2 -c prepare
check 'it has the rows' caught_up postgres-2
check 'all but the one' equal 1 sql postgres-2 "$missing"
check 'the claim of the primary is lost' contains deleted k delete pvc data-postgres-0 --wait=false
k delete pod postgres-0 >/dev/null
check 'no new database is made while there are replicas' within 30 contains 'The claim of this primary is empty' k logs postgres-0 -c prepare
check 'the replicas still answer' by_service 'select count(*) from ledger'
echo "# $(awk -F, '{s += $3} END {print s}' "$work/total") rows acknowledged in $(cut -d, -f1 "$work/total" | sort -u | wc -l) runs, $(wc -l <"$work/reads") reads"
finish
