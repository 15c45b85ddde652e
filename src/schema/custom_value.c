/* schema/custom_value.c: objects of custom kinds: what the schema does not know is left out, and
 * defaults are put in. */
#include "base/check.h"
#include "base/map.h"
#include "schema/custom_priv.h"
#include "schema/kinds.h"

struct pruner {
    struct arena *a;
    yyjson_mut_doc *doc;
    struct span complaints[32];
    size_t n;
    struct err err; /* a resource within a value has a head of another type */
};

bool custom_is_head(struct span name)
{
    return span_eq(name, SPAN("apiVersion")) || span_eq(name, SPAN("kind")) ||
           span_eq(name, SPAN("metadata"));
}

static void complain(struct pruner *x, const char *what, const struct path *p)
{
    if (x->n < sizeof x->complaints / sizeof *x->complaints) {
        struct span path = path_text(x->a, p);
        x->complaints[x->n++] = arena_printf(x->a, "%s field \"%.*s\"", what, SPAN_ARG(path));
    }
}

static yyjson_mut_val *prune(struct pruner *x, const struct path *p, const struct custom_node *n,
                             const yyjson_val *v);

/* The schema of a member; *ret_known false: it is not allowed. NULL: anything. */
static const struct custom_node *member(const struct custom_node *n, struct span name,
                                        bool *ret_known)
{
    const struct custom_node *one = custom_property(n, name);
    bool head = n->embedded && custom_is_head(name);
    *ret_known =
        one || n->additional || n->any_members || n->preserve || head || n->type == CUSTOM_ANY;
    return one ? one : head ? NULL : n->additional;
}

/* Metadata is of the same type in every kind, so a kind that has nothing else decodes it. */
static yyjson_mut_val *decode_metadata(struct arena *a, const yyjson_val *in, yyjson_mut_doc *doc,
                                       enum schema_strictness strictness,
                                       struct schema_warnings *warnings, struct err *reterr)
{
    yyjson_mut_val *part = yyjson_mut_obj(doc);
    const yyjson_val *meta = json_get(in, "metadata");
    if (meta) {
        json_put(doc, part, "metadata", json_mut_copy(doc, meta));
    }
    yyjson_mut_val *out = schema_decode(a, SCHEMA_KIND(PartialObjectMetadata), json_freeze(a, part),
                                        doc, strictness, warnings, reterr);
    return out ? yyjson_mut_obj_remove_key(out, "metadata") : NULL;
}

static yyjson_mut_val *refuse(struct pruner *x, const struct path *p, const yyjson_val *v,
                              struct span why)
{
    if (x->err.reason == ERR_NONE) {
        (void)err_set(x->a, &x->err, ERR_BAD_REQUEST, "%.*s: Invalid value: %.*s: %.*s",
                      SPAN_ARG(path_text(x->a, p)), SPAN_ARG(shown(x->a, v)), SPAN_ARG(why));
    }
    return yyjson_mut_null(x->doc);
}

/* One of the complaints about metadata (unknown field "metadata.x") of a resource at p. */
static void complain_of_metadata(struct pruner *x, const struct path *p, struct span text)
{
    size_t at = span_find(text, '"');
    struct span what = span_first(text, at), rest = span_from(text, at + 1);
    if (x->n < sizeof x->complaints / sizeof *x->complaints) {
        x->complaints[x->n++] = arena_printf(x->a, "%.*s\"%.*s.%.*s", SPAN_ARG(what),
                                             SPAN_ARG(path_text(x->a, p)), SPAN_ARG(rest));
    }
}

/* A member of the head of a resource within a value, which stands at p. */
static yyjson_mut_val *prune_head(struct pruner *x, const struct path *p, struct span name,
                                  const yyjson_val *resource, const yyjson_val *v)
{
    const struct path *here = AT_SPAN(p, name);
    if (!span_eq(name, SPAN("metadata"))) {
        return yyjson_is_str((yyjson_val *)v) ? json_mut_copy(x->doc, v)
                                              : refuse(x, here, v, SPAN("must be a string"));
    }
    struct schema_warnings found = {0};
    struct err err = {0};
    yyjson_mut_val *meta = decode_metadata(x->a, resource, x->doc, SCHEMA_WARN, &found, &err);
    for (size_t i = 0; meta && i < found.n; i++) {
        complain_of_metadata(x, p, found.text[i]);
    }
    return meta ? meta : refuse(x, here, v, err.message);
}

/* Large objects are looked up by hash; the last of members of one name counts. */
static yyjson_mut_val *prune_members(struct pruner *x, const struct path *p,
                                     const struct custom_node *n, const yyjson_val *v, bool root)
{
    yyjson_mut_val *out = yyjson_mut_obj(x->doc);
    struct map seen = MAP_INIT;
    JSON_EACH(it, v)
    {
        struct span name = json_str(it.key);
        const struct path *here = AT_SPAN(p, name);
        bool known = true;
        const struct custom_node *one = n ? member(n, name, &known) : NULL;
        if (root && custom_is_head(name)) {
            continue;
        }
        if (!known) {
            complain(x, "unknown", here);
            continue;
        }
        bool null = yyjson_is_null(it.val);
        if (null && one && !one->nullable && one->type != CUSTOM_ANY) {
            continue; /* as if it were not there */
        }
        bool head = n && n->embedded && custom_is_head(name);
        yyjson_mut_val *made =
            head ? prune_head(x, p, name, v, it.val) : prune(x, here, one, it.val);
        yyjson_mut_val *before = map_get(&seen, name);
        if (before) {
            complain(x, "duplicate", here);
            before->tag = made->tag;
            before->uni = made->uni;
            continue;
        }
        yyjson_mut_obj_add(out, json_new_str(x->doc, name), made);
        (void)map_put(&seen, name, made);
    }
    map_done(&seen);
    return out;
}

static yyjson_mut_val *prune(struct pruner *x, const struct path *p, const struct custom_node *n,
                             const yyjson_val *v)
{
    if (yyjson_is_obj((yyjson_val *)v)) {
        return prune_members(x, p, n, v, false);
    }
    if (!yyjson_is_arr((yyjson_val *)v)) {
        return json_mut_copy(x->doc, v);
    }
    yyjson_mut_val *out = yyjson_mut_arr(x->doc);
    size_t i = 0;
    JSON_EACH(it, v)
    {
        yyjson_mut_arr_append(out, prune(x, AT_INDEX(p, i), n ? n->items : NULL, it.val));
        i++;
    }
    return out;
}

yyjson_mut_val *custom_decode(struct arena *a, const struct schema_kind *kind, const yyjson_val *in,
                              yyjson_mut_doc *doc, enum schema_strictness strictness,
                              struct schema_warnings *warnings, struct err *reterr)
{
    assert(a);
    assert(kind->custom);
    assert(doc);
    if (!yyjson_is_obj((yyjson_val *)in)) {
        (void)err_set(a, reterr, ERR_BAD_REQUEST, "the body is not a JSON object");
        return NULL;
    }
    yyjson_mut_val *meta = decode_metadata(a, in, doc, strictness, warnings, reterr);
    if (!meta) {
        return NULL;
    }
    struct pruner x = {.a = a, .doc = doc};
    yyjson_mut_val *obj = prune_members(&x, NULL, kind->custom->root, in, true);
    if (x.err.reason != ERR_NONE) {
        if (reterr) {
            *reterr = x.err;
        }
        return NULL;
    }
    if (decode_report(x.a, x.complaints, x.n, strictness, warnings, reterr) < 0) {
        return NULL;
    }
    yyjson_mut_obj_insert(obj, yyjson_mut_str(doc, "metadata"), meta, 0);
    yyjson_mut_obj_insert(obj, yyjson_mut_str(doc, "apiVersion"),
                          yyjson_mut_str(doc, kind->api_version), 0);
    yyjson_mut_obj_insert(obj, yyjson_mut_str(doc, "kind"), yyjson_mut_str(doc, kind->kind), 0);
    return obj;
}

/* ---- defaults ---- */

static void fill(yyjson_mut_doc *doc, const struct custom_node *n, yyjson_mut_val *v, bool root);

static void fill_object(yyjson_mut_doc *doc, const struct custom_node *n, yyjson_mut_val *obj,
                        bool root)
{
    for (size_t i = 0; i < n->property_count; i++) {
        const struct custom_property *p = &n->properties[i];
        if (root && custom_is_head(p->name)) {
            continue;
        }
        yyjson_mut_val *v = yyjson_mut_obj_getn(obj, p->name.p, p->name.n);
        bool unset = !v || (yyjson_mut_is_null(v) && !p->node->nullable);
        if (unset && p->node->initial) {
            v = json_mut_copy(doc, p->node->initial);
            json_put_span(doc, obj, p->name, v);
        }
        if (v) {
            fill(doc, p->node, v, false);
        }
    }
    size_t i, count;
    yyjson_mut_val *key, *one;
    yyjson_mut_obj_foreach(obj, i, count, key, one)
    {
        if (n->additional && !custom_property(n, json_mut_str(key))) {
            fill(doc, n->additional, one, false);
        }
    }
}

static void fill(yyjson_mut_doc *doc, const struct custom_node *n, yyjson_mut_val *v, bool root)
{
    if (yyjson_mut_is_obj(v)) {
        fill_object(doc, n, v, root);
    } else if (yyjson_mut_is_arr(v) && n->items) {
        size_t i, count;
        yyjson_mut_val *one;
        yyjson_mut_arr_foreach(v, i, count, one)
        {
            fill(doc, n->items, one, false);
        }
    }
}

void custom_defaults(yyjson_mut_doc *doc, const struct schema_kind *kind, yyjson_mut_val *obj)
{
    assert(doc);
    assert(kind->custom);
    assert(obj);
    fill(doc, kind->custom->root, obj, true);
}
