/* kinds/kind_job_policy.c: a job's rules for failures and success. */
#include "base/check.h"
#include "kinds/kind_job.h"

enum {
    RULES_MAX = 20,
    PATTERNS_MAX = 20,
    CODES_MAX = 255,
    NUMBERS_BYTES_MAX = 64 * 1024, /* of succeededIndexes */
};

/* ---- numbers ---- */

static bool number_ok(struct arena *a, struct span text, int64_t completions, int64_t *ret,
                      struct span *ret_fault)
{
    if (!span_to_i64(text, ret)) {
        *ret_fault =
            arena_printf(a, "cannot convert string to integer for index: \"%.*s\"", SPAN_ARG(text));
        return false;
    }
    if (*ret >= completions) {
        *ret_fault = arena_printf(a, "too large index: \"%.*s\"", SPAN_ARG(text));
        return false;
    }
    return true;
}

/* One number or two with a hyphen between them. */
static bool part_ok(struct arena *a, struct span part, int64_t completions, int64_t *ret_first,
                    int64_t *ret_last, struct span *ret_fault)
{
    struct span last = part, first = span_cut(&last, '-');
    if (span_find(last, '-') < last.n) {
        *ret_fault = arena_printf(a,
                                  "the fragment \"%.*s\" violates the requirement that an index "
                                  "interval can have at most two parts separated by '-'",
                                  SPAN_ARG(part));
        return false;
    }
    if (!number_ok(a, first, completions, ret_first, ret_fault)) {
        return false;
    }
    *ret_last = *ret_first;
    if (first.n == part.n) {
        return true;
    }
    if (!number_ok(a, last, completions, ret_last, ret_fault)) {
        return false;
    }
    if (*ret_first >= *ret_last) {
        *ret_fault = arena_printf(a, "non-increasing order, previous: %lld, current: %lld",
                                  (long long)*ret_first, (long long)*ret_last);
        return false;
    }
    return true;
}

struct span job_numbers_fault(struct arena *a, struct span text, int64_t completions,
                              int64_t *ret_count)
{
    struct span fault = SPAN_NULL;
    int64_t first, last, before = -1;
    assert(a);
    assert(ret_count);
    *ret_count = 0;
    while (text.n) {
        if (!part_ok(a, span_cut(&text, ','), completions, &first, &last, &fault)) {
            return fault;
        }
        if (before >= first) {
            return arena_printf(a, "non-increasing order, previous: %lld, current: %lld",
                                (long long)before, (long long)first);
        }
        *ret_count += last - first + 1;
        before = last;
    }
    return SPAN_NULL;
}

/* ---- failures ---- */

static bool has_container(const yyjson_val *pod, struct span name)
{
    static const char *const lists[] = {"containers", "initContainers"};
    for (size_t i = 0; i < 2; i++) {
        JSON_EACH(it, json_get(pod, lists[i]))
        {
            if (span_eq(json_get_str(it.val, "name"), name)) {
                return true;
            }
        }
    }
    return false;
}

static void check_codes(struct check *c, const struct path *p, const yyjson_val *list, bool is_in)
{
    int64_t before = INT64_MIN, seen[CODES_MAX];
    size_t n = 0;
    bool ordered = true;
    if (json_len(list) == 0) {
        cause_invalid(c, p, shown(c->a, list), "at least one value is required");
    } else if (json_len(list) > CODES_MAX) {
        cause_too_many(c, p, json_len(list), CODES_MAX);
        return;
    }
    JSON_EACH(it, list)
    {
        int64_t code = json_int(it.val, 0);
        bool again = false;
        for (size_t i = 0; i < n; i++) {
            again |= seen[i] == code;
        }
        if (is_in && code == 0) {
            cause_invalid(c, AT_INDEX(p, n), SPAN("0"), "must not be 0 for the In operator");
        }
        if (again) {
            cause_duplicate(c, AT_INDEX(p, n), shown(c->a, it.val));
        }
        ordered &= before <= code;
        before = code;
        seen[n++] = code;
    }
    if (!ordered) {
        cause_invalid(c, p, shown(c->a, list), "must be ordered");
    }
}

static void check_patterns(struct check *c, const struct path *p, const yyjson_val *list)
{
    size_t n = 0;
    if (json_len(list) > PATTERNS_MAX) {
        cause_too_many(c, p, json_len(list), PATTERNS_MAX);
    }
    JSON_EACH(it, list)
    {
        struct span status = json_get_str(it.val, "status");
        const struct path *here = AT_INDEX(p, n);
        format_check(c, AT_FIELD(here, "type"), "qualified", json_get(it.val, "type"));
        if (!span_eq(status, SPAN("True")) && !span_eq(status, SPAN("False")) &&
            !span_eq(status, SPAN("Unknown"))) {
            cause_not_supported(c, AT_FIELD(here, "status"), shown_text(c->a, status),
                                "False|True|Unknown");
        }
        n++;
    }
}

static void check_failure_rule(struct check *c, const struct path *p, const yyjson_val *spec,
                               const yyjson_val *rule)
{
    const yyjson_val *codes = json_get(rule, "onExitCodes");
    const yyjson_val *conditions = json_get(rule, "onPodConditions");
    const yyjson_val *name = json_get(codes, "containerName");
    struct span action = json_get_str(rule, "action");
    if (span_eq(action, SPAN("FailIndex")) && !json_get(spec, "backoffLimitPerIndex")) {
        cause_invalid(c, AT_FIELD(p, "action"), shown_text(c->a, action),
                      "requires the backoffLimitPerIndex to be set");
    }
    if (codes) {
        const struct path *at = AT_FIELD(p, "onExitCodes");
        if (name && !has_container(json_path(spec, "template", "spec", NULL), json_str(name))) {
            cause_invalid(c, AT_FIELD(at, "containerName"), shown(c->a, name),
                          "must be one of the container or initContainer names in the pod "
                          "template");
        }
        check_codes(c, AT_FIELD(at, "values"), json_get(codes, "values"),
                    span_eq(json_get_str(codes, "operator"), SPAN("In")));
    }
    check_patterns(c, AT_FIELD(p, "onPodConditions"), conditions);
    if (codes && json_len(conditions)) {
        cause_invalid(
            c, p, SPAN("specifying both OnExitCodes and OnPodConditions is not supported"), NULL);
    } else if (!codes && !json_len(conditions)) {
        cause_invalid(c, p, SPAN("specifying one of OnExitCodes and OnPodConditions is required"),
                      NULL);
    }
}

static void check_failures(struct check *c, const struct path *p, const yyjson_val *spec)
{
    const yyjson_val *rules = json_path(spec, "podFailurePolicy", "rules", NULL);
    size_t n = 0;
    if (json_len(rules) > RULES_MAX) {
        cause_too_many(c, AT_FIELD(p, "rules"), json_len(rules), RULES_MAX);
    }
    JSON_EACH(it, rules)
    {
        check_failure_rule(c, AT_INDEX(AT_FIELD(p, "rules"), n), spec, it.val);
        n++;
    }
}

/* ---- success ---- */

static void check_success_rule(struct check *c, const struct path *p, const yyjson_val *spec,
                               const yyjson_val *rule)
{
    const yyjson_val *indexes = json_get(rule, "succeededIndexes");
    const yyjson_val *count = json_get(rule, "succeededCount");
    int64_t completions = json_get_int(spec, "completions", 0), total = 0;
    const struct path *at = AT_FIELD(p, "succeededCount");
    if (!indexes && !count) {
        cause_required(c, p,
                       "at least one of succeededCount or succeededIndexes must be specified");
    }
    if (json_str(indexes).n > NUMBERS_BYTES_MAX) {
        cause_too_long(c, AT_FIELD(p, "succeededIndexes"), NUMBERS_BYTES_MAX);
        return;
    }
    struct span fault = job_numbers_fault(c->a, json_str(indexes), completions, &total);
    if (fault.n) {
        total = 0;
        cause_invalid(
            c, AT_FIELD(p, "succeededIndexes"), shown(c->a, indexes),
            arena_printf(c->a, "error parsing succeededIndexes: %.*s", SPAN_ARG(fault)).p);
    }
    if (count && json_int(count, 0) > completions) {
        cause_invalid(c, at, shown(c->a, count),
                      arena_printf(c->a,
                                   "must be less than or equal to %lld (the number of specified "
                                   "completions)",
                                   (long long)completions)
                          .p);
    }
    if (count && indexes && json_int(count, 0) > total) {
        cause_invalid(c, at, shown(c->a, count),
                      arena_printf(c->a,
                                   "must be less than or equal to %lld (the number of indexes in "
                                   "the specified succeededIndexes field)",
                                   (long long)total)
                          .p);
    }
}

static void check_success(struct check *c, const struct path *p, const yyjson_val *spec)
{
    const yyjson_val *rules = json_path(spec, "successPolicy", "rules", NULL);
    const struct path *at = AT_FIELD(p, "rules");
    size_t n = 0;
    if (json_len(rules) == 0) {
        cause_required(c, at,
                       "at least one rules must be specified when the successPolicy is specified");
    } else if (json_len(rules) > RULES_MAX) {
        cause_too_many(c, at, json_len(rules), RULES_MAX);
        return;
    }
    JSON_EACH(it, rules)
    {
        check_success_rule(c, AT_INDEX(at, n), spec, it.val);
        n++;
    }
}

void check_job_policies(struct check *c, const struct path *p, const yyjson_val *spec)
{
    const yyjson_val *success = json_get(spec, "successPolicy");
    struct span replace = json_get_str(spec, "podReplacementPolicy");
    if (json_get(spec, "podFailurePolicy")) {
        check_failures(c, AT_FIELD(p, "podFailurePolicy"), spec);
    }
    if (success && !span_eq(json_get_str(spec, "completionMode"), SPAN("Indexed"))) {
        cause_invalid(c, AT_FIELD(p, "successPolicy"), shown(c->a, success),
                      "requires indexed completion mode");
    } else if (success) {
        check_success(c, AT_FIELD(p, "successPolicy"), spec);
    }
    if (json_get(spec, "podFailurePolicy") && span_eq(replace, SPAN("TerminatingOrFailed"))) {
        cause_not_supported(c, AT_FIELD(p, "podReplacementPolicy"), shown_text(c->a, replace),
                            "Failed");
    }
}
