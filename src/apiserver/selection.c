#include "apiserver/selection.h"

#include "base/check.h"
#include "codec/selector.h"

struct selection {
    const struct schema_kind *kind;
    struct selector labels;
    struct field_selector fields;
    struct watch_filter filter;
    struct arena *scratch; /* for computed field values; cleared after each object */
};

static bool field_of(struct selection *sel, const yyjson_val *root, struct object *o,
                     struct span key, struct span *ret)
{
    if (span_eq(key, SPAN("metadata.name"))) {
        *ret = o ? object_name(o) : SPAN_NULL;
        return true;
    }
    if (span_eq(key, SPAN("metadata.namespace"))) {
        *ret = o ? object_namespace(o) : SPAN_NULL;
        return sel->kind->namespaced;
    }
    const struct schema_hooks *hooks = sel->kind->hooks;
    *ret = SPAN_NULL;
    return hooks && hooks->field && hooks->field(sel->scratch, root, key, ret);
}

bool selection_matches(struct selection *sel, struct object *o)
{
    if (sel->labels.n == 0 && sel->fields.n == 0 && !sel->labels.nothing) {
        return true;
    }
    const yyjson_val *root = object_root(o);
    if ((sel->labels.n || sel->labels.nothing) &&
        !selector_matches(&sel->labels, json_path(root, "metadata", "labels", NULL))) {
        return false;
    }
    bool all = true;
    for (size_t i = 0; i < sel->fields.n && all; i++) {
        const struct field_term *t = &sel->fields.terms[i];
        struct span value;
        all = field_of(sel, root, o, t->key, &value) && span_eq(value, t->value) == t->equal;
    }
    if (sel->fields.n) {
        arena_clear(sel->scratch);
    }
    return all;
}

static bool match_cb(void *data, struct object *o)
{
    return selection_matches(data, o);
}

/* Every key must be one that the kind knows: asked on an empty object. */
static int check_fields(struct api_op *op, struct selection *sel)
{
    yyjson_val *empty = json_freeze(op->arena, yyjson_mut_obj(json_mut_new(op->arena)));
    for (size_t i = 0; i < sel->fields.n; i++) {
        struct span value;
        if (!field_of(sel, empty, NULL, sel->fields.terms[i].key, &value)) {
            const struct schema_kind *k = op->kind;
            return api_op_err(
                op, ERR_BAD_REQUEST,
                "Unable to find \"%s%s/%s, Resource=%s\" that match label selector "
                "\"%.*s\", field selector \"%.*s\": field label not supported: %.*s",
                k->group, "", k->version, k->plural, SPAN_ARG(op->options.label_selector),
                SPAN_ARG(op->options.field_selector), SPAN_ARG(sel->fields.terms[i].key));
        }
    }
    return 0;
}

int selection_new(struct api_op *op)
{
    assert(!op->selection);
    struct arena *a = op->arena;
    struct selection *sel = ARENA_NEW(a, struct selection);
    sel->kind = op->kind;
    if (selector_parse(a, op->options.label_selector, &sel->labels, &op->err) ||
        field_selector_parse(a, op->options.field_selector, &sel->fields, &op->err)) {
        return -1;
    }
    sel->scratch = arena_new();
    op->selection = sel;
    if (check_fields(op, sel)) {
        return -1;
    }
    sel->filter =
        (struct watch_filter){.resource = span_cstr(op->kind->resource), .ns = op->ns, .data = sel};
    struct span exact;
    if (field_selector_exact(&sel->fields, SPAN("metadata.name"), &exact)) {
        sel->filter.name = exact;
    }
    if (field_selector_exact(&sel->fields, SPAN("metadata.namespace"), &exact) &&
        !sel->filter.ns.n) {
        sel->filter.ns = exact;
    }
    if (sel->labels.n || sel->labels.nothing || sel->fields.n) {
        sel->filter.match = match_cb;
    }
    return 0;
}

void selection_done(struct selection *sel)
{
    arena_free(sel->scratch);
    sel->scratch = NULL;
}

const struct watch_filter *selection_filter(const struct selection *sel)
{
    return &sel->filter;
}
