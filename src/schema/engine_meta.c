/* schema/engine_meta.c: the rules that metadata of every kind obeys. */
#include "base/check.h"
#include "codec/names.h"
#include "schema/engine.h"

/* A generated name goes on after the prefix, so a hyphen at its end is fine. */
static void check_generate_name(struct check *c, const struct path *p,
                                const struct schema_kind *kind, const yyjson_val *meta)
{
    const yyjson_val *v = json_get(meta, "generateName");
    struct span s = json_str(v);
    if (s.n == 0) {
        return;
    }
    bool hyphen = s.n > 1 && s.p[s.n - 1] == '-';
    struct span masked = hyphen ? arena_printf(c->a, "%.*sa", (int)s.n - 1, s.p) : s;
    struct names_fault fault = format_name_fault(kind->name_format, masked);
    for (size_t i = 0; i < fault.n; i++) {
        cause_invalid(c, p, shown(c->a, v), fault.text[i]);
    }
}

static void check_name(struct check *c, const struct path *p, const struct schema_kind *kind,
                       const yyjson_val *meta)
{
    check_generate_name(c, AT_FIELD(p, "generateName"), kind, meta);
    const yyjson_val *name = json_get(meta, "name");
    if (json_str(name).n == 0) {
        cause_required(c, AT_FIELD(p, "name"), "name or generateName is required");
    } else {
        format_check(c, AT_FIELD(p, "name"), kind->name_format, name);
    }
    const yyjson_val *ns = json_get(meta, "namespace");
    bool has_namespace = json_str(ns).n > 0;
    if (kind->namespaced && !has_namespace) {
        cause_required(c, AT_FIELD(p, "namespace"), NULL);
    } else if (kind->namespaced) {
        format_check(c, AT_FIELD(p, "namespace"), "dns-label", ns);
    } else if (has_namespace) {
        cause_forbidden(c, AT_FIELD(p, "namespace"), "not allowed on this type");
    }
}

static void check_owner(struct check *c, const struct path *p, const yyjson_val *owner)
{
    static const char *const members[][2] = {{"apiVersion", "version must not be empty"},
                                             {"kind", "kind must not be empty"},
                                             {"name", "name must not be empty"},
                                             {"uid", "uid must not be empty"}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (json_get_str(owner, members[i][0]).n == 0) {
            cause_invalid(c, AT_FIELD(p, members[i][0]), SPAN("\"\""), members[i][1]);
        }
    }
    if (span_eq(json_get_str(owner, "kind"), SPAN("Event")) &&
        span_eq(json_get_str(owner, "apiVersion"), SPAN("v1"))) {
        cause_invalid(c, p, shown(c->a, owner),
                      "/v1, Kind=Event is disallowed from being an owner");
    }
}

static void check_owners(struct check *c, const struct path *p, const yyjson_val *owners)
{
    struct span controller = SPAN_NULL;
    JSON_EACH(it, owners)
    {
        check_owner(c, p, it.val);
        if (!json_get_bool(it.val, "controller", false)) {
            continue;
        }
        struct span name = json_get_str(it.val, "name");
        if (controller.p) {
            struct span detail = arena_printf(
                c->a,
                "Only one reference can have Controller set to true. Found \"true\" in "
                "references for %.*s and %.*s",
                SPAN_ARG(controller), SPAN_ARG(name));
            cause_invalid(c, p, shown(c->a, owners), detail.p);
            return;
        }
        controller = name.p ? name : SPAN("");
    }
}

static void check_finalizers(struct check *c, const struct path *p, const yyjson_val *finalizers)
{
    bool orphan = false, foreground = false;
    JSON_EACH(it, finalizers)
    {
        struct span s = json_str(it.val);
        struct names_fault fault = names_qualified(s);
        for (size_t i = 0; i < fault.n; i++) {
            cause_invalid(c, p, shown(c->a, it.val), fault.text[i]);
        }
        orphan |= span_eq(s, SPAN("orphan"));
        foreground |= span_eq(s, SPAN("foregroundDeletion"));
        if (!names_finalizer_known(s)) {
            cause_invalid(c, p, shown(c->a, it.val),
                          "name is neither a standard finalizer name nor is it fully qualified");
        }
    }
    if (orphan && foreground) {
        cause_invalid(c, p, shown(c->a, finalizers),
                      "finalizer orphan and foregroundDeletion cannot be both set");
    }
}

static void check_unchanged(struct check *c, const struct path *p, const yyjson_val *meta,
                            const yyjson_val *old)
{
    static const char *const members[] = {"name", "namespace", "uid"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const yyjson_val *now = json_get(meta, members[i]), *was = json_get(old, members[i]);
        if (!semantic_equal(now, was)) {
            cause_invalid(c, AT_FIELD(p, members[i]), shown(c->a, now), "field is immutable");
        }
    }
}

/* What is as it was stored has passed. */
static void check_common(struct check *c, const struct path *p, const yyjson_val *meta,
                         const yyjson_val *old)
{
    static const struct {
        const char *name;
        void (*check)(struct check *c, const struct path *p, const yyjson_val *v);
    } members[] = {{"labels", check_labels},
                   {"annotations", check_annotations},
                   {"ownerReferences", check_owners},
                   {"finalizers", check_finalizers}};
    check_not_negative(c, AT_FIELD(p, "generation"), json_get(meta, "generation"));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const yyjson_val *v = json_get(meta, members[i].name);
        if (v && !(old && json_same(v, json_get(old, members[i].name)))) {
            members[i].check(c, AT_FIELD(p, members[i].name), v);
        }
    }
}

void check_embedded_metadata(struct check *c, const struct path *p, const yyjson_val *meta)
{
    static const char *const formats[][2] = {
        {"generateName", "path-segment"}, {"name", "path-segment"}, {"namespace", "dns-label"}};
    assert(c);
    assert(p);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const yyjson_val *v = json_get(meta, formats[i][0]);
        if (json_str(v).n) {
            format_check(c, AT_FIELD(p, formats[i][0]), formats[i][1], v);
        }
    }
    check_common(c, p, meta, NULL);
}

void check_metadata(struct check *c, const struct schema_kind *kind, const yyjson_val *meta,
                    const yyjson_val *old)
{
    assert(c);
    assert(kind);
    const struct path *p = AT_FIELD(NULL, "metadata");
    if (old) {
        check_unchanged(c, p, meta, old);
    } else if (schema_field_find(kind->type, SPAN("metadata"))) {
        check_name(c, p, kind, meta);
    }
    check_common(c, p, meta, old);
}
