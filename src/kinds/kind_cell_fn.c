/* kinds/kind_cell_fn.c: cells that no path gives, by name. */
#include "base/check.h"
#include "base/strbuf.h"
#include "codec/time.h"
#include "kinds/kind.h"
#include "kinds/kind_workload.h"
#include "schema/status.h"
#include "schema/tables.h"

/* ---- quotas ---- */

static void quota(struct row *r, bool limits)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    const yyjson_val *used = json_path(r->obj, "status", "used", NULL);
    const yyjson_val *hard = json_path(r->obj, "status", "hard", NULL);
    JSON_EACH(it, hard ? hard : json_path(r->obj, "spec", "hard", NULL))
    {
        struct span name = json_str(it.key), hard_text = json_str(it.val);
        if (span_starts(name, SPAN("limits")) != limits) {
            continue;
        }
        struct span now = json_str(yyjson_obj_getn((yyjson_val *)used, name.p, name.n));
        strbuf_printf(&out, "%s%.*s: %.*s/%.*s", out.n ? ", " : "", SPAN_ARG(name),
                      SPAN_ARG(now.n ? now : SPAN("0")), SPAN_ARG(hard_text));
    }
    cell(r, strbuf_span(&out));
}

static void quota_requests(struct row *r)
{
    quota(r, false);
}

static void quota_limits(struct row *r)
{
    quota(r, true);
}

/* ---- jobs ---- */

static void job_status(struct row *r)
{
    static const char *const words[] = {"Complete", "Failed", "Suspended", "FailureTarget",
                                        "SuccessCriteriaMet"};
    const char *word = "Running";
    for (size_t i = 5; i-- > 0;) {
        word = status_condition_true(r->obj, words[i]) ? words[i] : word;
    }
    bool over = strcmp(word, "Complete") == 0 || strcmp(word, "Failed") == 0;
    if (!over && json_path(r->obj, "metadata", "deletionTimestamp", NULL)) {
        word = "Terminating";
    }
    cell(r, span_cstr(word));
}

static void job_completions(struct row *r)
{
    const yyjson_val *spec = json_get(r->obj, "spec");
    const yyjson_val *wanted = json_get(spec, "completions");
    long long done = json_get_int(json_get(r->obj, "status"), "succeeded", 0);
    long long at_once = json_get_int(spec, "parallelism", 0);
    if (wanted) {
        cell(r, arena_printf(r->a, "%lld/%lld", done, (long long)json_int(wanted, 0)));
    } else if (at_once > 1) {
        cell(r, arena_printf(r->a, "%lld/1 of %lld", done, at_once));
    } else {
        cell(r, arena_printf(r->a, "%lld/1", done));
    }
}

static void job_duration(struct row *r)
{
    const yyjson_val *status = json_get(r->obj, "status");
    int64_t start = time_or(json_get_str(status, "startTime"), -1);
    int64_t end = time_or(json_get_str(status, "completionTime"), r->now_ms);
    cell(r, start < 0 ? SPAN("") : time_age(r->a, end - start));
}

/* ---- storage drivers ---- */

static void csi_tokens(struct row *r)
{
    struct span text = joined(r->a, json_path(r->obj, "spec", "tokenRequests", NULL), "audience");
    cell(r, text.n ? text : SPAN("<unset>"));
}

/* ---- roles ---- */

static void role_ref(struct row *r)
{
    const yyjson_val *ref = json_get(r->obj, "roleRef");
    cell(r, arena_printf(r->a, "%.*s/%.*s", SPAN_ARG(json_get_str(ref, "kind")),
                         SPAN_ARG(json_get_str(ref, "name"))));
}

static void subjects(struct row *r, const char *kind)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    JSON_EACH(it, json_get(r->obj, "subjects"))
    {
        struct span ns = json_get_str(it.val, "namespace"), name = json_get_str(it.val, "name");
        if (span_eq_cstr(json_get_str(it.val, "kind"), kind)) {
            strbuf_printf(&out, "%s%.*s%s%.*s", out.n ? ", " : "", SPAN_ARG(ns), ns.n ? "/" : "",
                          SPAN_ARG(name));
        }
    }
    cell(r, strbuf_span(&out));
}

static void subject_users(struct row *r)
{
    subjects(r, "User");
}

static void subject_groups(struct row *r)
{
    subjects(r, "Group");
}

static void subject_accounts(struct row *r)
{
    subjects(r, "ServiceAccount");
}

/* ---- certificates ---- */

static void csr_duration(struct row *r)
{
    const yyjson_val *seconds = json_path(r->obj, "spec", "expirationSeconds", NULL);
    cell(r, seconds ? time_age(r->a, json_int(seconds, 0) * 1000) : SPAN("<none>"));
}

static void csr_condition(struct row *r)
{
    bool issued = json_get_str(json_get(r->obj, "status"), "certificate").n > 0;
    cell(r, arena_printf(r->a, "%s%s%s",
                         status_condition(r->obj, "Approved") ? "Approved"
                         : status_condition(r->obj, "Denied") ? "Denied"
                                                              : "Pending",
                         status_condition(r->obj, "Failed") ? ",Failed" : "",
                         issued ? ",Issued" : ""));
}

/* ---- networking ---- */

static void ingress_hosts(struct row *r)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    size_t n = 0;
    JSON_EACH(it, json_path(r->obj, "spec", "rules", NULL))
    {
        struct span host = json_get_str(it.val, "host");
        if (host.n && n++ < 3) {
            strbuf_printf(&out, "%s%.*s", out.n ? "," : "", SPAN_ARG(host));
        }
    }
    if (n > 3) {
        strbuf_printf(&out, " + %zu more...", n - 3);
    }
    cell(r, out.n ? strbuf_span(&out) : SPAN("*"));
}

static void ingress_address(struct row *r)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    JSON_EACH(it, json_path(r->obj, "status", "loadBalancer", "ingress", NULL))
    {
        struct span ip = json_get_str(it.val, "ip");
        struct span text = ip.n ? ip : json_get_str(it.val, "hostname");
        strbuf_printf(&out, "%s%.*s", out.n && text.n ? "," : "", SPAN_ARG(text));
    }
    cell(r, strbuf_span(&out));
}

static void ingress_ports(struct row *r)
{
    cell(r, json_len(json_path(r->obj, "spec", "tls", NULL)) ? SPAN("80, 443") : SPAN("80"));
}

static void ingressclass_parameters(struct row *r)
{
    const yyjson_val *p = json_path(r->obj, "spec", "parameters", NULL);
    struct span group = json_get_str(p, "apiGroup");
    cell(r,
         !p ? SPAN("<none>")
            : arena_printf(r->a, "%.*s%s%.*s/%.*s", SPAN_ARG(json_get_str(p, "kind")),
                           group.n ? "." : "", SPAN_ARG(group), SPAN_ARG(json_get_str(p, "name"))));
}

static void parent_ref(struct row *r)
{
    static const char *const parts[] = {"group", "resource", "namespace", "name"};
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    for (size_t i = 0; i < 4; i++) {
        struct span part = json_get_str(json_path(r->obj, "spec", "parentRef", NULL), parts[i]);
        strbuf_printf(&out, "%s%.*s", out.n && part.n ? "/" : "", SPAN_ARG(part));
    }
    cell(r, strbuf_span(&out));
}

/* ---- autoscalers ---- */

static void hpa_reference(struct row *r)
{
    const yyjson_val *ref = json_path(r->obj, "spec", "scaleTargetRef", NULL);
    cell(r, arena_printf(r->a, "%.*s/%.*s", SPAN_ARG(json_get_str(ref, "kind")),
                         SPAN_ARG(json_get_str(ref, "name"))));
}

/* The member that a metric's type names: "Resource" is `resource`. */
static const yyjson_val *metric_source(const yyjson_val *metric)
{
    char key[32];
    struct span type = json_get_str(metric, "type");
    if (type.n == 0 || type.n >= sizeof key) {
        return NULL;
    }
    memcpy(key, type.p, type.n);
    key[0] = (char)(key[0] >= 'A' && key[0] <= 'Z' ? key[0] + 32 : key[0]);
    key[type.n] = '\0';
    return json_get(metric, key);
}

static struct span hpa_target(struct row *r, const yyjson_val *metric, const yyjson_val *measured)
{
    const yyjson_val *source = metric_source(metric), *target = json_get(source, "target");
    const yyjson_val *now = json_get(metric_source(measured), "current");
    struct span name = json_get_str(source, "name"), average = json_get_str(target, "averageValue");
    const yyjson_val *percent = json_get(target, "averageUtilization");
    const char *colon = name.n ? ": " : "";
    if (percent) {
        const yyjson_val *p = json_get(now, "averageUtilization");
        struct span have =
            p ? arena_printf(r->a, "%lld%%", (long long)json_int(p, 0)) : SPAN("<unknown>");
        return arena_printf(r->a, "%.*s%s%.*s/%lld%%", SPAN_ARG(name), colon, SPAN_ARG(have),
                            (long long)json_int(percent, 0));
    }
    bool is_average = average.n > 0, bare = name.n > 0 || json_get(metric, "pods");
    struct span have = json_get_str(now, is_average ? "averageValue" : "value");
    return arena_printf(r->a, "%.*s%s%.*s/%.*s%s", SPAN_ARG(name), colon,
                        SPAN_ARG(have.n ? have : SPAN("<unknown>")),
                        SPAN_ARG(is_average ? average : json_get_str(target, "value")),
                        is_average && !bare ? " (avg)" : "");
}

static void hpa_targets(struct row *r)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    const yyjson_val *measured = json_path(r->obj, "status", "currentMetrics", NULL);
    size_t n = 0;
    JSON_EACH(it, json_path(r->obj, "spec", "metrics", NULL))
    {
        struct span text = hpa_target(r, it.val, yyjson_arr_get((yyjson_val *)measured, n));
        if (n++ < 2) {
            strbuf_printf(&out, "%s%.*s", out.n ? ", " : "", SPAN_ARG(text));
        }
    }
    if (n > 2) {
        strbuf_printf(&out, " + %zu more...", n - 2);
    }
    cell_or_none(r, strbuf_span(&out));
}

/* ---- policies ---- */

static void param_kind(struct row *r)
{
    const yyjson_val *kind = json_path(r->obj, "spec", "paramKind", NULL);
    cell(r, !kind ? SPAN("<unset>")
                  : arena_printf(r->a, "%.*s/%.*s", SPAN_ARG(json_get_str(kind, "apiVersion")),
                                 SPAN_ARG(json_get_str(kind, "kind"))));
}

static void param_ref(struct row *r)
{
    const yyjson_val *ref = json_path(r->obj, "spec", "paramRef", NULL);
    struct span ns = json_get_str(ref, "namespace"), name = json_get_str(ref, "name");
    if (name.n) {
        cell(r, arena_printf(r->a, "%.*s%s%.*s", SPAN_ARG(ns), ns.n ? "/" : "", SPAN_ARG(name)));
    } else if (!json_get(ref, "selector")) {
        cell(r, SPAN("<unset>"));
    } else {
        cell_selector(r, json_get(ref, "selector"));
    }
}

/* ---- flow control ---- */

static void missing_level(struct row *r)
{
    struct span status = json_get_str(status_condition(r->obj, "Dangling"), "status");
    cell(r, status.n ? status : SPAN("?"));
}

static void level_shares(struct row *r)
{
    const yyjson_val *limited = json_path(r->obj, "spec", "limited", NULL);
    const yyjson_val *level = limited ? limited : json_path(r->obj, "spec", "exempt", NULL);
    const yyjson_val *shares = json_get(level, "nominalConcurrencyShares");
    if (shares) {
        cell_int(r, json_int(shares, 0));
    } else {
        cell(r, SPAN("<none>"));
    }
}

/* ---- groups and components ---- */

static void api_service(struct row *r)
{
    const yyjson_val *service = json_path(r->obj, "spec", "service", NULL);
    cell(r, service ? arena_printf(r->a, "%.*s/%.*s", SPAN_ARG(json_get_str(service, "namespace")),
                                   SPAN_ARG(json_get_str(service, "name")))
                    : SPAN("Local"));
}

static void api_available(struct row *r)
{
    const yyjson_val *c = status_condition(r->obj, "Available");
    struct span status = json_get_str(c, "status"), reason = json_get_str(c, "reason");
    cell(r, !c ? SPAN("Unknown")
            : span_eq(status, SPAN("True"))
                ? status
                : arena_printf(r->a, "%.*s (%.*s)", SPAN_ARG(status), SPAN_ARG(reason)));
}

static const yyjson_val *healthy(const struct row *r)
{
    return json_find(json_get(r->obj, "conditions"), "type", SPAN("Healthy"));
}

static void component_status(struct row *r)
{
    struct span status = json_get_str(healthy(r), "status");
    cell(r, span_eq(status, SPAN("True"))    ? SPAN("Healthy")
            : span_eq(status, SPAN("False")) ? SPAN("Unhealthy")
                                             : SPAN("Unknown"));
}

static void component_message(struct row *r)
{
    cell(r, json_get_str(healthy(r), "message"));
}

static void component_error(struct row *r)
{
    cell(r, json_get_str(healthy(r), "error"));
}

const struct schema_cell_fn schema_tables_cell_fns[] = {
    {"quota-requests", quota_requests},
    {"quota-limits", quota_limits},
    {"job-status", job_status},
    {"job-completions", job_completions},
    {"job-duration", job_duration},
    {"csi-tokens", csi_tokens},
    {"role-ref", role_ref},
    {"subject-users", subject_users},
    {"subject-groups", subject_groups},
    {"subject-accounts", subject_accounts},
    {"csr-duration", csr_duration},
    {"csr-condition", csr_condition},
    {"ingress-hosts", ingress_hosts},
    {"ingress-address", ingress_address},
    {"ingress-ports", ingress_ports},
    {"ingressclass-parameters", ingressclass_parameters},
    {"parent-ref", parent_ref},
    {"hpa-reference", hpa_reference},
    {"hpa-targets", hpa_targets},
    {"param-kind", param_kind},
    {"param-ref", param_ref},
    {"missing-level", missing_level},
    {"level-shares", level_shares},
    {"api-service", api_service},
    {"api-available", api_available},
    {"component-status", component_status},
    {"component-message", component_message},
    {"component-error", component_error},
    {NULL, NULL},
};
