#!/bin/bash
# The server may die at any moment: the containers go on, and a new server finds them.
. "$(dirname "$0")/lib.sh"
start_berth
check 'apply' contains created k apply -f "$top/examples/redis-durable.yaml"
check 'three are Ready' within 30 pods_ready app=redis 3
check 'a value is written' equal OK k exec redis-1 -- redis-cli set ship berth

pids() { pgrep -x redis-server | sort | tr '\n' ' '; }
state() { k get pods -l app=redis -o 'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].containerID} {end}'; }
before_pids=$(pids) before_state=$(state)
check 'three processes run' test "$(echo $before_pids | wc -w)" = 3

for round in KILL TERM KILL; do
    kill -$round "$server_pid"; wait "$server_pid" 2>/dev/null
    check "SIG$round: the processes go on" equal "$before_pids" pids
    relaunch "SIG$round: started again"
    check "SIG$round: same processes" equal "$before_pids" pids
    check "SIG$round: no restart counted, no pod re-created" equal "$before_state" state
    check "SIG$round: still Ready" within 5 pods_ready app=redis 3
    check "SIG$round: exec works" equal berth k exec redis-1 -- redis-cli get ship
    check "SIG$round: logs work" contains 'Ready to accept connections' k logs redis-0
done

# A pod that ends while the server is away is noticed.
kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null
victim=$(pgrep -x redis-server | head -1)
kill -9 "$victim"
relaunch 'one process was killed meanwhile'
three_again() { [ "$(echo $(pids) | wc -w)" = 3 ] && pods_ready app=redis 3; }
check 'it is started again' within 40 three_again
check 'the restart is counted' contains ' 1 ' state

# A reboot: nothing runs, the data directory is there.
check 'berth stop' contains stopped "$berth" stop --data-dir "$data"
wait "$server_pid" 2>/dev/null
check 'stop leaves nothing running' equal '' leftovers
relaunch 'started after the reboot'
check 'the pods start again' within 40 pods_ready app=redis 3
check 'with their data' equal berth k exec redis-1 -- redis-cli get ship

# kill -9 at many moments of a roll-out: it still arrives.
for i in 1 2 3 4 5 6; do
    k set env sts/redis ROUND=$i >/dev/null 2>&1
    sleep "0.$((i * 13 % 10))"
    kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null
    launch || break
done
settled() { [ "$(k get sts redis -o 'jsonpath={.status.updatedReplicas}')" = 3 ] && [ "$(k get sts redis -o 'jsonpath={.status.currentRevision}')" = "$(k get sts redis -o 'jsonpath={.status.updateRevision}')" ] && pods_ready app=redis 3; }
check 'six kills during roll-outs: it arrives' within 60 settled
check 'on the last template' equal 6 k exec redis-0 -- sh -c 'echo $ROUND'
check 'each identity runs once' equal 3 bash -c 'pgrep -x redis-server | wc -l'
check 'with its data' equal berth k exec redis-1 -- redis-cli get ship
finish
