/* plan/job_policy.c: see job_policy.h. */
#include "plan/job_policy.h"

#include "base/check.h"

/* ---- failures ---- */

static bool code_fits(const yyjson_val *rule, int64_t code)
{
    bool in = false;
    JSON_EACH(it, json_get(rule, "values"))
    {
        in |= json_int(it.val, INT64_MIN) == code;
    }
    struct span op = json_get_str(rule, "operator");
    return span_eq(op, SPAN("In")) ? in : span_eq(op, SPAN("NotIn")) && !in;
}

/* The first container that has ended with a code of the rule; success fits no rule. */
static const yyjson_val *find_container(const yyjson_val *rule, const yyjson_val *list)
{
    struct span wanted = json_get_str(rule, "containerName");
    JSON_EACH(it, list)
    {
        int64_t code = json_int(json_path(it.val, "state", "terminated", "exitCode", NULL), 0);
        if ((wanted.n == 0 || span_eq(wanted, json_get_str(it.val, "name"))) && code != 0 &&
            code_fits(rule, code)) {
            return it.val;
        }
    }
    return NULL;
}

static const yyjson_val *find_condition(const yyjson_val *patterns, const yyjson_val *conditions)
{
    JSON_EACH(it, conditions)
    {
        JSON_EACH(p, patterns)
        {
            if (span_eq(json_get_str(it.val, "type"), json_get_str(p.val, "type")) &&
                span_eq(json_get_str(it.val, "status"), json_get_str(p.val, "status"))) {
                return it.val;
            }
        }
    }
    return NULL;
}

static enum job_failure failure_of(struct span action)
{
    return span_eq(action, SPAN("Ignore"))      ? JOB_FAILURE_IGNORED
           : span_eq(action, SPAN("FailIndex")) ? JOB_FAILURE_OF_INDEX
           : span_eq(action, SPAN("FailJob"))   ? JOB_FAILURE_OF_JOB
                                                : JOB_FAILURE_COUNTS;
}

/* Does the rule fit the pod? ret_what: by what, as the message says it. */
static bool rule_fits(struct arena *a, const yyjson_val *rule, const yyjson_val *pod,
                      struct span *ret_what)
{
    const yyjson_val *status = json_get(pod, "status"), *codes = json_get(rule, "onExitCodes");
    const yyjson_val *meta = json_get(pod, "metadata");
    struct span ns = json_get_str(meta, "namespace"), name = json_get_str(meta, "name");
    if (codes) {
        const yyjson_val *c = find_container(codes, json_get(status, "containerStatuses"));
        c = c ? c : find_container(codes, json_get(status, "initContainerStatuses"));
        int64_t code = json_int(json_path(c, "state", "terminated", "exitCode", NULL), 0);
        *ret_what = arena_printf(a, "Container %.*s for pod %.*s/%.*s failed with exit code %lld",
                                 SPAN_ARG(json_get_str(c, "name")), SPAN_ARG(ns), SPAN_ARG(name),
                                 (long long)code);
        return c;
    }
    const yyjson_val *c =
        find_condition(json_get(rule, "onPodConditions"), json_get(status, "conditions"));
    *ret_what = arena_printf(a, "Pod %.*s/%.*s has condition %.*s", SPAN_ARG(ns), SPAN_ARG(name),
                             SPAN_ARG(json_get_str(c, "type")));
    return c;
}

enum job_failure job_policy_failure(struct arena *a, const yyjson_val *policy,
                                    const yyjson_val *pod, struct span *ret_message)
{
    assert(a);
    assert(ret_message);
    size_t i = 0;
    JSON_EACH(rule, json_get(policy, "rules"))
    {
        struct span what;
        if (rule_fits(a, rule.val, pod, &what)) {
            struct span action = json_get_str(rule.val, "action");
            *ret_message = arena_printf(a, "%.*s matching %.*s rule at index %zu", SPAN_ARG(what),
                                        SPAN_ARG(action), i);
            return failure_of(action);
        }
        i++;
    }
    return JOB_FAILURE_COUNTS;
}

/* ---- success ---- */

static bool is_enough(struct arena *a, const yyjson_val *rule, int32_t completions,
                      struct job_indexes succeeded)
{
    const yyjson_val *indexes = json_get(rule, "succeededIndexes");
    int64_t wanted = json_get_int(rule, "succeededCount", -1);
    if (!indexes) {
        return wanted >= 0 && job_indexes_count(succeeded) >= wanted;
    }
    struct job_indexes those = job_indexes_parse(a, json_str(indexes), completions);
    wanted = wanted >= 0 ? wanted : job_indexes_count(those);
    return job_indexes_common(those, succeeded) >= wanted;
}

bool job_policy_success(struct arena *a, const yyjson_val *policy, int32_t completions,
                        struct job_indexes succeeded, struct span *ret_message)
{
    assert(a);
    assert(ret_message);
    assert(completions >= 0);
    size_t i = 0;
    JSON_EACH(rule, json_get(policy, "rules"))
    {
        if (succeeded.n && is_enough(a, rule.val, completions, succeeded)) {
            *ret_message = arena_printf(a, "Matched rules at index %zu", i);
            return true;
        }
        i++;
    }
    return false;
}
