/* schema/custom_kind.c: a CustomResourceDefinition becomes kinds. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "schema/custom_priv.h"
#include "schema/hooks.h"
#include "schema/kinds.h"

/* ---- versions ---- */

struct version {
    bool is_known; /* v1, v1beta2, ... */
    int stage;     /* 2: stable, 1: beta, 0: alpha */
    uint64_t major, minor;
};

static bool digits(struct span *s, uint64_t *ret)
{
    size_t n = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9') {
        n++;
    }
    bool ok = n > 0 && n < 10 && span_to_u64(span_first(*s, n), ret);
    *s = span_from(*s, n);
    return ok;
}

static struct version version_of(struct span s)
{
    struct version v = {.stage = 2};
    if (!span_starts(s, SPAN("v"))) {
        return v;
    }
    s = span_from(s, 1);
    if (!digits(&s, &v.major)) {
        return v;
    }
    if (s.n && (span_starts(s, SPAN("alpha")) || span_starts(s, SPAN("beta")))) {
        v.stage = s.p[0] == 'b';
        s = span_from(s, v.stage ? 4 : 5);
        v.is_known = digits(&s, &v.minor) && s.n == 0;
    } else {
        v.is_known = s.n == 0;
    }
    return v;
}

int custom_version_cmp(struct span a, struct span b)
{
    struct version x = version_of(a), y = version_of(b);
    if (x.is_known != y.is_known) {
        return x.is_known ? -1 : 1;
    }
    if (!x.is_known) {
        return span_cmp(a, b);
    }
    if (x.stage != y.stage) {
        return y.stage - x.stage;
    }
    if (x.major != y.major) {
        return x.major > y.major ? -1 : 1;
    }
    return x.minor > y.minor ? -1 : x.minor < y.minor;
}

/* ---- parts of a kind ---- */

static const char *const *names_of(struct arena *a, const yyjson_val *list)
{
    const char **out = ARENA_ARRAY(a, const char *, json_len(list) + 1);
    size_t n = 0;
    JSON_EACH(it, list)
    {
        out[n++] = arena_cstr(a, json_str(it.val));
    }
    return out;
}

static const char *const *path_of(struct arena *a, const yyjson_val *v)
{
    struct span rest = json_str(v);
    const char **out = ARENA_ARRAY(a, const char *, rest.n + 1);
    size_t n = 0;
    if (rest.n < 2) {
        return NULL;
    }
    for (rest = span_from(rest, 1); rest.n;) {
        out[n++] = arena_cstr(a, span_cut(&rest, '.'));
    }
    return out;
}

static void set_subresources(struct arena *a, struct schema_kind *k, struct custom *c,
                             const yyjson_val *version)
{
    const yyjson_val *subs = json_get(version, "subresources"), *scale = json_get(subs, "scale");
    const uint16_t verbs = SCHEMA_VERB_GET | SCHEMA_VERB_PATCH | SCHEMA_VERB_UPDATE;
    struct schema_subresource *out = ARENA_ARRAY(a, struct schema_subresource, 2);
    c->has_status = json_get(subs, "status") != NULL;
    if (c->has_status) {
        out[k->subresource_count++] =
            (struct schema_subresource){"status", k->group, k->version, k->kind, verbs};
    }
    if (scale) {
        out[k->subresource_count++] =
            (struct schema_subresource){"scale", "autoscaling", "v1", "Scale", verbs};
        c->scale[CUSTOM_SPEC_REPLICAS] = path_of(a, json_get(scale, "specReplicasPath"));
        c->scale[CUSTOM_STATUS_REPLICAS] = path_of(a, json_get(scale, "statusReplicasPath"));
        c->scale[CUSTOM_SELECTOR] = path_of(a, json_get(scale, "labelSelectorPath"));
    }
    k->subresources = out;
}

static void set_columns(struct arena *a, struct schema_kind *k, struct custom *c,
                        const yyjson_val *version)
{
    const yyjson_val *given = json_get(version, "additionalPrinterColumns");
    size_t n = json_len(given);
    struct schema_column *out = ARENA_ARRAY(a, struct schema_column, n + 2);
    c->columns = ARENA_ARRAY(a, struct custom_column, n + 1);
    out[0] = SCHEMA_KIND(CustomResourceDefinition)->columns[0];
    out[0].doc = "Name of the object.";
    JSON_EACH(it, given)
    {
        struct schema_column *col = &out[c->column_count + 1];
        *col = (struct schema_column){.name = arena_cstr(a, json_get_str(it.val, "name")),
                                      .type = arena_cstr(a, json_get_str(it.val, "type")),
                                      .format = arena_cstr(a, json_get_str(it.val, "format")),
                                      .doc = arena_cstr(a, json_get_str(it.val, "description")),
                                      .priority = (int32_t)json_get_int(it.val, "priority", 0)};
        c->columns[c->column_count].type = col->type;
        (void)custom_path_parse(a, json_get_str(it.val, "jsonPath"),
                                &c->columns[c->column_count].path);
        c->column_count++;
    }
    if (n == 0) {
        out[1] = (struct schema_column){"Age", "date", "", "Time since creation.", 0, NULL};
        c->columns[0].type = "date";
        (void)custom_path_parse(a, SPAN(".metadata.creationTimestamp"), &c->columns[0].path);
        c->column_count = 1;
    }
    k->columns = out;
    k->column_count = c->column_count + 1;
}

static void set_selectable(struct arena *a, struct custom *c, const yyjson_val *version)
{
    const yyjson_val *given = json_get(version, "selectableFields");
    const char **out = ARENA_ARRAY(a, const char *, json_len(given) + 1);
    size_t n = 0;
    JSON_EACH(it, given)
    {
        struct span path = json_get_str(it.val, "jsonPath");
        out[n++] = arena_cstr(a, path.n ? span_from(path, 1) : path);
    }
    c->selectable = out;
}

bool custom_field(const struct schema_kind *kind, struct arena *a, const yyjson_val *obj,
                  struct span key, struct span *ret)
{
    assert(kind->custom);
    return kind_field(a, obj, key, kind->custom->selectable, ret);
}

static const struct schema_type *list_type(struct arena *a, const struct schema_kind *k)
{
    static const uint16_t sorted[] = {1, 3, 0, 2}; /* apiVersion, items, kind, metadata */
    const struct schema_type *like = SCHEMA_KIND(PartialObjectMetadataList)->type;
    static const char *const names[] = {"kind", "apiVersion", "metadata", "items"};
    struct schema_type *t = ARENA_NEW(a, struct schema_type);
    struct schema_field *fields = ARENA_ARRAY(a, struct schema_field, 4);
    for (size_t i = 0; i < 4; i++) {
        fields[i] = *schema_field_find(like, span_cstr(names[i]));
    }
    fields[3].type = k->type;
    *t = (struct schema_type){.name = k->list_kind,
                              .group = k->group,
                              .version = k->version,
                              .fields = fields,
                              .field_count = 4,
                              .sorted = sorted,
                              .custom = k->custom,
                              .doc = arena_printf(a, "A list of %s objects.", k->kind).p};
    return t;
}

static const char *deprecation(struct arena *a, const struct schema_kind *k,
                               const yyjson_val *version)
{
    struct span text = json_get_str(version, "deprecationWarning");
    if (!json_get_bool(version, "deprecated", false)) {
        return NULL;
    }
    return text.n ? arena_cstr(a, text)
                  : arena_printf(a, "%s %s is deprecated", k->api_version, k->kind).p;
}

/* ---- a definition ---- */

static void set_kind(struct custom_definition *d, struct schema_kind *k, const yyjson_val *spec,
                     const yyjson_val *version, struct check *check)
{
    struct arena *a = d->arena;
    const yyjson_val *names = json_get(spec, "names");
    struct custom *c = ARENA_NEW(a, struct custom);
    *k =
        (struct schema_kind){.group = arena_cstr(a, json_get_str(spec, "group")),
                             .version = arena_cstr(a, json_get_str(version, "name")),
                             .kind = arena_cstr(a, json_get_str(names, "kind")),
                             .list_kind = arena_cstr(a, json_get_str(names, "listKind")),
                             .plural = arena_cstr(a, json_get_str(names, "plural")),
                             .singular = arena_cstr(a, json_get_str(names, "singular")),
                             .resource = d->resource,
                             .short_names = names_of(a, json_get(names, "shortNames")),
                             .categories = names_of(a, json_get(names, "categories")),
                             .namespaced = span_eq(json_get_str(spec, "scope"), SPAN("Namespaced")),
                             .verbs = SCHEMA_VERBS_ALL,
                             .hooks = &schema_hooks_plain,
                             .name_format = "dns-subdomain",
                             .custom = c};
    k->api_version = arena_printf(a, "%s/%s", k->group, k->version).p;
    *c = (struct custom){.definition = d, .kind = k};
    c->document = json_path(version, "schema", "openAPIV3Schema", NULL);
    c->root = custom_compile_schema(check, AT_FIELD(NULL, "openAPIV3Schema"), c->document);
    if (check->err->causes) {
        return;
    }
    set_subresources(a, k, c, version);
    set_columns(a, k, c, version);
    set_selectable(a, c, version);
    k->type = custom_tables(a, c);
    c->list_type = list_type(a, k);
    c->deprecation = deprecation(a, k, version);
}

static int cmp_version(const void *x, const void *y)
{
    return custom_version_cmp(json_get_str(*(const yyjson_val *const *)x, "name"),
                              json_get_str(*(const yyjson_val *const *)y, "name"));
}

static void set_kinds(struct custom_definition *d, const yyjson_val *spec, struct check *check)
{
    const yyjson_val *versions = json_get(spec, "versions");
    size_t n = json_len(versions);
    const yyjson_val **order = ARENA_ARRAY(d->arena, const yyjson_val *, n + 1);
    d->kinds = ARENA_ARRAY(d->arena, struct schema_kind, n + 1);
    d->served = ARENA_ARRAY(d->arena, bool, n + 1);
    size_t i = 0;
    JSON_EACH(it, versions)
    {
        order[i++] = it.val;
    }
    qsort(order, n, sizeof *order, cmp_version);
    for (i = 0; i < n && !check->err->causes; i++) {
        struct schema_kind *k = &d->kinds[d->kind_count];
        d->served[d->kind_count++] = json_get_bool(order[i], "served", false);
        set_kind(d, k, spec, order[i], check);
        if (json_get_bool(order[i], "storage", false)) {
            d->storage = k;
        }
    }
}

struct custom_definition *custom_compile(const yyjson_val *definition, struct err *reterr,
                                         struct arena *a)
{
    assert(definition);
    assert(a);
    struct custom_definition *d = MEM_NEW(struct custom_definition);
    struct err found = {0};
    yyjson_doc *doc = NULL;
    d->refs = 1;
    d->arena = arena_new();
    int rc = json_parse(d->arena, json_write(a, definition), &doc, NULL);
    assert(rc == 0); /* written a moment ago */
    const yyjson_val *own = yyjson_doc_get_root(doc);
    struct check check = {.a = d->arena, .err = &found};
    struct span name = json_get_str(json_get(own, "metadata"), "name");
    d->resource = arena_cstr(d->arena, name);
    set_kinds(d, json_get(own, "spec"), &check);
    d->is_terminating = json_get(json_get(own, "metadata"), "deletionTimestamp") != NULL;
    if (found.causes || !d->storage) {
        found = err_dup(a, &found);
        custom_unref(d);
        if (!found.causes) {
            return (void)err_set(a, reterr, ERR_INVALID, "no version is stored"), NULL;
        }
        (void)schema_invalid_finish(a, SCHEMA_KIND(CustomResourceDefinition), arena_dup(a, name),
                                    &found);
        if (reterr) {
            *reterr = found;
        }
        return NULL;
    }
    return d;
}

static struct custom_definition *custom_ref(struct custom_definition *d)
{
    assert(d);
    assert(d->refs > 0);
    d->refs++;
    return d;
}

void custom_unref(struct custom_definition *d)
{
    if (!d || --d->refs > 0) {
        return;
    }
    arena_free(d->arena);
    free(d);
}

static void unref(void *data)
{
    custom_unref(data);
}

void custom_hold(struct arena *a, const struct schema_kind *kind)
{
    if (kind && kind->custom && kind->custom->definition) {
        arena_on_clear(a, unref, custom_ref(kind->custom->definition));
    }
}

void custom_sketch(struct arena *a, struct schema_kind *ret, struct span resource,
                   struct span group, struct span version, struct span kind, struct span plural,
                   bool namespaced)
{
    assert(a);
    assert(ret);
    static const struct custom nothing;
    static const char *const none[] = {NULL};
    *ret = (struct schema_kind){.group = arena_cstr(a, group),
                                .version = arena_cstr(a, version),
                                .kind = arena_cstr(a, kind),
                                .plural = arena_cstr(a, plural),
                                .singular = "",
                                .list_kind = "",
                                .resource = arena_cstr(a, resource),
                                .short_names = none,
                                .categories = none,
                                .namespaced = namespaced,
                                .verbs = SCHEMA_VERBS_ALL,
                                .type = SCHEMA_KIND(PartialObjectMetadata)->type,
                                .hooks = &schema_hooks_plain,
                                .name_format = "dns-subdomain",
                                .custom = &nothing};
    ret->api_version = arena_printf(a, "%s/%s", ret->group, ret->version).p;
}

/* ---- questions ---- */

struct custom_definition *custom_definition_of(const struct schema_kind *kind)
{
    assert(kind->custom);
    return kind->custom->definition;
}

bool custom_has_status(const struct schema_kind *kind)
{
    assert(kind);
    return kind->custom && kind->custom->has_status;
}

const char *custom_deprecation(const struct schema_kind *kind)
{
    return kind->custom ? kind->custom->deprecation : NULL;
}

const struct schema_type *custom_list_type(const struct schema_kind *kind)
{
    assert(kind->custom);
    return kind->custom->list_type;
}

const yyjson_val *custom_document(const struct custom *c)
{
    assert(c);
    return c->document;
}

const struct schema_kind *custom_kind(const struct custom *c)
{
    assert(c);
    return c->kind;
}

const char *const *custom_scale_path(const struct schema_kind *kind, enum custom_scale which)
{
    assert(kind->custom);
    assert((size_t)which < 3);
    return kind->custom->scale[which];
}

/* ---- warnings ---- */

static bool is_checked_format(struct span s)
{
    static const char *const known[] = {"int32", "int64", "float", "double", "date-time", "date",
                                        "byte",  "uuid",  "ipv4",  "ipv6",   "password"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (span_eq_cstr(s, known[i])) {
            return true;
        }
    }
    return s.n == 0;
}

static void warn(struct schema_warnings *w, struct span text)
{
    if (w->n < sizeof w->text / sizeof *w->text) {
        w->text[w->n++] = text;
    }
}

/* Wherever in the schema. Depth is bounded by the parser. */
static void warn_schema(struct arena *a, const struct path *p, const yyjson_val *v,
                        struct schema_warnings *w)
{
    size_t i = 0;
    JSON_EACH(it, v)
    {
        struct span key = json_str(it.key);
        const struct path *here = it.key ? AT_SPAN(p, key) : AT_INDEX(p, i);
        i++;
        if (span_eq(key, SPAN("x-kubernetes-validations")) && json_len(it.val)) {
            warn(w, arena_printf(a, "%.*s: CEL rules are stored, but not evaluated yet",
                                 SPAN_ARG(path_text(a, here))));
        } else if (span_eq(key, SPAN("format")) && !is_checked_format(json_str(it.val))) {
            warn(w, arena_printf(a, "%.*s: values are not checked for format \"%.*s\"",
                                 SPAN_ARG(path_text(a, here)), SPAN_ARG(json_str(it.val))));
        } else if (!span_eq(key, SPAN("default")) && !span_eq(key, SPAN("example"))) {
            warn_schema(a, here, it.val, w);
        }
    }
}

void custom_warnings(struct arena *a, const yyjson_val *definition, struct schema_warnings *w)
{
    assert(a);
    assert(w);
    const struct path *spec = AT_FIELD(NULL, "spec");
    size_t i = 0;
    JSON_EACH(it, json_path(definition, "spec", "versions", NULL))
    {
        const struct path *version = AT_INDEX(AT_FIELD(spec, "versions"), i);
        warn_schema(a, AT_FIELD(AT_FIELD(version, "schema"), "openAPIV3Schema"),
                    json_path(it.val, "schema", "openAPIV3Schema", NULL), w);
        i++;
    }
}
