/* test/unit/why_plan_test.c: what a pod, a claim and a set say that they wait for, fact by fact. */
#include "plan/why_plan.h"

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
     "ContainerCrashed", "redis-1 is not Ready: container redis was killed by signal 11"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"CreateContainerConfigError\","
                       "\"message\":\"secret \\\"s\\\" not found\"}}")),
     "ContainerNotStarted", "redis-1 cannot start container redis: secret \"s\" not found"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"ErrImagePull\"}}")),
     "ImageNotAvailable", "redis-1 cannot start: image \"redis:x\" cannot be had: ErrImagePull"},
    {POD(ON_NODE, RUNS("\"state\":{\"waiting\":{\"reason\":\"ErrImageNeverPull\"}}")),
     "ImageNotAvailable",
     "redis-1 cannot start: image \"redis:x\" cannot be had: ErrImageNeverPull"},
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
     "NodeLost",
     "redis-1 is on node n1, which does not answer: it may still run, so no other takes its "
     "place until the node is back or is deleted"},
};

TEST(why_pod_names_the_cause)
{
    a = arena_new();
    for (size_t i = 0; i < sizeof pod_cases / sizeof *pod_cases; i++) {
        check_pod(pod_cases[i].pod, NULL, pod_cases[i].reason, pod_cases[i].text);
    }
    arena_free(a);
}

TEST(why_pod_names_the_claim_in_its_way)
{
    static const struct {
        const char *claim, *text;
    } cases[] = {
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
    a = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_pod(POD("", COND("PodScheduled", "False", "Unschedulable", "0/1")), cases[i].claim,
                  "ClaimNotBound", cases[i].text);
        check_pod(POD("", ""), cases[i].claim, "ClaimNotBound", cases[i].text);
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
    arena_free(a);
}
