#!/bin/bash
# What StatefulSets do beyond Kubernetes: they say why they wait, heal from a bad template, and heed their annotations.
. "$(dirname "$0")/lib.sh"
E2E_IMAGES=busybox start_berth

set_of() { # NAME COMMAND [SPEC-LINES]: two busybox pods
    cat <<END
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: $1}
spec:
  replicas: 2
  serviceName: $1
  selector: {matchLabels: {app: $1}}
  template:
    metadata: {labels: {app: $1}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: busybox, command: [sh, -c, "$2"]}]
${3:-}
END
}
field() { k get sts "$1" -o "jsonpath={.status.conditions[?(@.type==\"$2\")].$3}"; }
says() { contains "$3" field "$1" "$2" message; }

set_of web 'sleep 9999' >"$work/web.yaml"
check 'apply' contains created k apply -f "$work/web.yaml"
check 'kubectl waits for Available' contains 'condition met' k wait --for=condition=Available sts/web --timeout=30s
check 'and for Progressing' contains 'condition met' k wait --for=condition=Progressing sts/web --timeout=5s
check 'which is complete' within 5 equal RolloutComplete field web Progressing reason
check 'nothing waits in the wide table' contains '<none>' k get sts web -o wide

bad_image() { k patch sts web --type=json -p '[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"localhost:1/no:such"}]'; }
first=$(k get pod web-0 -o 'jsonpath={.metadata.uid}')
check 'a template that cannot start' contains patched bad_image
check 'the set names the image' within 20 says web Available 'web-1 cannot start: image "localhost:1/no:such" cannot be had'
check 'so does the wide table' contains 'web-1 cannot start' k get sts web -o wide
check 'and berth status' contains 'web-1 cannot start' "$berth" status --data-dir "$data"
check 'undone' contains 'rolled back' k rollout undo sts/web
check 'it heals without a hand' within 20 equal RolloutComplete field web Progressing reason
check 'an event tells of it' contains 'was never Ready and its revision is superseded' k get events --field-selector reason=ReplacedStuckPod
check 'the pod that was Ready was not touched' equal "$first" k get pod web-0 -o 'jsonpath={.metadata.uid}'

set_of crash 'echo no such file; exit 3' >"$work/crash.yaml"
check 'a container that ends' contains created k apply -f "$work/crash.yaml"
check 'is told with its code' within 20 says crash Available 'crash-0 is not Ready: container c exited with code 3'

set_of disk "sleep 9999" '  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 1Mi}}}}]' >"$work/disk.yaml"
check 'a class that does not exist' contains created k apply -f "$work/disk.yaml"
check 'is told' within 20 says disk Available 'disk-0 waits for claim data-disk-0: StorageClass "fast" does not exist'
check 'by the claim as well' contains 'StorageClass "fast" does not exist' k get pvc data-disk-0 -o 'jsonpath={.status.conditions[0].message}'

set_of robot "sleep 9999" | sed 's/    spec:/    spec:\n      serviceAccountName: robot/' >"$work/robot.yaml"
check 'a set with an account that does not exist' contains created k apply -f "$work/robot.yaml"
check 'says so' within 20 says robot Available 'robot-0 cannot be made: error looking up service account default/robot: serviceaccount "robot" not found'
check 'and goes on with it' contains created k create serviceaccount robot
check 'at once' within 20 equal RolloutComplete field robot Progressing reason
k delete sts robot >/dev/null

check 'a wrong annotation is a Warning' contains 'Warning: annotation berth.dev/start-parallelism: "x" is ignored' k annotate sts web berth.dev/start-parallelism=x
check 'and an event' within 10 contains 'berth.dev/start-parallelism: "x" is ignored' k get events --field-selector reason=InvalidAnnotation
check 'an ordinal is reserved' contains annotated k annotate sts web berth.dev/start-parallelism- berth.dev/reserve-ordinals=0
check 'another takes its place' within 20 equal 'web-1 web-2' k get pods -l app=web -o 'jsonpath={.items[*].metadata.name}'
check 'a deadline' contains annotated k annotate sts web berth.dev/progress-deadline=3s berth.dev/auto-rollback=true
check 'is missed' contains patched bad_image
check 'and the set goes back' within 30 contains RolledBack k get events --field-selector reason=RolledBack
check 'and is well' within 20 contains 'rolled back from revision' field web Progressing message
check 'with Recreate' contains patched k patch sts web -p '{"spec":{"updateStrategy":{"type":"Recreate","rollingUpdate":null}}}'
recreate() { k set env sts/web ROUND=2 && within 20 equal RecreateComplete field web Progressing reason; }
check 'all pods are replaced' recreate
finish
