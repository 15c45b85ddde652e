/* kinds/kind_event.c: events, namespaces and service accounts. */
#include "base/check.h"
#include "codec/time.h"
#include "kinds/kind.h"

/* ---- events ---- */

static void event_validate(struct check *c, const yyjson_val *obj)
{
    const yyjson_val *about = json_get(json_get(obj, "involvedObject"), "namespace");
    struct span ns = json_get_str(json_get(obj, "metadata"), "namespace");
    bool cluster_wide = json_str(about).n == 0 && span_eq(ns, SPAN("default"));
    if (!c->old && !cluster_wide && !span_eq(json_str(about), ns)) {
        cause_invalid(c, AT_FIELD(AT_FIELD(NULL, "involvedObject"), "namespace"),
                      shown_text(c->a, json_str(about)), "does not match event.namespace");
    }
}

static struct span target(struct arena *a, const yyjson_val *ref)
{
    struct span kind = arena_dup(a, json_get_str(ref, "kind")), name = json_get_str(ref, "name");
    for (size_t i = 0; i < kind.n; i++) {
        char *p = (char *)&kind.p[i];
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
    }
    return name.n ? arena_printf(a, "%.*s/%.*s", SPAN_ARG(kind), SPAN_ARG(name)) : kind;
}

static struct span source(struct arena *a, const yyjson_val *obj)
{
    const yyjson_val *from = json_get(obj, "source");
    struct span who = json_get_str(from, "component"), where = json_get_str(from, "host");
    if (who.n == 0) {
        who = json_get_str(obj, "reportingComponent");
        where = json_get_str(obj, "reportingInstance");
    }
    return where.n ? arena_printf(a, "%.*s, %.*s", SPAN_ARG(who), SPAN_ARG(where)) : who;
}

static void event_row(struct row *r)
{
    const yyjson_val *series = json_get(r->obj, "series");
    struct span first = json_get_str(r->obj, "firstTimestamp"),
                last = json_get_str(r->obj, "lastTimestamp");
    int64_t count = json_get_int(r->obj, "count", 0);
    first = first.n ? first : json_get_str(r->obj, "eventTime");
    last = last.n ? last : first;
    if (series) {
        last = json_get_str(series, "lastObservedTime");
        count = json_get_int(series, "count", 0);
    } else if (count == 0) {
        count = 1;
    }
    cell(r, time_age_since(r->a, last, r->now_ms));
    cell(r, json_get_str(r->obj, "type"));
    cell(r, json_get_str(r->obj, "reason"));
    cell(r, target(r->a, json_get(r->obj, "involvedObject")));
    cell(r, json_get_str(json_get(r->obj, "involvedObject"), "fieldPath"));
    cell(r, source(r->a, r->obj));
    cell(r, span_trim(json_get_str(r->obj, "message")));
    cell(r, time_age_since(r->a, first, r->now_ms));
    cell_int(r, count);
    cell_name(r);
}

bool kind_field_event(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret)
{
    assert(ret);
    static const char *const keys[] = {"involvedObject.kind",
                                       "involvedObject.namespace",
                                       "involvedObject.name",
                                       "involvedObject.uid",
                                       "involvedObject.apiVersion",
                                       "involvedObject.resourceVersion",
                                       "involvedObject.fieldPath",
                                       "reason",
                                       "reportingComponent",
                                       "type",
                                       NULL};
    if (span_eq(key, SPAN("source"))) {
        struct span who = json_get_str(json_get(obj, "source"), "component");
        *ret = who.n ? who : json_get_str(obj, "reportingComponent");
        return true;
    }
    return kind_field(a, obj, key, keys, ret);
}

const struct schema_hooks schema_hooks_event = {
    .validate = event_validate, .row = event_row, .field = kind_field_event};

/* ---- namespaces ---- */

static void namespace_defaults(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *meta = json_mut_get(obj, "metadata");
    struct span name = json_mut_str(json_mut_get(meta, "name"));
    if (name.n) {
        yyjson_mut_val *labels = json_mut_obj(doc, meta, "labels");
        if (labels) {
            json_put(doc, labels, "kubernetes.io/metadata.name",
                     yyjson_mut_strncpy(doc, name.p, name.n));
        }
    }
}

static void namespace_row(struct row *r)
{
    cell_name(r);
    cell(r, json_get_str(json_get(r->obj, "status"), "phase"));
    cell_age(r);
}

static bool namespace_field(struct arena *a, const yyjson_val *obj, struct span key,
                            struct span *ret)
{
    static const char *const keys[] = {"status.phase", NULL};
    return kind_field(a, obj, key, keys, ret);
}

const struct schema_hooks schema_hooks_namespace = {
    .defaults = namespace_defaults, .row = namespace_row, .field = namespace_field};

/* ---- service accounts ---- */

static void account_row(struct row *r)
{
    cell_name(r);
    cell_int(r, (int64_t)json_len(json_get(r->obj, "secrets")));
    cell_age(r);
}

const struct schema_hooks schema_hooks_serviceaccount = {.row = account_row,
                                                         .field = kind_field_metadata};
