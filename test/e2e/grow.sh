#!/bin/bash
# Claims grow: while a pod writes, without a pod, across kills of the server. Where the machine has no CAP_SYS_RESOURCE a mounted file system cannot
# grow: then the pod's next start brings it.
. "$(dirname "$0")/lib.sh"
start_berth
grep -q '^CapBnd:.*[13579bdf]......$' /proc/self/status && online=1 || online= # CAP_SYS_RESOURCE is bit 24
claim() { # NAME SIZE
    k apply -f - <<Y
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: $1}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: $2}}}
Y
}
writer() {
    pod w 'command: [sh, -c, "trap \"exit 0\" TERM; [ -e /data/sum ] || { head -c 9000000 /dev/urandom >/data/f; md5sum /data/f >/data/sum; }; while :; do date >>/data/log; sleep 1 & wait; done"], volumeMounts: [{name: data, mountPath: /data}]' \
        'volumes: [{name: data, persistentVolumeClaim: {claimName: c}}]'
}
ask() { k patch pvc "$1" -p "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"$2\"}}}}"; }
capacity() { value_is "$2" field "pvc/$1" .status.capacity.storage; }
room() { k exec w -- df -m /data | awk 'END {print $2}'; }
has_room() { [ "$(room)" -gt "$1" ]; }
stage() { field "pvc/$1" .status.allocatedResourceStatuses.storage; }
intact() { contains OK k exec w -- md5sum -c /data/sum; }

check 'the class lets claims grow' equal true field sc/local .allowVolumeExpansion
claim c 64Mi >/dev/null
writer >/dev/null
check 'a pod writes' within 30 ready w
check 'its data is there' within 20 intact
check 'it has no more than it asked for' bash -c "[ $(room) -le 64 ]"

check 'more is asked for' contains patched ask c 128Mi
if [ "$online" ]; then
    check 'it comes while the pod runs' within 20 capacity c 128Mi
else
    check 'its file system waits for the pod' within 20 value_is NodeResizePending stage c
    check 'describe says so' contains FileSystemResizePending k describe pvc c
    check 'berth status says so' contains 'claim default/c waits to grow from 64Mi to 128Mi' "$berth" status --data-dir "$data"
    check 'the volume has the size' equal 128Mi field "pv/$(field pvc/c .spec.volumeName)" .spec.capacity.storage
    forget w; writer >/dev/null
    check 'the next pod is there' within 30 ready w
    check 'it comes with the next pod' within 20 capacity c 128Mi
fi
check 'df in the pod shows it' within 10 has_room 96
check 'what was written is there' intact
check 'nobody waits' lacks 'waits to grow' "$berth" status --data-dir "$data"
check 'no condition is left' equal '' field pvc/c .status.conditions
check 'describe tells how it went' contains FileSystemResizeSuccessful k describe pvc c
check 'get shows it' contains 128Mi k get pvc c
check 'the container is the same' equal 0 field pod/w '.status.containerStatuses[0].restartCount'

check 'it does not shrink' fails 'field can not be less than status.capacity' ask c 64Mi
k patch sc local -p '{"allowVolumeExpansion":false}' >/dev/null
check 'a class may forbid it' fails 'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize' ask c 1Gi
k patch sc local -p '{"allowVolumeExpansion":true}' >/dev/null

claim lone 16Mi >/dev/null
check 'a claim without a pod' within 20 capacity lone 16Mi
check 'asks for more' contains patched ask lone 300Mi
check 'and has it at once' within 20 capacity lone 300Mi
check 'more than the disk is asked for' contains patched ask lone 900Ti
check 'which is infeasible' within 20 value_is ControllerResizeInfeasible stage lone
check 'berth status says why' contains 'claim default/lone waits to grow from 300Mi to 900Ti: ' "$berth" status --data-dir "$data"
check 'the event as well' contains 'the whole disk under the data directory' k describe pvc lone
check 'less is asked for' contains patched ask lone 400Mi
check 'and comes' within 40 capacity lone 400Mi

# kill -9 at several moments, the pod and the claim without one growing.
size=200
for i in 0 1 2 3 4 5 6 7; do
    size=$((size + 60))
    ask c ${size}Mi >/dev/null; ask lone $((size + 400))Mi >/dev/null
    sleep "0.0$((i * i * 7 % 10))"
    kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null
    launch || break
done
check 'eight kills: the claim without a pod has the last size' within 60 capacity lone $((size + 400))Mi
# Size by size: each waits for the one before, and a file system that is in use again would wait for the next pod.
[ "$online" ] || { within 20 ready w >/dev/null; forget w; }
check 'and so has the other' within 60 capacity c ${size}Mi
[ "$online" ] || { writer >/dev/null; check 'the next pod is there after the kills' within 30 ready w; }
check 'with all the room' within 10 has_room $((size * 3 / 4))
check 'and what was written' intact
check 'each file has one device' equal '' bash -c "losetup -nO BACK-FILE | grep -F '$data' | sort | uniq -d"

# Deleted while it grows.
ask lone 2Gi >/dev/null; k delete pvc lone --wait=false >/dev/null
check 'a claim that goes while it grows is gone' within 30 gone pvc lone
gone_files() { [ "$(find "$data/volumes" -name '*.img' | wc -l)" = 1 ]; }
check 'with its disk' within 30 gone_files
forget w
k delete pvc c --wait=false >/dev/null
finish
