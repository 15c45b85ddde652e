/* test/unit/job_policy_test.c: what rules say of failed pods and of successes. */
#include "plan/job_policy.h"

#include "kit/kit.h"

static const yyjson_val *json(struct arena *a, const char *text)
{
    struct err err;
    yyjson_doc *doc;
    CHECK(json_parse(a, span_cstr(text), &doc, &err) == 0);
    return yyjson_doc_get_root(doc);
}

#define RULES(rules) "{\"rules\":[" rules "]}"
#define CODES(action, more)                                                                        \
    "{\"action\":\"" action "\",\"onExitCodes\":{" more ",\"values\":[3,7]}}"
#define IN "\"operator\":\"In\""
#define NOT_IN "\"operator\":\"NotIn\""
#define TARGET                                                                                     \
    "{\"action\":\"Ignore\",\"onPodConditions\":[{\"type\":\"X\",\"status\":\"True\"},{\"type\":"  \
    "\"DisruptionTarget\",\"status\":\"True\"}]}"
#define ENDED(name, code)                                                                          \
    "{\"name\":\"" name "\",\"state\":{\"terminated\":{\"exitCode\":" code "}}}"
#define POD(containers, more)                                                                      \
    "{\"metadata\":{\"namespace\":\"ns\",\"name\":\"p\"},\"status\":{\"containerStatuses\":"       \
    "[" containers "]" more "}}"
#define CONDITION(status)                                                                          \
    ",\"conditions\":[{\"type\":\"DisruptionTarget\",\"status\":\"" status "\"}]"

TEST(the_first_rule_that_fits_a_failed_pod_counts)
{
    static const struct {
        const char *policy, *pod;
        enum job_failure failure;
        const char *message;
    } rows[] = {
        {RULES(""), POD(ENDED("c", "3"), ""), JOB_FAILURE_COUNTS, NULL},
        {RULES(CODES("FailJob", IN)), POD(ENDED("a", "0") "," ENDED("c", "3"), ""),
         JOB_FAILURE_OF_JOB,
         "Container c for pod ns/p failed with exit code 3 matching FailJob rule at index 0"},
        {RULES(CODES("FailJob", IN)), POD(ENDED("c", "4"), ""), JOB_FAILURE_COUNTS, NULL},
        {RULES(CODES("FailJob", NOT_IN)), POD(ENDED("c", "4"), ""), JOB_FAILURE_OF_JOB,
         "Container c for pod ns/p failed with exit code 4 matching FailJob rule at index 0"},
        {RULES(CODES("FailJob", NOT_IN)), POD(ENDED("c", "0"), ""), JOB_FAILURE_COUNTS, NULL},
        {RULES(CODES("FailJob", NOT_IN)), POD(ENDED("c", "7"), ""), JOB_FAILURE_COUNTS, NULL},
        {RULES(CODES("FailJob", "\"operator\":\"Else\"")), POD(ENDED("c", "7"), ""),
         JOB_FAILURE_COUNTS, NULL},
        {RULES(CODES("FailIndex", "\"containerName\":\"c\"," IN)),
         POD(ENDED("b", "3") "," ENDED("c", "7"), ""), JOB_FAILURE_OF_INDEX, NULL},
        {RULES(CODES("FailIndex", "\"containerName\":\"c\"," IN)), POD(ENDED("b", "3"), ""),
         JOB_FAILURE_COUNTS, NULL},
        {RULES(CODES("Ignore", IN)),
         POD("{\"name\":\"c\",\"state\":{\"running\":{}}}",
             ",\"initContainerStatuses\":[" ENDED("i", "3") "]"),
         JOB_FAILURE_IGNORED, NULL},
        {RULES(CODES("Count", IN) "," CODES("FailJob", IN)), POD(ENDED("c", "3"), ""),
         JOB_FAILURE_COUNTS, NULL},
        {RULES(TARGET), POD(ENDED("c", "3"), CONDITION("True")), JOB_FAILURE_IGNORED, NULL},
        {RULES(TARGET), POD(ENDED("c", "3"), CONDITION("False")), JOB_FAILURE_COUNTS, NULL},
        {RULES(CODES("Ignore", IN) ",{\"action\":\"FailJob\",\"onPodConditions\":[{\"type\":"
                                   "\"DisruptionTarget\",\"status\":\"True\"}]}"),
         POD("", CONDITION("True")), JOB_FAILURE_OF_JOB,
         "Pod ns/p has condition DisruptionTarget matching FailJob rule at index 1"},
    };
    struct arena *a cleanup_arena = arena_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span message = SPAN_NULL;
        CHECK_EQ(job_policy_failure(a, json(a, rows[i].policy), json(a, rows[i].pod), &message),
                 rows[i].failure);
        if (rows[i].message) {
            CHECK_SPAN(message, rows[i].message);
        }
    }
    struct span message;
    CHECK_EQ(job_policy_failure(a, NULL, json(a, POD("", "")), &message), JOB_FAILURE_COUNTS);
}

TEST(the_first_rule_that_successes_fit_is_enough)
{
    static const struct {
        const char *policy, *succeeded;
        int at; /* -1: none */
    } rows[] = {
        {RULES("{\"succeededCount\":2}"), "1,4", 0},
        {RULES("{\"succeededCount\":3}"), "1,4", -1},
        {RULES("{\"succeededIndexes\":\"1-2\"}"), "0-3", 0},
        {RULES("{\"succeededIndexes\":\"1-2\"}"), "0,2-3", -1},
        {RULES("{\"succeededIndexes\":\"1-3\",\"succeededCount\":2}"), "0,2-3", 0},
        {RULES("{\"succeededIndexes\":\"1-3\",\"succeededCount\":2}"), "0,3-4", -1},
        {RULES("{\"succeededCount\":5},{\"succeededIndexes\":\"4\"}"), "4", 1},
        {RULES("{\"succeededIndexes\":\"\"}"), "", -1},
        {RULES("{}"), "0-4", -1},
        {RULES(""), "0-4", -1},
    };
    struct arena *a cleanup_arena = arena_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span message = SPAN_NULL;
        struct job_indexes done = job_indexes_parse(a, span_cstr(rows[i].succeeded), 5);
        CHECK_EQ(job_policy_success(a, json(a, rows[i].policy), 5, done, &message),
                 rows[i].at >= 0);
        if (rows[i].at >= 0) {
            CHECK_SPAN(message,
                       rows[i].at ? "Matched rules at index 1" : "Matched rules at index 0");
        }
    }
}
