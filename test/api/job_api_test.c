/* What a Job and its status are checked by and filled with, a row each: the texts that clients
 * match, byte for byte. */
#include "schema/patch.h"
#include "test/kit/api_kit.h"

#define JOBS "/apis/batch/v1/namespaces/default/jobs"
#define MERGE "Content-Type: application/merge-patch+json\r\n"
#define JOB(more)                                                                                  \
    "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"j\"},\"spec\":{" more  \
    "\"template\":{\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\","         \
    "\"image\":\"i\"}]}}}}"
#define INDEXED "\"completionMode\":\"Indexed\",\"completions\":5,"
#define RULE(rule) "\"podFailurePolicy\":{\"rules\":[" rule "]},"
#define CODES(operator, values)                                                                    \
    RULE("{\"action\":\"FailJob\",\"onExitCodes\":{\"operator\":\""                                \
         operator"\",\"values\":[" values "]}}")
#define SUCCESS(rule) INDEXED "\"successPolicy\":{\"rules\":[" rule "]},"
#define IS_INVALID "Job.batch \"j\" is invalid: "

static void check_message(const char *rule, const struct api_reply *r, const char *want)
{
    if (!span_eq_cstr(api_str(r, "message"), want)) {
        printf("# %s\n#   %d %.*s\n", rule, r->status, SPAN_ARG(api_str(r, "message")));
    }
    CHECK_SPAN(api_str(r, "message"), want);
}

static const struct {
    const char *body, *said; /* NULL: whatever */
} mistakes[] = {
    {JOB("\"completionMode\":\"Indexed\",\"parallelism\":2,"),
     "spec.completions: Required value: when completion mode is Indexed"},
    {JOB("\"completionMode\":\"Some\","),
     "spec.completionMode: Unsupported value: \"Some\": supported values: \"Indexed\", "
     "\"NonIndexed\""},
    {JOB("\"parallelism\":-1,"),
     "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"},
    {JOB(INDEXED "\"parallelism\":100001,"),
     "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when "
     "completion mode is Indexed"},
    {JOB(INDEXED "\"maxFailedIndexes\":6,\"backoffLimitPerIndex\":0,"),
     "spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions"},
    {JOB(INDEXED "\"maxFailedIndexes\":1,"), "spec.backoffLimitPerIndex: Required value: when "
                                             "maxFailedIndexes is specified"},
    {JOB("\"backoffLimitPerIndex\":1,\"maxFailedIndexes\":1,"),
     "[spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode, "
     "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode]"},
    {JOB("\"completionMode\":\"Indexed\",\"completions\":100001,\"parallelism\":10001,"
         "\"backoffLimitPerIndex\":1,"),
     "[spec.maxFailedIndexes: Required value: must be specified when completions is above "
     "100000, spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when "
     "completions are above 100000 and used with backoff limit per index]"},
    {JOB("\"managedBy\":\"me\","), "spec.managedBy: Invalid value: \"me\": must be a "
                                   "domain-prefixed path (such as \"acme.io/foo\")"},
    {JOB("\"managedBy\":\"acme.io/a b\","),
     "spec.managedBy: Invalid value: \"a b\": Invalid path (regex used for validation is "
     "'[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"},
    {JOB("\"selector\":{\"matchLabels\":{\"a\":\"b\"}},"), NULL},
    {JOB("\"manualSelector\":true,"), "spec.selector: Required value"},
    {JOB(RULE("{\"action\":\"FailIndex\",\"onPodConditions\":[{\"type\":\"Ready\"}]}")),
     "spec.podFailurePolicy.rules[0].action: Invalid value: \"FailIndex\": requires the "
     "backoffLimitPerIndex to be set"},
    {JOB(RULE("{\"action\":\"Ignore\"}")),
     "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and "
     "OnPodConditions is required"},
    {JOB(RULE("{\"action\":\"Count\",\"onPodConditions\":[{\"type\":\"Ready\"}],"
              "\"onExitCodes\":{\"operator\":\"In\",\"values\":[1]}}")),
     "spec.podFailurePolicy.rules[0]: Invalid value: specifying both OnExitCodes and "
     "OnPodConditions is not supported"},
    {JOB(RULE("{\"action\":\"Count\",\"onExitCodes\":{\"containerName\":\"x\",\"operator\":"
              "\"In\",\"values\":[1]}}")),
     "spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: \"x\": must be "
     "one of the container or initContainer names in the pod template"},
    {JOB(CODES("In", "0,3,3,2")),
     "[spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 "
     "for the In operator, spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate "
     "value: 3, spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [0,3,3,2]: "
     "must be ordered]"},
    {JOB(CODES("NotIn", "")),
     "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: []: at least one value "
     "is required"},
    {JOB(CODES("In", "1") "\"podReplacementPolicy\":\"TerminatingOrFailed\","),
     "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: "
     "\"Failed\""},
    {JOB("\"successPolicy\":{\"rules\":[{\"succeededCount\":1}]},"),
     "spec.successPolicy: Invalid value: {\"rules\":[{\"succeededCount\":1}]}: requires "
     "indexed completion mode"},
    {JOB(SUCCESS("")), "spec.successPolicy.rules: Required value: at least one rules must be "
                       "specified when the successPolicy is specified"},
    {JOB(SUCCESS("{}")), "spec.successPolicy.rules[0]: Required value: at least one of "
                         "succeededCount or succeededIndexes must be specified"},
    {JOB(SUCCESS("{\"succeededIndexes\":\"1,x-3\"}")),
     "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"1,x-3\": error parsing "
     "succeededIndexes: cannot convert string to integer for index: \"x\""},
    {JOB(SUCCESS("{\"succeededIndexes\":\"1-5\"}")),
     "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"1-5\": error parsing "
     "succeededIndexes: too large index: \"5\""},
    {JOB(SUCCESS("{\"succeededIndexes\":\"1-2-3\"}")),
     "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"1-2-3\": error parsing "
     "succeededIndexes: the fragment \"1-2-3\" violates the requirement that an index interval "
     "can have at most two parts separated by '-'"},
    {JOB(SUCCESS("{\"succeededIndexes\":\"2,1\"}")),
     "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"2,1\": error parsing "
     "succeededIndexes: non-increasing order, previous: 2, current: 1"},
    {JOB(SUCCESS("{\"succeededIndexes\":\"3-3\"}")),
     "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"3-3\": error parsing "
     "succeededIndexes: non-increasing order, previous: 3, current: 3"},
    {JOB(SUCCESS("{\"succeededIndexes\":\"1-2\",\"succeededCount\":3}")),
     "spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or equal "
     "to 2 (the number of indexes in the specified succeededIndexes field)"},
    {JOB(SUCCESS("{\"succeededCount\":6}")),
     "spec.successPolicy.rules[0].succeededCount: Invalid value: 6: must be less than or equal "
     "to 5 (the number of specified completions)"}};

TEST(what_is_wrong_with_a_job_is_said_in_the_words_of_kubernetes)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    cleanup_arena struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct api_reply r = api_expect(&k, 422, "POST", JOBS, "", mistakes[i].body);
        if (mistakes[i].said) {
            check_message(mistakes[i].body, &r,
                          arena_printf(a, IS_INVALID "%s", mistakes[i].said).p);
        }
    }
    api_kit_stop(&k);
}

TEST(labels_and_selector_are_the_servers_choice)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 201, "POST", JOBS, "", JOB(""));
    const yyjson_val *spec = api_at(r.json, "spec");
    const yyjson_val *labels = api_at(spec, "template.metadata.labels");
    const yyjson_val *selector = api_at(spec, "selector.matchLabels");
    struct span uid = api_str(&r, "metadata.uid");
    CHECK_EQ(json_len(labels), 4);
    CHECK(span_eq(json_get_str(labels, "controller-uid"), uid));
    CHECK(span_eq(json_get_str(labels, "batch.kubernetes.io/controller-uid"), uid));
    CHECK_SPAN(json_get_str(labels, "job-name"), "j");
    CHECK_SPAN(json_get_str(labels, "batch.kubernetes.io/job-name"), "j");
    CHECK_EQ(json_len(selector), 1);
    CHECK(span_eq(json_get_str(selector, "batch.kubernetes.io/controller-uid"), uid));
    CHECK_EQ(json_get_int(spec, "completions", 0), 1);
    CHECK_EQ(json_get_int(spec, "backoffLimit", 0), 6);
    CHECK_SPAN(json_get_str(spec, "podReplacementPolicy"), "TerminatingOrFailed");
    CHECK_SPAN(json_get_str(spec, "completionMode"), "NonIndexed");
    /* Labels of somebody else's choice are refused. */
    r = api_expect(&k, 422, "POST", JOBS, "",
                   "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"k\"},"
                   "\"spec\":{\"template\":{\"metadata\":{\"labels\":{\"job-name\":\"x\"}},\"spec\""
                   ":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]"
                   "}}}}");
    CHECK(memmem(api_str(&r, "message").p, api_str(&r, "message").n, "must be 'k'", 11));
    r = api_expect(&k, 422, "POST", JOBS, "",
                   "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":"
                   "\"a.b\"},\"spec\":{" INDEXED "\"template\":{\"spec\":{\"restartPolicy\":"
                   "\"Never\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}");
    check_message("host name", &r,
                  "Job.batch \"a.b\" is invalid: metadata.name: Invalid value: \"a.b\": will not "
                  "able to create pod with invalid DNS label: a.b-4");
    api_kit_stop(&k);
}

TEST(what_a_job_is_stays_and_what_it_is_to_do_may_grow_only_together)
{
    static const struct {
        const char *patch, *said; /* NULL: may be */
    } rows[] = {
        {"{\"spec\":{\"parallelism\":3,\"backoffLimit\":1,\"activeDeadlineSeconds\":9,"
         "\"ttlSecondsAfterFinished\":3,\"suspend\":true}}",
         NULL},
        {"{\"spec\":{\"completions\":7,\"parallelism\":7}}", NULL},
        {"{\"spec\":{\"completions\":7}}",
         "spec.completions: Invalid value: 7: can only be modified in tandem with "
         "spec.parallelism"},
        {"{\"spec\":{\"completionMode\":\"NonIndexed\"}}",
         "spec.completionMode: Invalid value: \"NonIndexed\": field is immutable"},
        {"{\"spec\":{\"backoffLimitPerIndex\":1}}",
         "spec.backoffLimitPerIndex: Invalid value: 1: field is immutable"},
        {"{\"spec\":{\"managedBy\":\"a.b/c\"}}",
         "spec.managedBy: Invalid value: \"a.b/c\": field is immutable"},
        {"{\"spec\":{\"successPolicy\":{\"rules\":[{\"succeededCount\":1}]}}}",
         "spec.successPolicy: Invalid value: {\"rules\":[{\"succeededCount\":1}]}: field is "
         "immutable"}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    cleanup_arena struct arena *a = arena_new();
    (void)api_expect(&k, 201, "POST", JOBS, "", JOB(INDEXED));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api_reply r = api_expect(&k, rows[i].said ? 422 : 200, "PATCH", JOBS "/j?dryRun=All",
                                        MERGE, rows[i].patch);
        if (rows[i].said) {
            check_message(rows[i].patch, &r, arena_printf(a, IS_INVALID "%s", rows[i].said).p);
        }
    }
    api_kit_stop(&k);
}

TEST(a_job_that_waits_and_has_not_begun_may_be_placed_otherwise)
{
#define TEMPLATE(rest) "{\"spec\":{\"template\":{" rest "}}}"
    static const char *const places[] = {
        TEMPLATE("\"metadata\":{\"labels\":{\"a\":\"b\"},\"annotations\":{\"c\":\"d\"}}"),
        TEMPLATE("\"spec\":{\"nodeSelector\":{\"a\":\"b\"}}"),
        TEMPLATE("\"spec\":{\"tolerations\":[{\"operator\":\"Exists\"}]}"),
        TEMPLATE("\"spec\":{\"schedulingGates\":[{\"name\":\"a.b/c\"}]}"),
        TEMPLATE("\"spec\":{\"affinity\":{\"nodeAffinity\":{"
                 "\"preferredDuringSchedulingIgnoredDuringExecution\":[]}}}")};
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", JOBS, "", JOB("\"suspend\":true,"));
    (void)api_expect(&k, 422, "PATCH", JOBS "/j?dryRun=All", MERGE,
                     TEMPLATE("\"spec\":{\"hostname\":\"h\"}"));
    for (int begun = 0; begun < 2; begun++) {
        for (size_t i = 0; i < sizeof places / sizeof *places - (size_t)begun; i++) {
            (void)api_expect(&k, begun ? 422 : 200, "PATCH", JOBS "/j?dryRun=All", MERGE,
                             places[i]);
        }
        (void)api_expect(&k, 200, "PATCH", JOBS "/j/status", MERGE,
                         "{\"status\":{\"startTime\":\"2026-01-01T00:00:00Z\"}}");
    }
    api_kit_stop(&k);
}

#define IS_TRUE(type) "{\"type\":\"" type "\",\"status\":\"True\"}"
#define START "\"startTime\":\"2026-01-01T00:00:00Z\""

TEST(a_status_says_nothing_that_cannot_be)
{
    static const struct {
        const char *status, *said;
    } rows[] = {
        {"\"failed\":1,\"terminating\":-1",
         "[status.terminating: Invalid value: -1: must be greater than or "
         "equal to 0, status.failed: Invalid value: 1: cannot "
         "decrease the failed counter]"},
        {"\"failed\":2,\"active\":1,\"ready\":2",
         "status.ready: Invalid value: 2: cannot set more ready pods than active"},
        {"\"failed\":2,\"uncountedTerminatedPods\":{\"succeeded\":[\"a\",\"b\",\"a\"],\"failed\":["
         "\"b\",\"\"]}",
         "[status.uncountedTerminatedPods.succeeded[2]: Duplicate value: \"a\", "
         "status.uncountedTerminatedPods.failed[0]: Duplicate value: \"b\", "
         "status.uncountedTerminatedPods.failed[1]: Invalid value: \"\": must not be empty]"},
        {"\"failed\":2,\"startTime\":null",
         "status.startTime: Required value: startTime cannot be removed for unsuspended job"},
        {"\"failed\":2,\"completionTime\":\"2025-01-01T00:00:00Z\"",
         "[status.completionTime: Invalid value: \"2025-01-01T00:00:00Z\": cannot set "
         "completionTime when there is no Complete=True condition, status.completionTime: Invalid "
         "value: \"2025-01-01T00:00:00Z\": completionTime cannot be set before startTime]"},
        {"\"failed\":2,\"conditions\":[" IS_TRUE("Failed") "]",
         "status.conditions: Invalid value: cannot set Failed=True condition without the "
         "FailureTarget=true condition"},
        {"\"failed\":2,\"active\":1,\"terminating\":1,\"conditions\":[" IS_TRUE(
             "Failed") "," IS_TRUE("FailureTarget") "]",
         "[status.active: Invalid value: 1: active>0 is invalid for finished job, "
         "status.terminating: Invalid value: 1: terminating>0 is invalid for finished job]"},
        {"\"failed\":2,\"conditions\":[" IS_TRUE("Complete") "]",
         "[status.conditions: Invalid value: cannot set Complete=True condition without the "
         "SuccessCriteriaMet=true condition, status.completionTime: Required value: completionTime "
         "is required for Complete jobs]"},
        {"\"failed\":2,\"conditions\":[" IS_TRUE("SuccessCriteriaMet") "," IS_TRUE(
             "FailureTarget") "]",
         "status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and "
         "FailureTarget=true conditions"},
        {"\"failed\":2,\"completedIndexes\":\"0\"",
         "status.completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes "
         "when non-indexed completion mode"},
        {"\"failed\":2,\"failedIndexes\":\"x\"",
         "[status.failedIndexes: Invalid value: \"x\": cannot set non-null failedIndexes when "
         "backoffLimitPerIndex is null, status.failedIndexes: Invalid value: \"x\": error parsing "
         "failedIndexes: cannot convert string to integer for index: \"x\"]"}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    cleanup_arena struct arena *a = arena_new();
    (void)api_expect(&k, 201, "POST", JOBS, "", JOB(""));
    (void)api_expect(&k, 200, "PATCH", JOBS "/j/status", MERGE,
                     "{\"status\":{\"failed\":2," START "}}");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *body = arena_printf(a, "{\"status\":{%s}}", rows[i].status).p;
        struct api_reply r = api_expect(&k, 422, "PATCH", JOBS "/j/status", MERGE, body);
        check_message(rows[i].status, &r, arena_printf(a, IS_INVALID "%s", rows[i].said).p);
    }
    api_kit_stop(&k);
}

TEST(the_numbers_of_a_status_are_those_of_the_job)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    (void)api_expect(&k, 201, "POST", JOBS, "", JOB(INDEXED "\"backoffLimitPerIndex\":1,"));
    (void)api_expect(&k, 200, "PATCH", JOBS "/j/status", MERGE,
                     "{\"status\":{\"completedIndexes\":\"0,2-4\",\"failedIndexes\":\"1\","
                     "\"succeeded\":4}}");
    (void)api_expect(&k, 200, "PATCH", JOBS "/j/status", MERGE, "{\"status\":{\"succeeded\":3}}");
    struct api_reply r = api_expect(&k, 422, "PATCH", JOBS "/j/status", MERGE,
                                    "{\"status\":{\"completedIndexes\":\"5\"}}");
    check_message("numbers", &r,
                  IS_INVALID "status.completedIndexes: Invalid value: \"5\": error parsing "
                             "completedIndexes: too large index: \"5\"");
    api_kit_stop(&k);
}

TEST(what_a_job_has_come_to_it_stays)
{
    static const struct {
        const char *status, *said;
    } rows[] = {{"\"conditions\":[]",
                 "[status.completionTime: Invalid value: \"2026-01-01T00:00:01Z\": cannot set "
                 "completionTime when there is no Complete=True condition, status.conditions: "
                 "Invalid value: cannot disable the terminal Complete=True condition, "
                 "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True "
                 "condition]"},
                {"\"completionTime\":\"2026-01-01T00:00:02Z\"",
                 "status.completionTime: Invalid value: \"2026-01-01T00:00:02Z\": completionTime "
                 "cannot be mutated"}};
    struct api_kit k;
    api_kit_start(&k, NULL);
    cleanup_arena struct arena *a = arena_new();
    (void)api_expect(&k, 201, "POST", JOBS, "", JOB(""));
    (void)api_expect(
        &k, 200, "PATCH", JOBS "/j/status", MERGE,
        "{\"status\":{" START ",\"completionTime\":\"2026-01-01T00:00:01Z\","
        "\"conditions\":[" IS_TRUE("SuccessCriteriaMet") "," IS_TRUE("Complete") "]}}");
    for (size_t i = 0; i < 2; i++) {
        const char *body = arena_printf(a, "{\"status\":{%s}}", rows[i].status).p;
        struct api_reply r = api_expect(&k, 422, "PATCH", JOBS "/j/status", MERGE, body);
        check_message(rows[i].status, &r, arena_printf(a, IS_INVALID "%s", rows[i].said).p);
    }
    api_kit_stop(&k);
}
