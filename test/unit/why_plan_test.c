/* test/unit/why_plan_test.c: what a pod, a claim and a set say that they wait for, fact by fact. */
#include "plan/why_plan.h"

#include <stdio.h>

#include "kit/kit.h"
#include "plan/rollout_plan.h"

static struct arena *a;

static yyjson_val *parse(const char *json)
{
    yyjson_doc *doc;
    struct err err;
    CHECK_EQ(json_parse(a, span_cstr(json), &doc, &err), 0);
    return yyjson_doc_get_root(doc);
}

#define POD(spec, status)                                                                          \
    "{\"metadata\":{\"name\":\"redis-1\"},\"spec\":{\"containers\":[{\"name\":\"redis\"}]" spec    \
    "},\"status\":{\"phase\":\"Pending\"" status "}}"
#define ON_NODE ",\"nodeName\":\"n1\""
#define RUNS(container)                                                                            \
    ",\"containerStatuses\":[{\"name\":\"redis\",\"image\":\"redis:x\"," container "}]"
#define COND(type, status, reason, message)                                                        \
    ",\"conditions\":[{\"type\":\"" type "\",\"status\":\"" status "\",\"reason\":\"" reason       \
    "\",\"message\":\"" message "\"}]"

#define LOST                                                                                       \
    "redis-1 is on node n1, which does not answer: it may still run, so no other takes its place " \
    "until the node is back or, once it is surely off, is deleted (\"kubectl delete node n1\"), "  \
    "or the pod is, by force (\"kubectl delete pod redis-1 --force\")"

static void check_pod(const char *pod, const char *claim, const char *reason, const char *text)
{
    struct why_claim c = {SPAN("data-redis-1"), claim ? parse(claim) : NULL};
    struct why why = why_pod(a, parse(pod), &c, claim != NULL, 10);
    CHECK(why.reason != NULL);
    CHECK_SPAN(span_cstr(why.reason), reason);
    CHECK_SPAN(why.text, text);
}

static const struct {
    const char *pod, *reason, *text;
} pod_cases[] = {
    {POD("", ""), "PodStarting", "redis-1 is starting"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"ContainerCreating\"}}")),
     "PodStarting", "redis-1 is starting"},
    {POD("", COND("PodScheduled", "False", "Unschedulable",
                  "0/1 nodes are available: 1 Insufficient cpu.")),
     "Unschedulable", "redis-1 finds no node: 0/1 nodes are available: 1 Insufficient cpu."},
    {POD(ON_NODE, COND("Ready", "False", "ContainersNotReady",
                       "containers with unready status: [redis]; redis: readiness probe "
                       "`redis-cli ping` failed 4 times, last output: \\\"no\\\"")),
     "PodNotReady",
     "redis-1 is not Ready: readiness probe `redis-cli ping` failed 4 times, last output: "
     "\"no\""},
    {POD(ON_NODE, COND("Ready", "False", "ReadinessGatesNotReady", "gate x is not there")),
     "PodNotReady", "redis-1 is not Ready: gate x is not there"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"ImagePullBackOff\",\"message\":"
                       "\"Back-off pulling image \\\"redis:x\\\": ErrImagePull: no such "
                       "tag\"}}")),
     "ImageNotAvailable", "redis-1 cannot start: image \"redis:x\" cannot be had: no such tag"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\",\"message\":"
                       "\"back-off 20s\"}},\"restartCount\":4,\"lastState\":{\"terminated\":{"
                       "\"exitCode\":1,\"message\":\"bad\\nconfig\\n\"}}")),
     "ContainerCrashed",
     "redis-1 is not Ready: container redis exited with code 1, last words: \"bad config\" "
     "(restarted 4 times)"},
    {POD(ON_NODE, RUNS("\"started\":false,\"state\":{\"running\":{}},\"restartCount\":1,"
                       "\"lastState\":{\"terminated\":{\"exitCode\":137,\"reason\":"
                       "\"OOMKilled\"}}")),
     "ContainerCrashed",
     "redis-1 is not Ready: container redis was killed for using more memory than its limit "
     "(restarted once)"},
    {POD(ON_NODE, RUNS("\"state\":{\"terminated\":{\"exitCode\":139,\"signal\":11}}")),
     "ContainerCrashed", "redis-1 is not Ready: container redis was killed by signal 11 (SIGSEGV)"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"CreateContainerConfigError\","
                       "\"message\":\"secret \\\"s\\\" not found\"}}")),
     "ContainerNotStarted", "redis-1 cannot start container redis: secret \"s\" not found"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"ErrImagePull\"}}")),
     "ImageNotAvailable", "redis-1 cannot start: image \"redis:x\" cannot be had: ErrImagePull"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"ErrImageNeverPull\"}}")),
     "ImageNotAvailable",
     "redis-1 cannot start: image \"redis:x\" cannot be had: it is not on this machine, and "
     "imagePullPolicy Never forbids fetching it (\"berth image import\" brings it)"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"InvalidImageName\"}}")),
     "ImageNotAvailable",
     "redis-1 cannot start: image \"redis:x\" cannot be had: InvalidImageName"},
    /* What a container did before it started again and well is over. */
    {POD(ON_NODE, RUNS("\"started\":true,\"state\":{\"running\":{}},\"lastState\":{"
                       "\"terminated\":{\"exitCode\":1}}")),
     "PodStarting", "redis-1 is starting"},
    {POD(ON_NODE, RUNS("\"ready\":true,\"started\":true,\"state\":{\"terminated\":{"
                       "\"exitCode\":0}}")),
     "PodStarting", "redis-1 is starting"},
    /* The first that has a cause is named; an init container before the others. */
    {POD(ON_NODE, ",\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{\"waiting\":{"
                  "\"message\":\"no\"}}}],\"containerStatuses\":[{\"name\":\"redis\","
                  "\"state\":{\"waiting\":{\"message\":\"other\"}}}]"),
     "ContainerNotStarted", "redis-1 cannot start container i: no"},
    {POD(ON_NODE, ",\"containerStatuses\":[{\"name\":\"x\",\"state\":{\"waiting\":{"
                  "\"message\":\"no\"}}},{\"name\":\"y\",\"state\":{\"waiting\":{"
                  "\"message\":\"other\"}}}]"),
     "ContainerNotStarted", "redis-1 cannot start container x: no"},
    {POD(ON_NODE, COND("Ready", "False", "ContainersNotReady", "unready; ")), "PodStarting",
     "redis-1 is starting"},
    {POD(ON_NODE, COND("Ready", "False", "ContainersNotReady", "unready; proxy: no")),
     "PodNotReady", "redis-1 is not Ready: proxy: no"},
    {"{\"metadata\":{\"name\":\"redis-1\"},\"spec\":{\"nodeName\":\"n\",\"containers\":[{"
     "\"name\":\"x\"},{\"name\":\"y\"}]},\"status\":{\"conditions\":[{\"type\":\"Ready\","
     "\"status\":\"False\",\"message\":\"unready; x: no\"}]}}",
     "PodNotReady", "redis-1 is not Ready: x: no"},
    {POD(ON_NODE, COND("Ready", "False", "ReadinessGatesNotReady", "")), "PodStarting",
     "redis-1 is starting"},
    {POD("", COND("PodScheduled", "False", "Unschedulable", "")), "PodStarting",
     "redis-1 is starting"},
    {"{\"metadata\":{\"name\":\"redis-1\"},\"status\":{\"phase\":\"Succeeded\"}}", "PodEnded",
     "redis-1 has ended (Succeeded) and is replaced"},
    {"{\"metadata\":{\"name\":\"redis-1\"},\"status\":{\"phase\":\"Failed\",\"reason\":"
     "\"Evicted\",\"message\":\"no memory\"}}",
     "PodEnded", "redis-1 has ended (Failed: no memory) and is replaced"},
    {POD(ON_NODE, COND("Ready", "False", "NodeStatusUnknown", "node n1 does not answer")),
     "NodeLost", "redis-1 is not Ready: node n1 does not answer"},
    {POD(ON_NODE, COND("Ready", "True", "", "")), "MinReadySeconds",
     "redis-1 is Ready, but not yet for minReadySeconds (10)"},
    {"{\"metadata\":{\"name\":\"redis-1\"},\"status\":{\"phase\":\"Failed\",\"reason\":"
     "\"Evicted\"}}",
     "PodEnded", "redis-1 has ended (Failed: Evicted) and is replaced"},
    {"{\"metadata\":{\"name\":\"redis-1\",\"deletionTimestamp\":\"x\"}}", "PodTerminating",
     "redis-1 is still stopping"},
    {"{\"metadata\":{\"name\":\"redis-1\",\"deletionTimestamp\":\"x\"},\"spec\":{\"nodeName\":"
     "\"n1\"},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"reason\":"
     "\"NodeStatusUnknown\"}]}}",
     "NodeLost", LOST},
};

#define INIT(container) ",\"initContainerStatuses\":[{\"name\":\"i\"," container "}]"
#define UNREADY(cause)                                                                             \
    COND("Ready", "False", "ContainersNotReady",                                                   \
         "containers with unready status: [redis]; redis: " cause)
#define UNPLACED(message) COND("PodScheduled", "False", "Unschedulable", message)
#define NOT_FIT "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."

/* What people meet who try it for the first time. */
static const struct {
    const char *pod, *reason, *text;
} newcomers[] = {
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"ErrImagePull\",\"message\":\"failed "
                       "to pull image \\\"redis:x\\\": https://r/v2: Failed to connect to r port 1 "
                       "after 12 ms: Couldn't connect\"}}")),
     "ImageNotAvailable",
     "redis-1 cannot start: image \"redis:x\" cannot be had: https://r/v2: Failed to connect to r "
     "port 1: Couldn't connect"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"ErrImagePull\",\"message\":"
                       "\"access denied (HTTP 401 from r)\"}}")),
     "ImageNotAvailable",
     "redis-1 cannot start: image \"redis:x\" cannot be had: access denied (HTTP 401 from r): it "
     "does not exist there, or an imagePullSecret is missing"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"InvalidImageName\",\"message\":"
                       "\"Failed to apply default image tag \\\"X\\\": couldn't parse image name: "
                       "invalid image reference \\\"X\\\": no capitals\"}}")),
     "ImageNotAvailable", "redis-1 cannot start: image \"redis:x\" cannot be had: no capitals"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},"
                       "\"restartCount\":2,\"lastState\":{\"terminated\":{\"exitCode\":127,"
                       "\"reason\":\"ContainerCannotRun\",\"message\":\"exec: no such file\"}}")),
     "ContainerNotStarted", "redis-1 cannot start container redis: exec: no such file"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},\"lastState\":{"
                       "\"terminated\":{\"exitCode\":3}}") UNREADY("last words: \\\"no file\\\"")),
     "ContainerCrashed",
     "redis-1 is not Ready: container redis exited with code 3, last words: \"no file\""},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},\"lastState\":{"
                       "\"terminated\":{\"exitCode\":0}}")),
     "ContainerCrashed",
     "redis-1 is not Ready: container redis ended by itself (exit code 0), though it has to stay"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},\"lastState\":{"
                       "\"terminated\":{\"exitCode\":137}}")),
     "ContainerCrashed", "redis-1 is not Ready: container redis was killed by signal 9 (SIGKILL)"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},\"lastState\":{"
                       "\"terminated\":{\"exitCode\":190}}")),
     "ContainerCrashed", "redis-1 is not Ready: container redis was killed by signal 62"},
    {POD(ON_NODE,
         RUNS("\"restartCount\":1,\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},"
              "\"lastState\":{\"terminated\":{\"exitCode\":137}}")
             UNREADY("killed after its liveness probe `x` failed 3 times, without output")),
     "ContainerCrashed",
     "redis-1 is not Ready: container redis was killed after its liveness probe `x` failed 3 "
     "times, "
     "without output (restarted once)"},
    {POD(ON_NODE, RUNS("\"started\":false,\"state\":{\"running\":{}},\"lastState\":{"
                       "\"terminated\":{\"exitCode\":137}}")
                      UNREADY("startup probe `x` has not passed yet (before that: killed after its "
                              "startup probe `x` failed 2 times, without output)")),
     "ContainerCrashed",
     "redis-1 is not Ready: container redis was killed after its startup probe `x` failed 2 times, "
     "without output"},
    {POD(ON_NODE, RUNS("\"started\":true,\"state\":{\"running\":{}}")
                      UNREADY("killed after its postStart hook failed: \\\"x\\\"")),
     "ContainerCrashed", "redis-1 is not Ready: killed after its postStart hook failed: \"x\""},
    {POD(ON_NODE, UNREADY("readiness probe `x` has not passed yet")), "PodStarting",
     "redis-1 is starting: readiness probe `x` has not passed yet"},
    {POD(ON_NODE, UNREADY("its postStart hook has not ended yet")), "PodStarting",
     "redis-1 is starting: its postStart hook has not ended yet"},
    {POD(ON_NODE, UNREADY("readiness probe `x` has not passed yet (before that: last words: "
                          "\\\"no\\\")")),
     "PodNotReady",
     "redis-1 is not Ready: readiness probe `x` has not passed yet (before that: last words: "
     "\"no\")"},
    {POD(ON_NODE, UNREADY("readiness probe `tcp 10.1.0.1:80` failed 3 times, last output: \\\"dial "
                          "tcp 10.1.0.1:80: Connection refused\\\"")),
     "PodNotReady",
     "redis-1 is not Ready: readiness probe `tcp 10.1.0.1:80` failed 3 times, last output: \"dial "
     "tcp 10.1.0.1:80: Connection refused\": nothing listens on that port of the pod's address"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"ContainerCreating\",\"message\":"
                       "\"MountVolume.SetUp failed for volume \\\"v\\\" : /x is no Directory\"}}")),
     "VolumeNotMounted", "redis-1 cannot start: volume v: /x is no Directory"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"ContainerCreating\",\"message\":"
                       "\"Failed to create pod sandbox: no room\"}}")),
     "ContainerNotStarted", "redis-1 cannot start: no room"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"ContainerCreating\",\"message\":"
                       "\"the pod before it still runs\"}}")),
     "PodHeld", "redis-1 waits: the pod before it still runs"},
    {POD(ON_NODE, COND("PodReadyToStartContainers", "False", "HostPortTaken", "pod x/y has it")),
     "PodHeld", "redis-1 waits: pod x/y has it"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"CreateContainerConfigError\","
                       "\"message\":\"container has runAsNonRoot and image will run as root (pod: "
                       "x)\"}}")),
     "ContainerNotStarted",
     "redis-1 cannot start container redis: container has runAsNonRoot and image will run as root: "
     "set securityContext.runAsUser to another user"},
    {POD(",\"initContainers\":[{\"name\":\"s\",\"restartPolicy\":\"Always\"},{\"name\":\"i\"}"
         "]" ON_NODE,
         ",\"initContainerStatuses\":[{\"name\":\"s\",\"started\":true,\"state\":{\"running\":{}}},"
         "{"
         "\"name\":\"i\",\"state\":{\"running\":{}}}]"),
     "PodStarting", "redis-1 is starting: init container i (2 of 2) runs"},
    {POD(",\"initContainers\":[{\"name\":\"i\"}]" ON_NODE,
         INIT("\"state\":{\"terminated\":{\"exitCode\":4}}")
             COND("Ready", "False", "x",
                  "unready; i: last words: \\\"a; b: c\\\"; redis: last words: \\\"d\\\"")),
     "ContainerCrashed",
     "redis-1 is not Ready: container i exited with code 4, last words: \"a; b: c\""},
    {POD(ON_NODE, RUNS("\"state\":{\"terminated\":{\"exitCode\":4}}")
                      COND("Ready", "False", "x",
                           "unready; i: last words: \\\"a\\\"; redis: last words: \\\"d\\\"")),
     "ContainerCrashed",
     "redis-1 is not Ready: container redis exited with code 4, last words: \"d\""},
    {"{\"metadata\":{\"name\":\"redis-1\"},\"spec\":{\"nodeName\":\"n\",\"containers\":[{\"name\":"
     "\"redis\",\"resources\":{\"limits\":{\"memory\":\"16Mi\"}}}]},\"status\":{"
     "\"containerStatuses\":[{\"name\":\"redis\",\"state\":{\"terminated\":{\"exitCode\":137,"
     "\"reason\":\"OOMKilled\"}}}]}}",
     "ContainerCrashed",
     "redis-1 is not Ready: container redis was killed for using more memory than its limit "
     "(16Mi)"},
    {POD(",\"nodeSelector\":{\"disk\":\"ssd\",\"zone\":\"a\"}", UNPLACED(NOT_FIT)), "Unschedulable",
     "redis-1 finds no node: 0/1 nodes are available: 1 node(s) didn't match Pod's node "
     "affinity/selector; it asks for a node with the label disk=ssd, zone=a"},
    {POD("", UNPLACED(NOT_FIT)), "Unschedulable",
     "redis-1 finds no node: 0/1 nodes are available: 1 node(s) didn't match Pod's node "
     "affinity/selector; its spec.affinity.nodeAffinity asks for another one"},
    {POD("",
         UNPLACED("0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes "
                  "are available: 1 Preemption is not helpful for scheduling.")),
     "Unschedulable",
     "redis-1 finds no node: 0/1 nodes are available: 1 node(s) were unschedulable; \"kubectl "
     "uncordon NODE\" lets pods onto it again"},
    {POD("", UNPLACED("0/1 nodes are available: 1 node(s) had volume node affinity conflict.")),
     "Unschedulable",
     "redis-1 finds no node: 0/1 nodes are available: 1 node(s) had volume node affinity conflict; "
     "the volume of its claim is on another node"},
    {"{\"metadata\":{\"name\":\"redis-1\"},\"spec\":{\"containers\":[{\"resources\":{\"requests\":{"
     "\"memory\":\"9Ti\",\"cpu\":\"90\"}}}]},\"status\":{\"phase\":\"Pending\"" UNPLACED(
         "0/1 nodes are available: 1 Insufficient cpu.") "}}",
     "Unschedulable",
     "redis-1 finds no node: 0/1 nodes are available: 1 Insufficient cpu; it asks for cpu 90"},
    {"{\"metadata\":{\"name\":\"redis-1\"},\"spec\":{\"containers\":[{\"resources\":{\"requests\":{"
     "\"memory\":\"9Ti\"}}}]},\"status\":{\"phase\":\"Pending\"" UNPLACED(
         "0/1 nodes are available: 1 Insufficient memory.") "}}",
     "Unschedulable",
     "redis-1 finds no node: 0/1 nodes are available: 1 Insufficient memory; it asks for memory "
     "9Ti"},
    {"{\"metadata\":{\"name\":\"redis-1\"},\"spec\":{\"containers\":[{\"resources\":{\"requests\":{"
     "\"nvidia.com/gpu\":\"2\"}}}]},\"status\":{\"phase\":\"Pending\"" UNPLACED(
         "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.") "}}",
     "Unschedulable",
     "redis-1 finds no node: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu; it asks for "
     "nvidia.com/gpu 2, and nodes have as much of it as their status.allocatable says"},
    {"{\"metadata\":{\"name\":\"redis-1\"},\"spec\":{},\"status\":{\"phase\":\"Pending\","
     "\"nominatedNodeName\":\"edge\"" UNPLACED("0/1 nodes are available: 1 Insufficient cpu.") "}}",
     "Unschedulable",
     "redis-1 waits for room on node edge, where pods of lower priority are stopping"},
    {POD("", UNPLACED("0/2 nodes are available: 1 Insufficient a.io/b, 1 Too many pods.")),
     "Unschedulable",
     "redis-1 finds no node: 0/2 nodes are available: 1 Insufficient a.io/b, 1 Too many pods; "
     "nodes "
     "have as much of it as their status.allocatable says"},
    {POD("", UNPLACED("0/1 nodes are available: 1 Insufficient ")), "Unschedulable",
     "redis-1 finds no node: 0/1 nodes are available: 1 Insufficient"},
    {POD("", UNPLACED("0/1 nodes are available: 1 node(s) had untolerated taint "
                      "{node.kubernetes.io/not-ready: }.")),
     "Unschedulable",
     "redis-1 finds no node: 0/1 nodes are available: 1 node(s) had untolerated taint "
     "{node.kubernetes.io/not-ready: }; a node with that taint is not Ready"},
    {POD("", UNPLACED("0/1 nodes are available: 1 node(s) had untolerated taint "
                      "{node.kubernetes.io/unreachable: }.")),
     "Unschedulable",
     "redis-1 finds no node: 0/1 nodes are available: 1 node(s) had untolerated taint "
     "{node.kubernetes.io/unreachable: }; a node with that taint does not answer"},
    {POD("", UNPLACED("0/1 nodes are available: 1 node(s) had untolerated taint {a: b}.")),
     "Unschedulable",
     "redis-1 finds no node: 0/1 nodes are available: 1 node(s) had untolerated taint {a: b}; "
     "tolerations in its spec let a pod onto a node with a taint, and \"kubectl taint nodes NODE "
     "a-\" takes the taint away"},
    {POD("", UNPLACED("0/1 nodes are available: 1 node(s) had untolerated taint "
                      "{node.kubernetes.io/disk-pressure: }.")),
     "Unschedulable",
     "redis-1 finds no node: 0/1 nodes are available: 1 node(s) had untolerated taint "
     "{node.kubernetes.io/disk-pressure: }; tolerations in its spec let a pod onto a node with a "
     "taint"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"ContainerCreating\",\"message\":"
                       "\"image \\\"redis:7\\\" is being fetched\"}}")),
     "PodStarting", "redis-1 is starting: image \"redis:7\" is being fetched"},
    {POD("", UNPLACED("0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. It "
                      "must not share a node with redis-0 on a, redis-2 on b.")),
     "Unschedulable",
     "redis-1 finds no node: each of the 2 nodes already runs a pod that it must not share a node "
     "with (redis-0 on a, redis-2 on b): add a node or make the rule preferred"},
    {POD("", UNPLACED("0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules. It "
                      "must not share a zone with redis-0 on a.")),
     "Unschedulable",
     "redis-1 finds no node: the only node is in a zone with a pod that it must not share one with "
     "(redis-0 on a): add a node elsewhere or make the rule preferred"},
    {POD("", UNPLACED("0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match pod "
                      "anti-affinity rules. It must not share a node with redis-0 on a.")),
     "Unschedulable",
     "redis-1 finds no node: 0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match "
     "pod anti-affinity rules. It must not share a node with redis-0 on a; add a node or make the "
     "rule preferred"},
    {POD("",
         UNPLACED("0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity "
                  "rules. Pods that are there must not share a node with it: x on a.")),
     "Unschedulable",
     "redis-1 finds no node: each of the 2 nodes already runs a pod that must not share a node "
     "with it (x on a): add a node or make the rule of that pod preferred"},
    {POD("",
         UNPLACED("0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity "
                  "rules. Pods that are there must not share a zone with it: x on a.")),
     "Unschedulable",
     "redis-1 finds no node: each of the 2 nodes is in a zone with a pod that must not share one "
     "with it (x on a): add a node elsewhere or make the rule of that pod preferred"},
    {POD("", UNPLACED("0/2 nodes are available: 2 node(s) didn't match pod affinity rules. It must "
                      "share a node with a pod that has the labels app=y.")),
     "Unschedulable",
     "redis-1 finds no node: none is where it has to be: it must share a node with a pod that has "
     "the labels app=y; start such a pod or make the rule preferred"},
    {POD("", UNPLACED("0/2 nodes are available: 2 node(s) didn't match pod topology spread "
                      "constraints. Pods that have the labels app=x are spread over each zone with "
                      "maxSkew 1: a has 1, b has 0.")),
     "Unschedulable",
     "redis-1 finds no node: on each of the 2 nodes it would be one too many: pods that have the "
     "labels app=x are spread over each zone with maxSkew 1 (a has 1, b has 0); add a node where "
     "there are fewer or set whenUnsatisfiable to ScheduleAnyway"},
    {POD("", UNPLACED("0/2 nodes are available: 2 node(s) didn't match pod topology spread "
                      "constraints (missing required label). Pods that have the labels app=x are "
                      "spread over each zone with maxSkew 1: no node has its label.")),
     "Unschedulable",
     "redis-1 finds no node: none has the label by which it is to be spread: pods that have the "
     "labels app=x are spread over each zone with maxSkew 1: no node has its label; \"kubectl "
     "label node NODE LABEL=PLACE\" says where a node is"},
    {POD("", UNPLACED("0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. Of "
                      "another form.")),
     "Unschedulable",
     "redis-1 finds no node: 0/2 nodes are available: 2 node(s) didn't match pod anti-affinity "
     "rules. Of another form; add a node or make the rule preferred"},
    {POD("", UNPLACED("0/2 nodes are available: 2 node(s) didn't satisfy existing pods "
                      "anti-affinity rules. Of another form.")),
     "Unschedulable",
     "redis-1 finds no node: 0/2 nodes are available: 2 node(s) didn't satisfy existing pods "
     "anti-affinity rules. Of another form; add a node or make the rule preferred"},
    {POD("", UNPLACED("0/2 nodes are available: 2 node(s) didn't match pod affinity rules. Of "
                      "another form.")),
     "Unschedulable",
     "redis-1 finds no node: 0/2 nodes are available: 2 node(s) didn't match pod affinity rules. "
     "Of another form."},
    {POD("", UNPLACED("0/2 nodes are available: 2 node(s) didn't match pod topology spread "
                      "constraints. Of another form.")),
     "Unschedulable",
     "redis-1 finds no node: 0/2 nodes are available: 2 node(s) didn't match pod topology spread "
     "constraints. Of another form."},
    {POD("", UNPLACED("0/2 nodes are available: 2 node(s) didn't match pod topology spread "
                      "constraints (missing required label). Of another form.")),
     "Unschedulable",
     "redis-1 finds no node: 0/2 nodes are available: 2 node(s) didn't match pod topology spread "
     "constraints (missing required label). Of another form."},
    {POD("", UNPLACED("0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. It "
                      "must not share a node.")),
     "Unschedulable",
     "redis-1 finds no node: 0/2 nodes are available: 2 node(s) didn't match pod anti-affinity "
     "rules. It must not share a node; add a node or make the rule preferred"},
    {POD("", UNPLACED("0/2 nodes are available: 2 node(s) didn't satisfy existing pods "
                      "anti-affinity rules. Pods there must not share a node.")),
     "Unschedulable",
     "redis-1 finds no node: 0/2 nodes are available: 2 node(s) didn't satisfy existing pods "
     "anti-affinity rules. Pods there must not share a node; add a node or make the rule "
     "preferred"},
    {POD("", UNPLACED("0/2 nodes are available: 2 node(s) didn't match pod topology spread "
                      "constraints. Pods that x.")),
     "Unschedulable",
     "redis-1 finds no node: 0/2 nodes are available: 2 node(s) didn't match pod topology spread "
     "constraints. Pods that x."},
    {POD("", UNPLACED("0/2 nodes are available: 2 Too many pods. Something else.")),
     "Unschedulable",
     "redis-1 finds no node: 0/2 nodes are available: 2 Too many pods. Something else."},
    {POD("", UNPLACED("0/2 nodes are available: 2 Too many pods. Something else")), "Unschedulable",
     "redis-1 finds no node: 0/2 nodes are available: 2 Too many pods. Something else"},
    {POD("", UNPLACED("0/2 nodes are available: none")), "Unschedulable",
     "redis-1 finds no node: 0/2 nodes are available: none"},
    {POD("", UNPLACED("0/2")), "Unschedulable", "redis-1 finds no node: 0/2"},
    {POD("", UNPLACED("nothing")), "Unschedulable", "redis-1 finds no node: nothing"},
    {POD(",\"schedulingGates\":[{\"name\":\"x.io/g\"}]", ""), "Unschedulable",
     "redis-1 waits until its scheduling gate x.io/g is taken away"},
    {POD(",\"schedulerName\":\"other\"", ""), "Unschedulable",
     "redis-1 waits for scheduler \"other\" (schedulerName), which is no part of Berth"},
    {POD(",\"schedulerName\":\"default-scheduler\"", ""), "PodStarting", "redis-1 is starting"},
    {"{\"metadata\":{\"name\":\"redis-1\",\"deletionTimestamp\":\"x\",\"finalizers\":[\"x.io/f\"],"
     "\"deletionGracePeriodSeconds\":0}}",
     "PodTerminating",
     "redis-1 has stopped, but stays until its finalizer x.io/f is taken away by whoever set it"},
    {"{\"metadata\":{\"name\":\"redis-1\",\"deletionTimestamp\":\"x\",\"finalizers\":[\"x.io/f\"],"
     "\"deletionGracePeriodSeconds\":60}}",
     "PodTerminating",
     "redis-1 is still stopping: it has 60 seconds (terminationGracePeriodSeconds)"},
};

TEST(why_pod_speaks_to_newcomers)
{
    a = arena_new();
    for (size_t i = 0; i < sizeof newcomers / sizeof *newcomers; i++) {
        check_pod(newcomers[i].pod, NULL, newcomers[i].reason, newcomers[i].text);
    }
    /* Bound since: what the scheduler said of it is over. */
    check_pod(POD("", UNPLACED("0/1: pod has unbound immediate PersistentVolumeClaims: x.")),
              "{\"status\":{\"phase\":\"Bound\"}}", "PodStarting", "redis-1 is starting");
    arena_free(a);
}

TEST(why_on_node_names_a_node_that_cannot_take_the_pod)
{
    a = arena_new();
    yyjson_val *bound = parse(POD(ON_NODE, "")),
               *taken = parse(POD(ON_NODE, ",\"startTime\":\"x\""));
    yyjson_val *ready =
        parse("{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}");
    yyjson_val *silent = parse("{}");
    CHECK_SPAN(why_on_node(a, bound, NULL).text, "redis-1 waits for node n1, which does not exist");
    CHECK_SPAN(why_on_node(a, bound, silent).text, "redis-1 waits for node n1, which is not Ready");
    CHECK(!why_on_node(a, bound, ready).reason);
    CHECK(!why_on_node(a, taken, silent).reason);
    CHECK(!why_on_node(a, parse(POD("", "")), NULL).reason);
    yyjson_val *unknown =
        parse("{\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"Unknown\"}]}}");
    CHECK_SPAN(why_on_node(a, taken, unknown).text,
               "redis-1 is not Ready: node n1 does not answer");
    CHECK_SPAN(why_on_node(a, bound, unknown).text,
               "redis-1 waits for node n1, which is not Ready");
    CHECK_SPAN(why_on_node(a,
                           parse("{\"metadata\":{\"name\":\"redis-1\",\"deletionTimestamp\":\"x\"},"
                                 "\"spec\":{\"nodeName\":\"n1\"}}"),
                           unknown)
                   .text,
               LOST);
    CHECK(!why_on_node(a, parse(POD(ON_NODE, ",\"startTime\":\"x\"" COND("Ready", "True", "", ""))),
                       unknown)
               .reason);
    CHECK(!why_on_node(a,
                       parse("{\"metadata\":{\"deletionTimestamp\":\"x\"},\"spec\":{\"nodeName\":"
                             "\"n1\"}}"),
                       NULL)
               .reason);
    arena_free(a);
}

TEST(why_refused_leaves_out_what_has_been_said)
{
    a = arena_new();
    CHECK_SPAN(why_refused(a, SPAN("r-1"), SPAN("pods \"r-1\" is forbidden: no account")),
               "r-1 cannot be made: no account");
    CHECK_SPAN(why_refused(a, SPAN("r-1"), SPAN("Pod \"r-1\" is invalid: spec.x: no")),
               "r-1 cannot be made: spec.x: no");
    CHECK_SPAN(why_refused(a, SPAN("r-1"), SPAN("Pod \"r-2\" is invalid: spec.x: no")),
               "r-1 cannot be made: Pod \"r-2\" is invalid: spec.x: no");
    arena_free(a);
}

TEST(why_pod_names_the_cause)
{
    a = arena_new();
    for (size_t i = 0; i < sizeof pod_cases / sizeof *pod_cases; i++) {
        check_pod(pod_cases[i].pod, NULL, pod_cases[i].reason, pod_cases[i].text);
    }
    arena_free(a);
}

static const struct {
    const char *claim, *text;
} claim_cases[] = {
    {"{\"status\":{\"phase\":\"Pending\",\"conditions\":[{\"type\":\"berth.dev/Blocked\","
     "\"status\":\"True\",\"message\":\"StorageClass \\\"fast\\\" does not exist\"}]}}",
     "redis-1 waits for claim data-redis-1: StorageClass \"fast\" does not exist"},
    {"{\"metadata\":{\"deletionTimestamp\":\"x\"}}",
     "redis-1 waits for claim data-redis-1: it is being deleted"},
    {"{\"spec\":{\"volumeName\":\"v\"},\"status\":{\"phase\":\"Lost\"}}",
     "redis-1 waits for claim data-redis-1: its volume v is gone, and the data with it"},
    {"{\"metadata\":{\"annotations\":{\"volume.kubernetes.io/storage-provisioner\":\"x.y\"}},"
     "\"status\":{\"phase\":\"Pending\"}}",
     "redis-1 waits for claim data-redis-1: provisioner x.y, which is no part of Berth, has to "
     "make its volume"},
};

#define GROWING(notes, status)                                                                     \
    "{\"metadata\":{\"annotations\":{" notes "}},\"spec\":{\"resources\":{\"requests\":{"          \
    "\"storage\":\"2Gi\"}}},\"status\":{\"phase\":\"Bound\",\"capacity\":{\"storage\":"            \
    "\"1Gi\"}" status "}}"
#define OURS "\"volume.kubernetes.io/storage-provisioner\":\"berth.dev/local\""
#define STAGE(word) ",\"allocatedResourceStatuses\":{\"storage\":\"" word "\"}"

TEST(why_growth_names_what_a_claim_waits_for)
{
    static const struct {
        const char *claim, *why;
    } cases[] = {
        {GROWING(OURS, ""), "its disk is growing"},
        {GROWING(OURS, STAGE("ControllerResizeInProgress")), "its disk is growing"},
        {GROWING(OURS, STAGE("NodeResizePending")),
         "its disk has grown, its file system is next (with the next start of its pod, where the "
         "server runs without CAP_SYS_RESOURCE)"},
        {GROWING(OURS,
                 STAGE("ControllerResizeInfeasible") ",\"conditions\":[{\"type\":"
                                                     "\"ControllerResizeError\",\"message\":"
                                                     "\"failed to expand pvc with no room\"}]"),
         "no room"},
        {GROWING("\"volume.kubernetes.io/storage-provisioner\":\"x.y\"", ""),
         "provisioner x.y, which is no part of Berth, has to do that"},
        {GROWING("", ""), "its volume was not made by Berth, which grows its own only"},
    };
    a = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_SPAN(why_growth(a, parse(cases[i].claim)),
                   arena_printf(a, "waits to grow from 1Gi to 2Gi: %s", cases[i].why).p);
    }
    CHECK_EQ(why_growth(a, parse("{\"status\":{\"phase\":\"Bound\"}}")).n, 0);
    CHECK_EQ(
        why_growth(a, parse("{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"1024Mi\"}}},"
                            "\"status\":{\"phase\":\"Bound\",\"capacity\":{\"storage\":\"1Gi\"}}}"))
            .n,
        0);
    arena_free(a);
}

TEST(why_pod_names_the_claim_in_its_way)
{
    a = arena_new();
    for (size_t i = 0; i < sizeof claim_cases / sizeof *claim_cases; i++) {
        check_pod(POD("", COND("PodScheduled", "False", "Unschedulable", "0/1")),
                  claim_cases[i].claim, "ClaimNotBound", claim_cases[i].text);
        check_pod(POD("", ""), claim_cases[i].claim, "ClaimNotBound", claim_cases[i].text);
    }
    static const char *const on_its_way[] = {
        "{\"status\":{\"phase\":\"Pending\"}}",
        "{\"metadata\":{\"annotations\":{\"volume.kubernetes.io/storage-provisioner\":"
        "\"berth.dev/local\"}},\"status\":{\"phase\":\"Pending\"}}",
        "{\"status\":{\"phase\":\"Pending\",\"conditions\":[{\"type\":\"berth.dev/Blocked\","
        "\"status\":\"False\",\"message\":\"x\"}]}}",
        "{\"status\":{\"phase\":\"Pending\",\"conditions\":[{\"type\":\"berth.dev/Blocked\","
        "\"status\":\"True\",\"message\":\"\"}]}}",
        "{\"status\":{\"phase\":\"Bound\"}}"};
    for (size_t i = 0; i < sizeof on_its_way / sizeof *on_its_way; i++) {
        check_pod(POD("", ""), on_its_way[i], "PodStarting", "redis-1 is starting");
    }
    CHECK_SPAN(why_claim(a, NULL), "it does not exist");
    CHECK_EQ(why_claim(a, parse("{\"status\":{\"phase\":\"Bound\"}}")).n, 0);
    arena_free(a);
}

/* ---- doc/conditions.md ---- */

/* What the controllers say themselves; their own tests and the end-to-end ones check it. */
static const char *const said_elsewhere[][2] = {
    {"ClaimStale", "redis-2 waits until the claim of its predecessor is gone"},
    {"CreationRefused", "redis-1 cannot be made: there is a pod of this name that is not the set's "
                        "(it belongs to ReplicaSet x); it has to go first"},
};

static bool is_said(struct span reason, struct span text)
{
    bool said = false;
    for (size_t i = 0; i < sizeof pod_cases / sizeof *pod_cases; i++) {
        said |= span_eq_cstr(reason, pod_cases[i].reason) && span_eq_cstr(text, pod_cases[i].text);
    }
    for (size_t i = 0; i < sizeof newcomers / sizeof *newcomers; i++) {
        said |= span_eq_cstr(reason, newcomers[i].reason) && span_eq_cstr(text, newcomers[i].text);
    }
    for (size_t i = 0; i < sizeof claim_cases / sizeof *claim_cases; i++) {
        said |= span_eq_cstr(reason, "ClaimNotBound") && span_eq_cstr(text, claim_cases[i].text);
    }
    for (size_t i = 0; i < sizeof said_elsewhere / sizeof *said_elsewhere; i++) {
        said |=
            span_eq_cstr(reason, said_elsewhere[i][0]) && span_eq_cstr(text, said_elsewhere[i][1]);
    }
    struct why on[] = {why_on_node(a, parse(POD(ON_NODE, "")), NULL),
                       why_on_node(a, parse(POD(ON_NODE, "")), parse("{}")),
                       {"CreationRefused", why_refused(a, SPAN("r-1"), SPAN("no account"))}};
    for (size_t i = 0; i < sizeof on / sizeof *on; i++) {
        said |= span_eq_cstr(reason, on[i].reason) && span_eq(text, on[i].text);
    }
    return said;
}

/* "| cause | reason | example |" */
static bool row_of(struct span line, struct span *reason, struct span *text)
{
    struct span cell[5] = {{0}};
    size_t n = 0;
    while (line.n > 0 && n < 5) {
        cell[n++] = span_trim(span_cut(&line, '|'));
    }
    *reason = cell[2];
    *text = cell[3];
    return n == 4 && cell[0].n == 0;
}

TEST(the_page_on_conditions_shows_what_sets_say)
{
    static char page[64 * 1024];
    FILE *f = fopen("doc/conditions.md", "r");
    CHECK(f != NULL);
    size_t n = fread(page, 1, sizeof page, f), rows = 0;
    CHECK(n > 0 && n < sizeof page);
    (void)fclose(f);
    struct span rest = span_of(page, n), reason, text;
    bool in_table = false;
    a = arena_new();
    while (rest.n > 0) {
        struct span line = span_cut(&rest, '\n');
        bool row = row_of(line, &reason, &text);
        in_table = row && (in_table || span_eq_cstr(text, "example"));
        if (in_table && !span_eq_cstr(text, "example") && !span_eq_cstr(text, "---")) {
            rows++;
            if (!is_said(reason, text)) {
                CHECK_SPAN(text, "a sentence of the tables of this test");
            }
        }
    }
    CHECK(rows > 40);
    arena_free(a);
}

TEST(why_line_is_one_line_and_is_cut_between_characters)
{
    a = arena_new();
    CHECK_SPAN(why_line(a, SPAN(" a\n\tb\x1b c "), 100), "a b c");
    CHECK_SPAN(why_line(a, SPAN("0123456789"), 10), "0123456789");
    CHECK_SPAN(why_line(a, SPAN("0123456789x"), 10), "0123456...");
    CHECK_SPAN(why_line(a, SPAN("a\x7f b  c"), 100), "a b c");
    CHECK_SPAN(why_line(a, SPAN("\x01 a"), 100), "a");
    CHECK_SPAN(why_line(a, SPAN("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"), 10), "...");
    CHECK_SPAN(why_line(a, SPAN("012345\xc3\xa4\xc3\xa4\xc3\xa4"), 10), "012345...");
    arena_free(a);
}

static void check_set(const struct rollout_view *v, const char *available, const char *progressing)
{
    struct rollout_condition c[ROLLOUT_CONDITIONS];
    rollout_plan(a, v, c);
    for (size_t i = 0; i < ROLLOUT_CONDITIONS; i++) {
        struct span text = arena_printf(a, "%s %s %s: %.*s", c[i].type, c[i].status, c[i].reason,
                                        SPAN_ARG(c[i].message));
        CHECK_SPAN(text, i == ROLLOUT_AVAILABLE ? available : progressing);
    }
}

TEST(rollout_conditions_tell_where_a_set_stands)
{
    a = arena_new();
    struct rollout_view v = {.replicas = 3, .available = 3, .revision = SPAN("r-1")};
    const char *all = "Available True AllReplicasAvailable: all 3 replicas are available";
    check_set(&v, all, "Progressing True RolloutComplete: every pod is at revision r-1");
    v.partition = 2;
    check_set(&v, all,
              "Progressing True RolloutComplete: the pods from index 2 on are at revision r-1 "
              "(partition)");
    v.partition = 0;
    v.behind = 1;
    check_set(&v, all,
              "Progressing True RolloutInProgress: 1 pod has still to come to revision r-1");
    v.behind = 2;
    check_set(&v, all,
              "Progressing True RolloutInProgress: 2 pods have still to come to revision r-1");
    v.on_delete = true;
    check_set(&v, all,
              "Progressing True WaitingForDelete: 2 pods stay at an older revision until somebody "
              "deletes them (updateStrategy OnDelete)");
    v.behind = 1;
    check_set(&v, all,
              "Progressing True WaitingForDelete: 1 pod stays at an older revision until somebody "
              "deletes it (updateStrategy OnDelete)");
    v.on_delete = false;
    v.paused = true;
    check_set(&v, all,
              "Progressing Unknown Paused: 1 pod is to be updated when berth.dev/paused is taken "
              "away");
    v.behind = 2;
    check_set(&v, all,
              "Progressing Unknown Paused: 2 pods are to be updated when berth.dev/paused is taken "
              "away");
    v.paused = false;
    v.overdue = v.moving = true;
    v.left = SPAN("r-0");
    v.wrong = SPAN("annotation x");
    check_set(&v, all,
              "Progressing False ProgressDeadlineExceeded: 2 pods have still to come to revision "
              "r-1; rolled back from revision r-0, which missed its deadline; annotation x");
    v.left = v.wrong = SPAN_NULL;
    v.recreate = v.recreating = true;
    check_set(&v, all, "Progressing True RecreateInProgress: Deleting old revision pods");
    v.recreating = false;
    check_set(&v, all,
              "Progressing True RecreateInProgress: Waiting for new-revision pods to be created");
    v.moving = v.overdue = false;
    v.behind = 0;
    check_set(&v, all, "Progressing True RecreateComplete: every pod is at revision r-1");
    arena_free(a);
}

TEST(rollout_conditions_tell_what_a_set_lacks_or_has_too_many_of)
{
    a = arena_new();
    struct rollout_view v = {.replicas = 3, .available = 3, .revision = SPAN("r-1")};
    const char *all = "Available True AllReplicasAvailable: all 3 replicas are available";
    v.surplus = 1;
    check_set(&v, all, "Progressing True RolloutInProgress: 1 pod has to go");
    v.surplus = 2;
    check_set(&v, all, "Progressing True RolloutInProgress: 2 pods have to go");
    v.surplus = 0;
    v.terminating = true;
    check_set(&v, all, "Progressing True RolloutInProgress: a pod is stopping");
    v.terminating = false;
    v.available = 2;
    check_set(&v, "Available False ReplicasUnavailable: 2 of 3 replicas are available",
              "Progressing True RolloutInProgress: 2 of 3 replicas are available");
    v.available = 1;
    v.blocking = (struct why){"PodNotReady", SPAN("r-1 is not Ready: x")};
    check_set(&v, "Available False PodNotReady: 1 of 3 replicas are available; r-1 is not Ready: x",
              "Progressing True RolloutInProgress: 1 of 3 replicas are available; r-1 is not "
              "Ready: x");
    v.surplus = 2;
    check_set(&v, "Available False PodNotReady: 1 of 3 replicas are available; r-1 is not Ready: x",
              "Progressing True RolloutInProgress: 1 of 3 replicas are available, 2 pods have to "
              "go; r-1 is not Ready: x");
    v = (struct rollout_view){.replicas = 1, .on_delete = true, .behind = 1};
    check_set(&v, "Available False ReplicasUnavailable: 0 of 1 replica is available",
              "Progressing True RolloutInProgress: 0 of 1 replica is available");
    v = (struct rollout_view){.replicas = 1, .available = 1, .revision = SPAN("r-1")};
    check_set(&v, "Available True AllReplicasAvailable: the replica is available",
              "Progressing True RolloutComplete: every pod is at revision r-1");
    v = (struct rollout_view){.deleting = true, .recreate = true, .moving = true};
    check_set(&v, "Available True AllReplicasAvailable: no replicas are wanted",
              "Progressing True SetDeleting: the set is being deleted: its pods are not replaced "
              "any more");
    v.kept_by = SPAN("x.io/f");
    check_set(&v, "Available True AllReplicasAvailable: no replicas are wanted",
              "Progressing True SetDeleting: the set is being deleted: its pods are not replaced "
              "any more, and its finalizer x.io/f has to be taken away");
    arena_free(a);
}
