#include "apiserver/selection.h"

#include "base/check.h"
#include "codec/selector.h"
#include "schema/custom.h"
#include "schema/kinds.h"

struct selection {
    const struct schema_kind *kind;
    struct selector labels;
    struct field_selector fields;
    uint64_t label_bits; /* which the sketch of an object's labels must have */
    struct watch_filter filter;
    const struct schema_hooks *hooks; /* of the kind as the client names its fields */
    bool of_pods;
    struct arena
        *scratch; /* for computed field values; cleared after each object; NULL: no fields */
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
    *ret = SPAN_NULL;
    if (sel->of_pods && span_eq(key, SPAN("spec.nodeName"))) { /* each node agent's, of each pod */
        *ret = json_str(json_path(root, "spec", "nodeName", NULL));
        return true;
    }
    if (sel->kind->custom) {
        return custom_field(sel->kind, sel->scratch, root, key, ret);
    }
    return sel->hooks && sel->hooks->field && sel->hooks->field(sel->scratch, root, key, ret);
}

/* Whether the object may have a string of this value, by a look at its bytes: the serialiser writes
 * these characters as they are. */
static bool may_hold(struct object *o, struct span value)
{
    char text[128];
    if (value.n == 0 || value.n + 2 > sizeof text) {
        return true;
    }
    text[0] = text[value.n + 1] = '"';
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_';
        if (!plain) {
            return true;
        }
        text[i + 1] = c;
    }
    struct span json = object_json(o);
    return memmem(json.p, json.n, text, value.n + 2) != NULL;
}

/* A node agent that watches its own pods does not make the server parse those of others. Other
 * fields may be computed (spec.unschedulable is "false" where there is none). */
static bool is_rejected(const struct selection *sel, struct object *o)
{
    if (sel->label_bits & ~object_labels_sketch(o)) {
        return true;
    }
    for (size_t i = 0; i < sel->fields.n; i++) {
        const struct field_term *t = &sel->fields.terms[i];
        if (t->equal && span_eq(t->key, SPAN("spec.nodeName")) && !may_hold(o, t->value)) {
            return true;
        }
    }
    return false;
}

bool selection_matches(struct selection *sel, struct object *o)
{
    if (sel->labels.n == 0 && sel->fields.n == 0 && !sel->labels.nothing) {
        return true;
    }
    if (!object_is_parsed(o) && is_rejected(sel, o)) {
        return false;
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

/* Kinds with keys of their own say it in other words than those that know name and namespace only.
 */
static bool has_own_keys(const struct schema_kind *kind)
{
    static const char *const resources[] = {"pods", "events", "nodes", "secrets", "namespaces"};
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        if (strcmp(kind->resource, resources[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Every key must be one that the kind knows: asked on an empty object. */
static int check_fields(struct api_op *op, struct selection *sel)
{
    static const yyjson_val empty = {.tag = YYJSON_TYPE_OBJ, .uni.ofs = sizeof(yyjson_val)};
    for (size_t i = 0; i < sel->fields.n; i++) {
        struct span value, key = sel->fields.terms[i].key;
        if (field_of(sel, &empty, NULL, key, &value)) {
            continue;
        }
        return has_own_keys(op->kind) || op->kind->custom
                   ? api_op_err(op, ERR_BAD_REQUEST, "field label not supported: %.*s",
                                SPAN_ARG(key))
                   : api_op_err(op, ERR_BAD_REQUEST,
                                "\"%.*s\" is not a known field selector: only \"metadata.name\", "
                                "\"metadata.namespace\"",
                                SPAN_ARG(key));
    }
    return 0;
}

/* What is known of the labels of every object that matches. */
static uint64_t label_bits(const struct selector *s)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct selector_term *t = &s->terms[i];
        bool absent_too = t->op == SELECTOR_NOT_EQUALS || t->op == SELECTOR_NOT_IN ||
                          t->op == SELECTOR_NOT_EXISTS;
        bool one = t->n == 1 && (t->op == SELECTOR_EQUALS || t->op == SELECTOR_IN);
        bits |= absent_too ? 0 : object_label_bits(t->key, one ? t->values : NULL);
    }
    return bits;
}

int selection_new(struct api_op *op)
{
    assert(!op->selection);
    struct arena *a = op->arena;
    struct selection *sel = ARENA_NEW(a, struct selection);
    sel->kind = op->kind;
    sel->hooks = op->view && op->view->view_of ? op->view->hooks : op->kind->hooks;
    sel->of_pods = sel->hooks && sel->hooks == SCHEMA_KIND(Pod)->hooks;
    /* Empty ones choose everything, as what is there already does. */
    if (op->options.label_selector.n) {
        if (selector_parse(a, op->options.label_selector, &sel->labels, &op->err)) {
            return -1;
        }
        sel->label_bits = label_bits(&sel->labels);
    }
    if (op->options.field_selector.n &&
        field_selector_parse(a, op->options.field_selector, &sel->fields, &op->err)) {
        return -1;
    }
    op->selection = sel;
    if (sel->fields.n) {
        sel->scratch = arena_new_small();
        if (check_fields(op, sel)) {
            return -1;
        }
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
    bool only_name = sel->fields.n == 1 && sel->filter.name.n; /* the filter's own part */
    if (sel->labels.n || sel->labels.nothing || (sel->fields.n && !only_name)) {
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
    assert(sel);
    return &sel->filter;
}
