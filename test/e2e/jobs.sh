#!/bin/bash
# Jobs by kubectl, with real pods: one that succeeds, one that fails too often, one that takes too long, one by numbers, waiting and going on, time to
# live, rules for failures and success, every way to delete; and CronJobs, whose time has come when their status says that the last one is long ago.
. "$(dirname "$0")/lib.sh"
E2E_IMAGES=busybox start_berth

job() { # NAME SPEC-LINES CONTAINER-YAML [RESTART-POLICY [POD-LINE]]
    k apply -f - <<Y
apiVersion: batch/v1
kind: Job
metadata: {name: $1}
spec:
$(sed 's/^/  /' <<<"$2")
  template:
    spec:
      restartPolicy: ${4:-Never}
      terminationGracePeriodSeconds: 1
      ${5:-}
      containers:
      - {name: main, image: busybox, imagePullPolicy: IfNotPresent, $3}
Y
}
cells() { "$@" | awk '{$1=$1; print}'; }
pods_of() { k get pods -l "job-name=$1" --no-headers 2>/dev/null; }
count() { # N COMMAND...: that many lines
    local wanted=$1 got; shift
    got=$("$@" 2>/dev/null | grep -c .)
    [ "$got" = "$wanted" ] || { echo "$got lines, wanted $wanted"; "$@"; return 1; }
}
condition() { field "job/$1" ".status.conditions[?(@.type==\"$2\")].$3"; }
complete() { k wait --for=condition=complete "job/$1" --timeout=40s; }
failed() { k wait --for=condition=failed "job/$1" --timeout=40s; }
no_finalizers() { equal '' k get pods -o 'jsonpath={.items[*].metadata.finalizers}'; }

# Those that take their time run while the others are looked at.
job late 'activeDeadlineSeconds: 2' 'command: [sleep, "600"]' >/dev/null
job again 'backoffLimit: 1' 'command: [sh, -c, "exit 3"]' >/dev/null

check 'create job gives no warning' lacks Warning k create job hello --image=busybox -- echo hello there
k patch job hello --type=merge -p '{"metadata":{"labels":{"a":"b"}}}' >/dev/null
check 'it completes' complete hello
check 'its table' contains 'hello Complete 1/1' cells k get job hello
check 'its log' equal 'hello there' k logs job/hello
check 'its events' contains 'Job completed' k describe job hello
check 'describe counts' contains '0 Active (0 Ready) / 1 Succeeded / 0 Failed' k describe job hello
check 'its conditions' equal 'SuccessCriteriaMet Complete' field job/hello '.status.conditions[*].type'
check 'why' equal 'CompletionsReached Reached expected number of succeeded pods' cells condition hello Complete 'reason} {.status.conditions[?(@.type=="Complete")].message'
check 'its pod is Completed and stays' contains Completed pods_of hello
random_name() { pods_of hello | grep -qE '^hello-[bcdfghjklmnpqrstvwxz2456789]{5} '; }
check 'its pod has a random name' random_name
check 'the labels of its pod' equal "hello $(field job/hello .metadata.uid)" k get pods -l job-name=hello -o 'jsonpath={.items[0].metadata.labels.batch\.kubernetes\.io/job-name} {.items[0].metadata.labels.controller-uid}'
check 'a finished job does not change' fails 'field is immutable' k patch job hello --type=merge -p '{"spec":{"completions":3}}'

# ---- numbers ----
job numbers $'completions: 4\nparallelism: 2\ncompletionMode: Indexed' 'command: [sh, -c, "echo $JOB_COMPLETION_INDEX $HOSTNAME"]' >/dev/null
check 'numbers: complete' complete numbers
check 'numbers: all' equal 0-3 field job/numbers .status.completedIndexes
second() { k logs -l batch.kubernetes.io/job-completion-index=2,job-name=numbers; }
check 'numbers: each knows its own' equal '2 numbers-2' second
check 'numbers: names' count 4 bash -c "'$kubectl' get pods -l job-name=numbers --no-headers | grep -E '^numbers-[0-3]-.{5} '"

# ---- several, waiting, rules ----
job some $'completions: 3\nparallelism: 2\nsuspend: true' 'command: ["true"]' >/dev/null
check 'suspended' within 10 equal JobSuspended condition some Suspended reason
check 'suspended: the table' contains 'some Suspended 0/3' cells k get job some
check 'suspended: no pod, not begun' equal '' field job/some '.status.startTime}{.status.active'
k patch job some --type=merge -p '{"spec":{"suspend":false}}' >/dev/null
check 'resumed: complete' complete some
check 'resumed: told' contains 'Resumed' k describe job some
check 'resumed: three' equal 3 field job/some .status.succeeded
job held '' 'command: [sleep, "600"]' >/dev/null
check 'held: runs' within 20 equal '1 1' field job/held '.status.active} {.status.ready'
k patch job held --type=merge -p '{"spec":{"suspend":true}}' >/dev/null
check 'held: its pod goes' within 20 count 0 pods_of held
check 'held: which is no failure' equal '' field job/held '.status.active}{.status.failed'
job fatal $'backoffLimit: 5\npodFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [7]}}]}' 'command: [sh, -c, "exit 7"]' >/dev/null
check 'a rule: fails at once' failed fatal
check 'a rule: says which' contains 'failed with exit code 7 matching FailJob rule at index 0' condition fatal Failed message
job enough $'completions: 3\nparallelism: 3\ncompletionMode: Indexed\nsuccessPolicy: {rules: [{succeededIndexes: "1"}]}' 'command: [sh, -c, "[ $JOB_COMPLETION_INDEX = 1 ] || exec sleep 600"]' >/dev/null
check 'success: one is enough' complete enough
check 'success: says so' equal 'SuccessPolicy 1' field job/enough '.status.conditions[?(@.type=="Complete")].reason} {.status.completedIndexes'
job inside 'backoffLimit: 2' 'command: [sh, -c, "[ -e /x/done ] && exit 0; touch /x/done; exit 1"], volumeMounts: [{name: x, mountPath: /x}]' OnFailure 'volumes: [{name: x, emptyDir: {}}]' >/dev/null
check 'OnFailure: the container starts again in its pod' complete inside
check 'OnFailure: one pod' count 1 pods_of inside

# ---- those that failed ----
check 'too long: failed' failed late
check 'too long: why' equal 'DeadlineExceeded Job was active longer than specified deadline' field job/late '.status.conditions[?(@.type=="Failed")].reason} {.status.conditions[?(@.type=="Failed")].message'
check 'too long: its pod is gone' within 20 count 0 pods_of late
check 'too often: failed' failed again
check 'too often: why' equal 'BackoffLimitExceeded Job has reached the specified backoff limit' field job/again '.status.conditions[?(@.type=="Failed")].reason} {.status.conditions[?(@.type=="Failed")].message'
check 'too often: twice, the second after ten seconds' count 2 pods_of again
check 'too often: counted once each' equal 2 field job/again .status.failed
check 'too often: the table' contains 'again Failed 0/1' cells k get job again
check 'nothing is left uncounted' no_finalizers

# ---- ends ----
job short 'ttlSecondsAfterFinished: 1' 'command: ["true"]' >/dev/null
check 'time to live: gone by itself' within 30 gone job short
check 'time to live: with its pod' within 20 count 0 pods_of short
check 'delete: its pods go' k delete job hello --timeout=20s
check 'delete: gone' within 20 count 0 pods_of hello
check 'delete in the foreground' k delete job numbers --cascade=foreground --timeout=20s
check 'foreground: its pods went first' count 0 pods_of numbers
check 'orphaning' k delete job some --cascade=orphan --timeout=20s
check 'orphaning: its pods stay' count 3 pods_of some
job running '' 'command: [sleep, "600"]' >/dev/null
check 'one that runs' within 20 equal 1 field job/running .status.ready
check 'deleted while it runs' k delete job running --timeout=20s
check 'deleted while it runs: its pod goes' within 20 count 0 pods_of running

# ---- cron jobs ----
due() { k patch cronjob "$1" --subresource=status --type=merge -p "{\"status\":{\"lastScheduleTime\":\"$2\"}}" >/dev/null; }
year=$(date -u +%Y)
first=yearly-$(($(date -u -d "$year-01-01" +%s) / 60)) # the job of the first of January
check 'create cronjob gives no warning' lacks Warning k create cronjob yearly --image=busybox --schedule='0 0 1 1 *' -- echo happy new year
check 'nothing is due' equal '' k get jobs -l tick=tack -o name
due yearly "$((year - 1))-06-01T00:00:00Z"
check 'one that was missed is started' within 20 k get job "$first"
check 'it completes' complete "$first"
check 'for which time it is' equal "$year-01-01T00:00:00Z" field "job/$first" '.metadata.annotations.batch\.kubernetes\.io/cronjob-scheduled-timestamp'
check 'it is the cron job'"'"'s' equal 'CronJob yearly' field "job/$first" '.metadata.ownerReferences[0].kind} {.metadata.ownerReferences[0].name'
seen() { equal "$year-01-01T00:00:00Z" field cronjob/yearly .status.lastScheduleTime && [ -n "$(field cronjob/yearly .status.lastSuccessfulTime)" ] && equal '' field cronjob/yearly .status.active; }
check 'the status' within 10 seen
check 'its events' contains "Created job $first" k describe cronjob yearly
check '... and more' contains "Saw completed job: $first, condition: Complete" k describe cronjob yearly
sleep 1.1 # which of the two is the newer one is told by whole seconds
check 'create job --from' k create job byhand --from=cronjob/yearly
check '... completes' complete byhand
check 'only the newest stay' k patch cronjob yearly --type=merge -p '{"spec":{"successfulJobsHistoryLimit":1}}'
check '... the other is gone' within 10 gone job "$first"
check 'suspended' k patch cronjob yearly --type=merge -p '{"spec":{"suspend":true}}'
due yearly "$((year - 1))-06-01T00:00:00Z"
check 'suspended: the table' contains 'yearly 0 0 1 1 * <none> True 0' cells k get cronjob yearly
check 'suspended: nothing starts' gone job "$first"
check 'delete' k delete cronjob yearly --timeout=20s
check 'its jobs go' within 20 gone job byhand
check 'a schedule that is none is refused' fails 'spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61' k create cronjob bad --image=busybox --schedule='61 * * * *' -- true

check 'Always is refused' fails 'valid values: "OnFailure", "Never"' job bad '' 'command: ["true"]' Always
finish
