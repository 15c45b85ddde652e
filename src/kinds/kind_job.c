/* kinds/kind_job.c: jobs. */
#include "kinds/kind_job.h"
#include "base/check.h"
#include "codec/names.h"
#include "codec/selector.h"
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
    if (yyjson_mut_is_true(json_mut_get(spec, "manualSelector")) || uid.n == 0) {
        return;
    }
    yyjson_mut_val *template = json_mut_obj(doc, spec, "template");
    yyjson_mut_val *labels = json_mut_obj(doc, json_mut_obj(doc, template, "metadata"), "labels");
    yyjson_mut_val *selector =
        json_mut_obj(doc, json_mut_obj(doc, spec, "selector"), "matchLabels");
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

enum {
    INDEXED_MAX = 100000,      /* pods at once, and numbers that may fail, of an indexed job */
    HIGH_COMPLETIONS = 100000, /* above them there are tighter bounds */
    HIGH_MAX = 10000,
    MANAGED_BY_BYTES = 63,
};

static void check_at_most(struct check *c, const struct path *p, const yyjson_val *n, int64_t most,
                          const char *when)
{
    if (n && json_int(n, 0) > most) {
        struct span text =
            arena_printf(c->a, "must be less than or equal to %lld%s", (long long)most, when);
        cause_invalid(c, p, shown(c->a, n), text.p);
    }
}

/* Limits for each number that a job of very many must have. */
static void check_many(struct check *c, const struct path *p, const yyjson_val *spec)
{
    static const char when[] =
        " when completions are above 100000 and used with backoff limit per index";
    if (!json_get(spec, "maxFailedIndexes")) {
        cause_required(c, AT_FIELD(p, "maxFailedIndexes"),
                       "must be specified when completions is above 100000");
    }
    check_at_most(c, AT_FIELD(p, "parallelism"), json_get(spec, "parallelism"), HIGH_MAX, when);
    check_at_most(c, AT_FIELD(p, "maxFailedIndexes"), json_get(spec, "maxFailedIndexes"), HIGH_MAX,
                  when);
}

static void check_indexed(struct check *c, const struct path *p, const yyjson_val *spec)
{
    const yyjson_val *completions = json_get(spec, "completions");
    const yyjson_val *lost = json_get(spec, "maxFailedIndexes");
    if (!completions) {
        cause_required(c, AT_FIELD(p, "completions"), "when completion mode is Indexed");
    }
    check_at_most(c, AT_FIELD(p, "parallelism"), json_get(spec, "parallelism"), INDEXED_MAX,
                  " when completion mode is Indexed");
    if (completions && lost && json_int(lost, 0) > json_int(completions, 0)) {
        cause_invalid(c, AT_FIELD(p, "maxFailedIndexes"), shown(c->a, lost),
                      "must be less than or equal to completions");
    }
    check_at_most(c, AT_FIELD(p, "maxFailedIndexes"), lost, INDEXED_MAX, "");
    if (json_int(completions, 0) > HIGH_COMPLETIONS && json_get(spec, "backoffLimitPerIndex")) {
        check_many(c, p, spec);
    }
}

static bool path_ok(struct span path)
{
    static const char others[] = "/-._~%!$&'()*+,;=:";
    for (size_t i = 0; i < path.n; i++) {
        char b = path.p[i];
        bool letter = (b | 32) >= 'a' && (b | 32) <= 'z', digit = b >= '0' && b <= '9';
        if (!letter && !digit && (b == '\0' || !strchr(others, b))) {
            return false;
        }
    }
    return true;
}

static void check_managed_by(struct check *c, const struct path *p, const yyjson_val *by)
{
    struct span path = json_str(by), host = span_cut(&path, '/');
    if (json_str(by).n == 0) {
        cause_required(c, p, NULL);
        return;
    }
    if (host.n == 0 || path.n == 0) {
        cause_invalid(c, p, shown(c->a, by),
                      "must be a domain-prefixed path (such as \"acme.io/foo\")");
    } else {
        struct names_fault fault = names_dns_subdomain(host);
        for (size_t i = 0; i < fault.n; i++) {
            cause_invalid(c, p, shown_text(c->a, host), fault.text[i]);
        }
        if (!path_ok(path)) {
            cause_invalid(c, p, shown_text(c->a, path),
                          "Invalid path (regex used for validation is "
                          "'[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')");
        }
    }
    if (json_str(by).n > MANAGED_BY_BYTES) {
        cause_too_long(c, p, MANAGED_BY_BYTES);
    }
}

void check_job_spec(struct check *c, const struct path *p, const yyjson_val *spec)
{
    static const char *const of_indexed[] = {"backoffLimitPerIndex", "maxFailedIndexes"};
    bool indexed = span_eq(json_get_str(spec, "completionMode"), SPAN("Indexed"));
    if (json_get(spec, "maxFailedIndexes") && !json_get(spec, "backoffLimitPerIndex")) {
        cause_required(c, AT_FIELD(p, "backoffLimitPerIndex"),
                       "when maxFailedIndexes is specified");
    }
    if (json_get(spec, "managedBy")) {
        check_managed_by(c, AT_FIELD(p, "managedBy"), json_get(spec, "managedBy"));
    }
    if (indexed) {
        check_indexed(c, p, spec);
    }
    for (size_t i = 0; i < 2 && !indexed; i++) {
        const yyjson_val *v = json_get(spec, of_indexed[i]);
        if (v) {
            cause_invalid(c, AT_FIELD(p, of_indexed[i]), shown(c->a, v),
                          "requires indexed completion mode");
        }
    }
    check_job_policies(c, p, spec);
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

/* The labels that selector_defaults() puts, unless somebody has put others before. */
static void check_generated(struct check *c, const struct path *p, const yyjson_val *obj)
{
    static const char *const keys[] = {"controller-uid", "job-name",
                                       "batch.kubernetes.io/controller-uid",
                                       "batch.kubernetes.io/job-name"};
    const yyjson_val *spec = json_get(obj, "spec"), *meta = json_get(obj, "metadata");
    const yyjson_val *labels = json_path(spec, "template", "metadata", "labels", NULL);
    const struct path *at = AT_FIELD(AT_FIELD(AT_FIELD(p, "template"), "metadata"), "labels");
    yyjson_mut_doc *doc = json_mut_new(c->a);
    yyjson_mut_val *wanted = yyjson_mut_obj(doc);
    struct selector s;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct span value = json_get_str(meta, i % 2 ? "name" : "uid");
        json_put_str(doc, wanted, keys[i], value);
        if (!span_eq(json_get_str(labels, keys[i]), value)) {
            cause_invalid(c, AT_KEY(at, span_cstr(keys[i])), shown(c->a, labels),
                          arena_printf(c->a, "must be '%.*s'", SPAN_ARG(value)).p);
        }
    }
    if (selector_from_object(c->a, json_get(spec, "selector"), &s, NULL) == 0 &&
        !selector_matches(&s, json_freeze(c->a, wanted))) {
        cause_invalid(c, AT_FIELD(p, "selector"), shown(c->a, json_get(spec, "selector")),
                      "`selector` not auto-generated");
    }
}

/* The last pod's host name must be one. */
static void check_host_name(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec");
    struct span name = json_get_str(json_get(obj, "metadata"), "name");
    int64_t completions = json_get_int(spec, "completions", 0);
    if (!span_eq(json_get_str(spec, "completionMode"), SPAN("Indexed")) || completions < 1) {
        return;
    }
    struct span host = arena_printf(c->a, "%.*s-%lld", SPAN_ARG(name), (long long)completions - 1);
    if (names_dns_label(host).n) {
        cause_invalid(c, AT_FIELD(AT_FIELD(NULL, "metadata"), "name"), shown_text(c->a, name),
                      arena_printf(c->a, "will not able to create pod with invalid DNS label: %.*s",
                                   SPAN_ARG(host))
                          .p);
    }
}

/* ---- updates ---- */

/* A job that waits and has not begun may still have its pods placed otherwise. */
static bool template_stays(const yyjson_val *now, const yyjson_val *was, bool waits)
{
    static const char *const of_meta[] = {"labels", "annotations", NULL};
    static const char *const of_spec[] = {"nodeSelector", "tolerations", "schedulingGates",
                                          "affinity", NULL};
    static const char *const of_affinity[] = {"nodeAffinity", NULL};
    static const char *const of_template[] = {"metadata", "spec", NULL};
    const yyjson_val *spec = json_get(now, "spec"), *old = json_get(was, "spec");
    if (semantic_equal(now, was)) {
        return true;
    }
    return waits && equal_except(now, was, of_template) &&
           equal_except(json_get(now, "metadata"), json_get(was, "metadata"), of_meta) &&
           equal_except(spec, old, of_spec) &&
           equal_except(json_get(spec, "affinity"), json_get(old, "affinity"), of_affinity);
}

static void check_completions(struct check *c, const struct path *p, const yyjson_val *now,
                              const yyjson_val *was)
{
    const yyjson_val *n = json_get(now, "completions");
    if (semantic_equal(n, json_get(was, "completions"))) {
        return;
    }
    if (!span_eq(json_get_str(now, "completionMode"), SPAN("Indexed"))) {
        cause_invalid(c, p, shown(c->a, n), "field is immutable");
    } else if (n && json_int(n, -1) != json_get_int(now, "parallelism", -1)) {
        cause_invalid(c, p, shown(c->a, n), "can only be modified in tandem with spec.parallelism");
    }
}

static void check_immutable(struct check *c, const struct path *p, const yyjson_val *now,
                            const yyjson_val *was, const char *key)
{
    const yyjson_val *v = json_get(now, key);
    if (!semantic_equal(v, json_get(was, key))) {
        cause_invalid(c, AT_FIELD(p, key), shown(c->a, v), "field is immutable");
    }
}

static void check_job_update(struct check *c, const struct path *p, const yyjson_val *obj,
                             const yyjson_val *old)
{
    static const char *const fixed[] = {"completionMode", "podFailurePolicy",
                                        "backoffLimitPerIndex", "managedBy", "successPolicy"};
    const yyjson_val *now = json_get(obj, "spec"), *was = json_get(old, "spec");
    const yyjson_val *template = json_get(now, "template");
    bool waits =
        json_get_bool(was, "suspend", false) && !json_path(old, "status", "startTime", NULL);
    check_completions(c, AT_FIELD(p, "completions"), now, was);
    check_immutable(c, p, now, was, "selector");
    if (!template_stays(template, json_get(was, "template"), waits)) {
        cause_invalid(c, AT_FIELD(p, "template"), shown(c->a, template), "field is immutable");
    }
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        check_immutable(c, p, now, was, fixed[i]);
    }
}

static void job_validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *spec = json_get(obj, "spec");
    const struct path *p = AT_FIELD(NULL, "spec");
    if (!c->old && !json_get_bool(spec, "manualSelector", false) && json_get(spec, "selector")) {
        check_generated(c, p, obj);
    }
    check_job_spec(c, p, spec);
    check_job_selector(c, p, spec);
    if (c->old) {
        check_job_update(c, p, obj, c->old);
    } else {
        check_host_name(c, obj);
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

const struct schema_hooks schema_hooks_job = {.defaults = job_defaults,
                                              .validate = job_validate,
                                              .validate_status = check_job_status,
                                              .field = job_field};
