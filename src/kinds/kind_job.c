/* kinds/kind_job.c: jobs and cron jobs. */
#include "base/check.h"
#include "codec/selector.h"
#include "kinds/kind_cron.h"
#include "kinds/kind_workload.h"

static void put_absent_int(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, int64_t n)
{
    if (!json_mut_get(obj, key)) {
        json_put_int(doc, obj, key, n);
    }
}

static void put_absent_str(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
                           struct span text)
{
    if (json_mut_str(json_mut_get(obj, key)).n == 0) {
        json_put_str(doc, obj, key, text);
    }
}

static void put_label(yyjson_mut_doc *doc, yyjson_mut_val *labels, const char *key,
                      struct span value)
{
    if (!json_mut_get(labels, key)) {
        json_put(doc, labels, key, yyjson_mut_strncpy(doc, value.p, value.n));
    }
}

/* The server chooses the labels of a job's pods, so that two jobs never count the same ones. */
static void selector_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj, yyjson_mut_val *spec)
{
    yyjson_mut_val *meta = json_mut_get(obj, "metadata");
    struct span uid = json_mut_str(json_mut_get(meta, "uid"));
    struct span name = json_mut_str(json_mut_get(meta, "name"));
    yyjson_mut_val *selector = json_mut_get(spec, "selector");
    if (yyjson_mut_is_true(json_mut_get(spec, "manualSelector")) || selector || uid.n == 0) {
        return;
    }
    yyjson_mut_val *template = json_mut_obj(doc, spec, "template");
    yyjson_mut_val *labels = json_mut_obj(doc, json_mut_obj(doc, template, "metadata"), "labels");
    selector = json_mut_obj(doc, json_mut_obj(doc, spec, "selector"), "matchLabels");
    if (!labels || !selector) {
        return;
    }
    put_label(doc, selector, "batch.kubernetes.io/controller-uid", uid);
    put_label(doc, labels, "batch.kubernetes.io/controller-uid", uid);
    put_label(doc, labels, "batch.kubernetes.io/job-name", name);
    put_label(doc, labels, "controller-uid", uid);
    put_label(doc, labels, "job-name", name);
}

static void job_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_get(obj, "spec");
    bool unset = !json_mut_get(spec, "completions") && !json_mut_get(spec, "parallelism");
    bool per_index = json_mut_get(spec, "backoffLimitPerIndex");
    if (unset) {
        json_put_int(doc, spec, "completions", 1);
    }
    put_absent_int(doc, spec, "parallelism", 1);
    put_absent_int(doc, spec, "backoffLimit", per_index ? INT32_MAX : 6);
    put_absent_str(doc, spec, "completionMode", SPAN("NonIndexed"));
    if (!json_mut_get(spec, "suspend")) {
        json_put_bool(doc, spec, "suspend", false);
    }
    if (!json_mut_get(spec, "manualSelector")) {
        json_put_bool(doc, spec, "manualSelector", false);
    }
    put_absent_str(doc, spec, "podReplacementPolicy",
                   json_mut_get(spec, "podFailurePolicy") ? SPAN("Failed")
                                                          : SPAN("TerminatingOrFailed"));
    pod_spec_defaults(doc, json_mut_get(json_mut_get(spec, "template"), "spec"));
    selector_defaults(doc, obj, spec);
}

/* ---- validation ---- */

static void check_job_template(struct check *c, const struct path *p, const yyjson_val *spec)
{
    const yyjson_val *t = json_get(spec, "template"), *pod = json_get(t, "spec");
    const struct path *here = AT_FIELD(p, "template"), *in = AT_FIELD(here, "spec");
    struct span policy = json_get_str(pod, "restartPolicy");
    check_labels(c, AT_FIELD(here, "labels"), json_get(json_get(t, "metadata"), "labels"));
    if (!span_eq(policy, SPAN("OnFailure")) && !span_eq(policy, SPAN("Never"))) {
        cause_required(c, AT_FIELD(in, "restartPolicy"), "valid values: \"OnFailure\", \"Never\"");
    } else if (json_get(spec, "podFailurePolicy") && !span_eq(policy, SPAN("Never"))) {
        cause_invalid(c, AT_FIELD(in, "restartPolicy"), shown_text(c->a, policy),
                      "only \"Never\" is supported when podFailurePolicy is specified");
    }
    check_template_spec(c, in, pod, NULL);
}

static void check_job_spec(struct check *c, const struct path *p, const yyjson_val *spec)
{
    bool indexed = span_eq(json_get_str(spec, "completionMode"), SPAN("Indexed"));
    if (indexed && !json_get(spec, "completions")) {
        cause_required(c, AT_FIELD(p, "completions"), "when completion mode is Indexed");
    }
    if (!indexed && json_get(spec, "backoffLimitPerIndex")) {
        cause_invalid(c, AT_FIELD(p, "backoffLimitPerIndex"),
                      shown(c->a, json_get(spec, "backoffLimitPerIndex")),
                      "requires indexed completion mode");
    }
    if (json_get(spec, "maxFailedIndexes") && !json_get(spec, "backoffLimitPerIndex")) {
        cause_required(c, AT_FIELD(p, "backoffLimitPerIndex"),
                       "when maxFailedIndexes is specified");
    }
    check_job_template(c, p, spec);
}

static void check_job_selector(struct check *c, const struct path *p, const yyjson_val *spec)
{
    const yyjson_val *selector = json_get(spec, "selector");
    const yyjson_val *labels = json_path(spec, "template", "metadata", "labels", NULL);
    struct selector s;
    if (!selector) {
        cause_required(c, AT_FIELD(p, "selector"), NULL);
        return;
    }
    check_label_selector(c, AT_FIELD(p, "selector"), selector);
    if (selector_from_object(c->a, selector, &s, NULL) == 0 && !selector_matches(&s, labels)) {
        cause_invalid(c, AT_FIELD(AT_FIELD(AT_FIELD(p, "template"), "metadata"), "labels"),
                      shown(c->a, labels), "`selector` does not match template `labels`");
    }
}

static void check_job_update(struct check *c, const struct path *p, const yyjson_val *obj,
                             const yyjson_val *old)
{
    static const char *const fixed[] = {"selector",         "completionMode",
                                        "podFailurePolicy", "backoffLimitPerIndex",
                                        "managedBy",        "successPolicy"};
    const yyjson_val *now = json_get(obj, "spec"), *was = json_get(old, "spec");
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const yyjson_val *v = json_get(now, fixed[i]);
        if (!semantic_equal(v, json_get(was, fixed[i]))) {
            cause_invalid(c, AT_FIELD(p, fixed[i]), shown(c->a, v), "field is immutable");
        }
    }
    /* A job that waits and has not begun may still get other pods. */
    bool waits =
        json_get_bool(was, "suspend", false) && !json_path(old, "status", "startTime", NULL);
    const yyjson_val *template = json_get(now, "template");
    if (!waits && !semantic_equal(template, json_get(was, "template"))) {
        cause_invalid(c, AT_FIELD(p, "template"), shown(c->a, template), "field is immutable");
    }
    const yyjson_val *n = json_get(now, "completions");
    bool elastic = span_eq(json_get_str(now, "completionMode"), SPAN("Indexed")) &&
                   json_int(n, -1) == json_get_int(now, "parallelism", -2);
    if (!elastic && !semantic_equal(n, json_get(was, "completions"))) {
        cause_invalid(c, AT_FIELD(p, "completions"), shown(c->a, n), "field is immutable");
    }
}

static void job_validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec");
    const struct path *p = AT_FIELD(NULL, "spec");
    check_job_spec(c, p, spec);
    check_job_selector(c, p, spec);
    if (c->old) {
        check_job_update(c, p, obj, c->old);
    }
}

static bool job_field(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret)
{
    if (span_eq(key, SPAN("status.successful"))) {
        *ret = arena_printf(a, "%lld",
                            (long long)json_get_int(json_get(obj, "status"), "succeeded", 0));
        return true;
    }
    return kind_field_metadata(a, obj, key, ret);
}

const struct schema_hooks schema_hooks_job = {
    .defaults = job_defaults, .validate = job_validate, .field = job_field};

/* ---- cron jobs ---- */

enum { CRON_JOB_NAME_BYTES = 52 }; /* the names of its jobs get eleven more */

static void cronjob_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *job =
        json_mut_get(json_mut_get(json_mut_get(obj, "spec"), "jobTemplate"), "spec");
    pod_spec_defaults(doc, json_mut_get(json_mut_get(job, "template"), "spec"));
}

static void cronjob_validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec"), *schedule = json_get(spec, "schedule");
    const struct path *p = AT_FIELD(NULL, "spec");
    struct span name = json_get_str(json_get(obj, "metadata"), "name");
    if (!c->old && name.n > CRON_JOB_NAME_BYTES) {
        cause_invalid(c, AT_FIELD(AT_FIELD(NULL, "metadata"), "name"), shown_text(c->a, name),
                      "must be no more than 52 characters");
    }
    struct span fault = json_str(schedule).n ? cron_fault(c->a, json_str(schedule)) : SPAN_NULL;
    if (fault.n) {
        cause_invalid(c, AT_FIELD(p, "schedule"), shown(c->a, schedule), fault.p);
    }
    const yyjson_val *job = json_path(spec, "jobTemplate", "spec", NULL);
    const struct path *at = AT_FIELD(AT_FIELD(p, "jobTemplate"), "spec");
    check_job_spec(c, at, job);
    if (json_get_bool(job, "manualSelector", false)) {
        cause_not_supported(c, AT_FIELD(at, "manualSelector"), SPAN("true"), "nil|false");
    }
}

const struct schema_hooks schema_hooks_cronjob = {
    .defaults = cronjob_defaults, .validate = cronjob_validate, .field = kind_field_metadata};
