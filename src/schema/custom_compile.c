/* schema/custom_compile.c: openAPIV3Schema becomes a tree of nodes, with Kubernetes' complaints
 * about what is not structural. */
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "schema/custom_priv.h"

enum where { AT_ROOT, AT_PROPERTY, AT_ITEM, AT_ADDITIONAL, AT_NESTED };

struct compiler {
    struct check *c;
    size_t nodes, depth;
};

static struct custom_node *compile(struct compiler *x, const struct path *p, const yyjson_val *raw,
                                   enum where where);

static bool flag(const yyjson_val *raw, const char *name)
{
    return json_get_bool(raw, name, false);
}

static bool is_object(const yyjson_val *v)
{
    return yyjson_is_obj((yyjson_val *)v);
}

/* ---- types ---- */

static const struct {
    const char *name;
    enum custom_type type;
} types[] = {{"object", CUSTOM_OBJECT},   {"array", CUSTOM_ARRAY},   {"string", CUSTOM_STRING},
             {"integer", CUSTOM_INTEGER}, {"number", CUSTOM_NUMBER}, {"boolean", CUSTOM_BOOLEAN}};

static void set_type(struct compiler *x, const struct path *p, struct custom_node *n,
                     enum where where)
{
    static const char *const missing[] = {
        [AT_ROOT] = "must not be empty at the root",
        [AT_PROPERTY] = "must not be empty for specified object fields",
        [AT_ITEM] = "must not be empty for specified array items",
        [AT_ADDITIONAL] = "must not be empty for specified object fields",
    };
    const yyjson_val *v = json_get(n->raw, "type");
    struct span type = json_str(v);
    p = AT_FIELD(p, "type");
    if (type.n == 0) {
        if (where != AT_NESTED && !(where != AT_ROOT && (n->int_or_string || n->preserve))) {
            cause_required(x->c, p, missing[where]);
        }
        return;
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (span_eq_cstr(type, types[i].name)) {
            n->type = types[i].type;
        }
    }
    if (n->type == CUSTOM_ANY) {
        cause_not_supported(x->c, p, shown(x->c->a, v),
                            "array|boolean|integer|number|object|string");
    } else if (where == AT_ROOT && n->type != CUSTOM_OBJECT) {
        cause_invalid(x->c, p, shown(x->c->a, v), "must be object at the root");
    } else if (n->int_or_string) {
        cause_invalid(x->c, p, shown(x->c->a, v),
                      "must be empty if x-kubernetes-int-or-string is true");
    }
}

/* ---- what must not be there ---- */

static void check_forbidden(struct compiler *x, const struct path *p, const struct custom_node *n,
                            enum where where)
{
    static const char *const always[] = {"$ref",        "patternProperties", "dependencies",
                                         "definitions", "additionalItems",   "$schema",
                                         "id"};
    static const char *const nested[] = {"default", "title", "description", "type",
                                         "additionalProperties"};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
        if (json_get(n->raw, always[i])) {
            cause_forbidden(x->c, AT_FIELD(p, always[i]), "is not supported");
        }
    }
    if (flag(n->raw, "uniqueItems")) {
        cause_forbidden(x->c, AT_FIELD(p, "uniqueItems"),
                        "uniqueItems cannot be set to true since the runtime complexity becomes "
                        "quadratic");
    }
    for (size_t i = 0; where == AT_NESTED && i < sizeof nested / sizeof *nested; i++) {
        bool type_of_either = strcmp(nested[i], "type") == 0 &&
                              (json_get(n->raw, "x-kubernetes-int-or-string") != NULL ||
                               span_eq(json_get_str(n->raw, "type"), SPAN("integer")) ||
                               span_eq(json_get_str(n->raw, "type"), SPAN("string")));
        if (json_get(n->raw, nested[i]) && !type_of_either) {
            cause_forbidden(x->c, AT_FIELD(p, nested[i]), "must be empty to be structural");
        }
    }
    if (where == AT_NESTED && flag(n->raw, "nullable")) {
        cause_forbidden(x->c, AT_FIELD(p, "nullable"), "must be false to be structural");
    }
    if (json_get(n->raw, "x-kubernetes-preserve-unknown-fields") && !n->preserve) {
        cause_invalid(x->c, AT_FIELD(p, "x-kubernetes-preserve-unknown-fields"), SPAN("false"),
                      "must be true or undefined");
    }
}

/* ---- members and elements ---- */

static int cmp_property(const void *x, const void *y)
{
    return span_cmp(((const struct custom_property *)x)->name,
                    ((const struct custom_property *)y)->name);
}

static void set_properties(struct compiler *x, const struct path *p, struct custom_node *n,
                           enum where where)
{
    const yyjson_val *all = json_get(n->raw, "properties");
    n->properties = ARENA_ARRAY(x->c->a, struct custom_property, json_len(all) + 1);
    p = AT_FIELD(p, "properties");
    JSON_EACH(it, all)
    {
        struct span name = json_str(it.key);
        struct custom_node *one =
            compile(x, AT_KEY(p, name), it.val, where == AT_NESTED ? AT_NESTED : AT_PROPERTY);
        if (!one) {
            return;
        }
        n->properties[n->property_count++] = (struct custom_property){name, one};
    }
    qsort(n->properties, n->property_count, sizeof *n->properties, cmp_property);
}

static void set_additional(struct compiler *x, const struct path *p, struct custom_node *n,
                           enum where where)
{
    const yyjson_val *v = json_get(n->raw, "additionalProperties");
    p = AT_FIELD(p, "additionalProperties");
    if (is_object(v)) {
        if (where == AT_ROOT) {
            cause_forbidden(x->c, p, "must not be used at the root");
        } else if (n->property_count) {
            cause_forbidden(x->c, p, "additionalProperties and properties are mutual exclusive");
        }
        n->additional = compile(x, p, v, where == AT_NESTED ? AT_NESTED : AT_ADDITIONAL);
    } else if (yyjson_is_true((yyjson_val *)v)) {
        n->any_members = true;
    } else if (yyjson_is_false((yyjson_val *)v)) {
        cause_forbidden(x->c, p, "additionalProperties cannot be set to false");
    } else if (v) {
        cause_invalid(x->c, p, shown(x->c->a, v), "must be a schema or true");
    }
}

static void set_keys(struct compiler *x, const struct path *p, struct custom_node *n)
{
    const yyjson_val *keys = json_get(n->raw, "x-kubernetes-list-map-keys");
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    size_t i = 0;
    p = AT_FIELD(p, "x-kubernetes-list-map-keys");
    if (n->list_kind != SCHEMA_LIST_MAP) {
        if (json_len(keys)) {
            cause_forbidden(x->c, p, "must be empty if x-kubernetes-list-type is not map");
        }
        return;
    }
    if (json_len(keys) == 0 || json_len(keys) > LIMIT_FIELDSET_KEYS) {
        cause_required(x->c, p, "must not be empty if x-kubernetes-list-type is map");
    }
    JSON_EACH(it, keys)
    {
        struct span key = json_str(it.val);
        const struct custom_node *one = n->items ? custom_property(n->items, key) : NULL;
        if (!one || one->type == CUSTOM_OBJECT || one->type == CUSTOM_ARRAY ||
            span_find(key, ',') < key.n) {
            cause_invalid(x->c, AT_INDEX(p, i), shown(x->c->a, it.val),
                          "entries must all be names of item properties of a scalar type");
        }
        strbuf_puts(&b, i++ ? "," : "");
        strbuf_put(&b, key);
    }
    n->map_keys = arena_cstr(x->c->a, strbuf_span(&b));
}

static void set_items(struct compiler *x, const struct path *p, struct custom_node *n,
                      enum where where)
{
    const yyjson_val *items = json_get(n->raw, "items");
    struct span kind = json_get_str(n->raw, "x-kubernetes-list-type");
    if (items) {
        n->items =
            compile(x, AT_FIELD(p, "items"), items, where == AT_NESTED ? AT_NESTED : AT_ITEM);
    } else if (n->type == CUSTOM_ARRAY && where != AT_NESTED) {
        cause_required(x->c, AT_FIELD(p, "items"), "must be specified");
    }
    if (kind.n && n->type != CUSTOM_ARRAY) {
        cause_invalid(x->c, AT_FIELD(p, "type"), shown(x->c->a, json_get(n->raw, "type")),
                      "must be array if x-kubernetes-list-type is specified");
        return;
    }
    n->list_kind = span_eq(kind, SPAN("map"))   ? SCHEMA_LIST_MAP
                   : span_eq(kind, SPAN("set")) ? SCHEMA_LIST_SET
                                                : SCHEMA_LIST_ATOMIC;
    if (n->list_kind == SCHEMA_LIST_MAP && (!n->items || n->items->type != CUSTOM_OBJECT)) {
        cause_invalid(x->c, AT_FIELD(AT_FIELD(p, "items"), "type"), SPAN("null"),
                      "must be object if parent array's x-kubernetes-list-type is map");
    }
    set_keys(x, p, n);
}

/* ---- value validations ---- */

static struct custom_nodes set_list(struct compiler *x, const struct path *p, const yyjson_val *raw,
                                    const char *name)
{
    struct custom_nodes out = {0};
    const yyjson_val *all = json_get(raw, name);
    out.at = ARENA_ARRAY(x->c->a, struct custom_node *, json_len(all) + 1);
    p = AT_FIELD(p, name);
    JSON_EACH(it, all)
    {
        struct custom_node *one = compile(x, AT_INDEX(p, out.n), it.val, AT_NESTED);
        if (!one) {
            break;
        }
        out.at[out.n++] = one;
    }
    return out;
}

static void set_pattern(struct compiler *x, const struct path *p, struct custom_node *n)
{
    const yyjson_val *v = json_get(n->raw, "pattern");
    const char *why = NULL;
    if (json_str(v).n == 0) {
        return;
    }
    n->pattern = regex_compile(x->c->a, json_str(v), &why);
    if (!n->pattern) {
        struct span text =
            arena_printf(x->c->a, "must be a valid regular expression, but isn't: %s", why);
        cause_invalid(x->c, AT_FIELD(p, "pattern"), shown(x->c->a, v), text.p);
    }
}

static void set_rules(struct compiler *x, const struct path *p, struct custom_node *n)
{
    static const char *const names[] = {
        "maximum",       "minimum",    "maxLength",
        "minLength",     "pattern",    "maxItems",
        "minItems",      "multipleOf", "enum",
        "maxProperties", "required",   "minProperties",
        "allOf",         "anyOf",      "oneOf",
        "not",           "format",     "x-kubernetes-embedded-resource"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        n->has_rules |= json_get(n->raw, names[i]) != NULL;
    }
    if (!n->has_rules) {
        return;
    }
    set_pattern(x, p, n);
    n->all_of = set_list(x, p, n->raw, "allOf");
    n->any_of = set_list(x, p, n->raw, "anyOf");
    n->one_of = set_list(x, p, n->raw, "oneOf");
    const yyjson_val *not = json_get(n->raw, "not");
    if (is_object(not )) {
        n->not = compile(x, AT_FIELD(p, "not"), not, AT_NESTED);
    }
}

static void set_default(struct compiler *x, const struct path *p, struct custom_node *n,
                        enum where where)
{
    n->initial = json_get(n->raw, "default");
    if (!n->initial || where == AT_NESTED) {
        n->initial = NULL;
        return;
    }
    if (where == AT_ROOT) {
        cause_forbidden(x->c, AT_FIELD(p, "default"), "must not be set at the root");
        return;
    }
    custom_check_value(x->c, AT_FIELD(p, "default"), n, n->initial);
}

static struct custom_node *compile(struct compiler *x, const struct path *p, const yyjson_val *raw,
                                   enum where where)
{
    if (++x->nodes > LIMIT_CUSTOM_NODES || x->depth > LIMIT_CUSTOM_DEPTH) {
        if (!x->c->too_many) {
            cause_invalid(x->c, p, SPAN("{}"),
                          "the schema is too large: at most 60000 nodes in 48 levels");
        }
        x->c->too_many = true;
        return NULL;
    }
    struct custom_node *n = ARENA_NEW(x->c->a, struct custom_node);
    x->depth++;
    n->raw = raw;
    n->int_or_string = flag(raw, "x-kubernetes-int-or-string");
    n->preserve = flag(raw, "x-kubernetes-preserve-unknown-fields");
    n->embedded = flag(raw, "x-kubernetes-embedded-resource");
    n->nullable = flag(raw, "nullable");
    n->map_atomic = span_eq(json_get_str(raw, "x-kubernetes-map-type"), SPAN("atomic"));
    set_type(x, p, n, where);
    check_forbidden(x, p, n, where);
    set_properties(x, p, n, where);
    set_additional(x, p, n, where);
    set_items(x, p, n, where);
    set_rules(x, p, n);
    if (!x->c->too_many) {
        set_default(x, p, n, where);
    }
    x->depth--;
    return n;
}

struct custom_node *custom_compile_schema(struct check *c, const struct path *p,
                                          const yyjson_val *schema)
{
    assert(c);
    assert(is_object(schema));
    struct compiler x = {.c = c};
    return compile(&x, p, schema, AT_ROOT);
}

static int cmp_name(const void *key, const void *at)
{
    return span_cmp(*(const struct span *)key, ((const struct custom_property *)at)->name);
}

struct custom_node *custom_property(const struct custom_node *n, struct span name)
{
    assert(n);
    const struct custom_property *found =
        n->property_count
            ? bsearch(&name, n->properties, n->property_count, sizeof *n->properties, cmp_name)
            : NULL;
    return found ? found->node : NULL;
}
