/* schema/engine_meta.c: the rules that metadata of every kind obeys. */
#include "base/check.h"
#include "codec/names.h"
#include "schema/engine.h"

/* Members of metadata that rules look at. */
enum part {
    NAME,
    NAMESPACE,
    GENERATE_NAME,
    GENERATION,
    LABELS,
    ANNOTATIONS,
    OWNERS,
    FINALIZERS,
    PARTS
};

static const struct span part_names[PARTS] = {[NAME] = SPAN("name"),
                                              [NAMESPACE] = SPAN("namespace"),
                                              [GENERATE_NAME] = SPAN("generateName"),
                                              [GENERATION] = SPAN("generation"),
                                              [LABELS] = SPAN("labels"),
                                              [ANNOTATIONS] = SPAN("annotations"),
                                              [OWNERS] = SPAN("ownerReferences"),
                                              [FINALIZERS] = SPAN("finalizers")};

/* The one that a key may name. */
static enum part part_like(struct span key)
{
    switch (key.n) {
    case sizeof "name" - 1:
        return NAME;
    case sizeof "labels" - 1:
        return LABELS;
    case sizeof "namespace" - 1:
        return NAMESPACE;
    case sizeof "generation" - 1: /* finalizers, too */
        return key.p[0] == 'g' ? GENERATION : FINALIZERS;
    case sizeof "annotations" - 1:
        return ANNOTATIONS;
    case sizeof "generateName" - 1:
        return GENERATE_NAME;
    case sizeof "ownerReferences" - 1:
        return OWNERS;
    default:
        return PARTS;
    }
}

/* All of them at once; of equal names the first. */
static void find_parts(const yyjson_val *meta, const yyjson_val *at[PARTS])
{
    memset(at, 0, PARTS * sizeof *at);
    JSON_EACH(it, meta)
    {
        struct span key = json_str(it.key);
        enum part part = part_like(key);
        if (part != PARTS && !at[part] && span_eq(key, part_names[part])) {
            at[part] = it.val;
        }
    }
}

/* A generated name goes on after the prefix, so a hyphen at its end is fine. */
static void check_generate_name(struct check *c, const struct path *p,
                                const struct schema_kind *kind, const yyjson_val *v)
{
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
                       const yyjson_val *const at[PARTS])
{
    check_generate_name(c, AT_FIELD(p, "generateName"), kind, at[GENERATE_NAME]);
    const yyjson_val *name = at[NAME];
    if (json_str(name).n == 0) {
        cause_required(c, AT_FIELD(p, "name"), "name or generateName is required");
    } else {
        format_check(c, AT_FIELD(p, "name"), kind->name_format, name);
    }
    const yyjson_val *ns = at[NAMESPACE];
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
static void check_common(struct check *c, const struct path *p, const yyjson_val *const at[PARTS],
                         const yyjson_val *old)
{
    static const struct {
        enum part part;
        void (*check)(struct check *c, const struct path *p, const yyjson_val *v);
    } members[] = {{LABELS, check_labels},
                   {ANNOTATIONS, check_annotations},
                   {OWNERS, check_owners},
                   {FINALIZERS, check_finalizers}};
    check_not_negative(c, AT_FIELD(p, "generation"), at[GENERATION]);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        struct span name = part_names[members[i].part];
        const yyjson_val *v = at[members[i].part], *was = v ? json_get_span(old, name) : NULL;
        if (v && !(was && json_same(v, was))) {
            members[i].check(c, AT_SPAN(p, name), v);
        }
    }
}

void check_embedded_metadata(struct check *c, const struct path *p, const yyjson_val *meta)
{
    static const struct {
        enum part part;
        const char *format;
    } formats[] = {
        {GENERATE_NAME, "path-segment"}, {NAME, "path-segment"}, {NAMESPACE, "dns-label"}};
    const yyjson_val *at[PARTS];
    assert(c);
    assert(p);
    find_parts(meta, at);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const yyjson_val *v = at[formats[i].part];
        if (json_str(v).n) {
            format_check(c, AT_SPAN(p, part_names[formats[i].part]), formats[i].format, v);
        }
    }
    check_common(c, p, at, NULL);
}

void check_metadata(struct check *c, const struct schema_kind *kind, const yyjson_val *meta,
                    const yyjson_val *old)
{
    assert(c);
    assert(kind);
    const struct path *p = AT_FIELD(NULL, "metadata");
    const yyjson_val *at[PARTS];
    find_parts(meta, at);
    if (old) {
        check_unchanged(c, p, meta, old);
    } else if (schema_field_find(kind->type, SPAN("metadata"))) {
        check_name(c, p, kind, at);
    }
    check_common(c, p, at, old);
}
