/* schema/engine_defaults.c: static defaults of the rows, and the zero values that Go would write.
 *
 * Kubernetes' replies carry zero values of fields without omitempty ("replicas": 0 in a status) and
 * empty objects of fields that are not pointers ("resources": {}); clients compare objects, so ours
 * carry them too. Lists, maps and times stay absent instead of null. */
#include "base/check.h"
#include "schema/custom_priv.h"
#include "schema/engine.h"

static bool is_zero_mut(const yyjson_mut_val *v)
{
    yyjson_mut_val *x = (yyjson_mut_val *)v;
    return !x || yyjson_mut_is_null(x) || (yyjson_mut_is_str(x) && yyjson_mut_get_len(x) == 0) ||
           (yyjson_mut_is_int(x) && yyjson_mut_get_int(x) == 0) || yyjson_mut_is_false(x);
}

/* Default texts are literals of ours: strings without escapes, numbers, booleans, objects. */
static yyjson_mut_val *default_value(yyjson_mut_doc *doc, const char *text)
{
    size_t n = strlen(text);
    if (text[0] == '"') {
        assert(n >= 2);
        assert(text[n - 1] == '"');
        return yyjson_mut_strn(doc, text + 1, n - 2);
    }
    if (strcmp(text, "{}") == 0) {
        return yyjson_mut_obj(doc);
    }
    int64_t number;
    if (span_to_i64(span_cstr(text), &number)) {
        return yyjson_mut_sint(doc, number);
    }
    assert(strcmp(text, "true") == 0 || strcmp(text, "false") == 0);
    return yyjson_mut_bool(doc, text[0] == 't');
}

static yyjson_mut_val *zero_value(yyjson_mut_doc *doc, const struct schema_field *f)
{
    if (f->flags & SCHEMA_POINTER) {
        return NULL;
    }
    if (f->shape == SCHEMA_OBJECT) {
        return yyjson_mut_obj(doc);
    }
    if (f->flags & SCHEMA_OMITEMPTY) {
        return NULL;
    }
    switch ((enum schema_shape)f->shape) {
    case SCHEMA_STRING:
        return yyjson_mut_strn(doc, "", 0);
    case SCHEMA_INT32:
    case SCHEMA_INT64:
        return yyjson_mut_sint(doc, 0);
    case SCHEMA_BOOL:
        return yyjson_mut_bool(doc, false);
    default:
        return NULL;
    }
}

static void descend(yyjson_mut_doc *doc, const struct schema_field *f, yyjson_mut_val *v)
{
    if (f->shape == SCHEMA_OBJECT && yyjson_mut_is_obj(v)) {
        default_rows(doc, f->type, v);
    } else if (f->shape == SCHEMA_LIST && f->elem_shape == SCHEMA_OBJECT && yyjson_mut_is_arr(v)) {
        size_t i, n;
        yyjson_mut_val *one;
        yyjson_mut_arr_foreach(v, i, n, one)
        {
            if (yyjson_mut_is_obj(one)) {
                default_rows(doc, f->type, one);
            }
        }
    } else if (f->shape == SCHEMA_MAP && f->elem_shape == SCHEMA_OBJECT && yyjson_mut_is_obj(v)) {
        size_t i, n;
        yyjson_mut_val *key, *one;
        yyjson_mut_obj_foreach(v, i, n, key, one)
        {
            if (yyjson_mut_is_obj(one)) {
                default_rows(doc, f->type, one);
            }
        }
    }
}

/* The members that have defaults by the rows of their type; of equal names the first. */
static void collect(const struct schema_type *type, yyjson_mut_val *obj,
                    yyjson_mut_val *at[SCHEMA_FIELDS_MAX])
{
    if (type->defaulted_n < yyjson_mut_obj_size(obj)) { /* fewer than there are members */
        for (size_t k = 0; k < type->defaulted_n; k++) {
            const struct schema_field *f = &type->fields[type->defaulted[k]];
            at[type->defaulted[k]] = json_mut_get_span(obj, span_of(f->name, f->name_n));
        }
        return;
    }
    memset(at, 0, type->field_count * sizeof *at);
    size_t i, n, row = 0;
    yyjson_mut_val *key, *v;
    yyjson_mut_obj_foreach(obj, i, n, key, v)
    {
        const struct schema_field *f = schema_field_next(type, json_mut_str(key), &row);
        if (f && !at[f - type->fields]) {
            at[f - type->fields] = v;
        }
    }
}

yyjson_mut_val *default_instead(yyjson_mut_doc *doc, const struct schema_field *f,
                                yyjson_mut_val *v)
{
    bool unset = f->flags & SCHEMA_POINTER ? yyjson_mut_is_null(v) : is_zero_mut(v);
    return f->default_json && unset ? default_value(doc, f->default_json) : v;
}

void default_missing(yyjson_mut_doc *doc, const struct schema_type *type, yyjson_mut_val *obj,
                     uint64_t seen)
{
    assert(doc);
    assert(obj);
    for (size_t k = 0; k < type->defaulted_n; k++) {
        const struct schema_field *f = &type->fields[type->defaulted[k]];
        if (seen >> type->defaulted[k] & 1) {
            continue;
        }
        yyjson_mut_val *v =
            f->default_json ? default_value(doc, f->default_json) : zero_value(doc, f);
        if (v) {
            yyjson_mut_obj_add(obj, field_key(doc, f), v);
            descend(doc, f, v);
        }
    }
}

/* Those of an object of a built-in type; `inside`: also of what the members hold that are there.
 * Metadata and status are looked into in any case. */
static void rows(yyjson_mut_doc *doc, const struct schema_type *type, yyjson_mut_val *obj,
                 bool inside)
{
    assert(doc);
    assert(type);
    assert(yyjson_mut_is_obj(obj));
    assert(type->field_count <= SCHEMA_FIELDS_MAX);
    if (type->defaulted_n == 0) {
        return;
    }
    yyjson_mut_val *at[SCHEMA_FIELDS_MAX];
    collect(type, obj, at);
    uint64_t seen = 0;
    for (size_t k = 0; k < type->defaulted_n; k++) {
        const struct schema_field *f = &type->fields[type->defaulted[k]];
        yyjson_mut_val *v = at[type->defaulted[k]];
        if (!v) {
            continue;
        }
        seen |= (uint64_t)1 << type->defaulted[k];
        yyjson_mut_val *instead = default_instead(doc, f, v);
        if (instead != v) {
            v->tag = instead->tag; /* in its place */
            v->uni = instead->uni;
        }
        if (inside || strcmp(f->name, "metadata") == 0 || strcmp(f->name, "status") == 0) {
            descend(doc, f, v);
        }
    }
    default_missing(doc, type, obj, seen);
}

void default_rows(yyjson_mut_doc *doc, const struct schema_type *type, yyjson_mut_val *obj)
{
    assert(type);
    assert(obj);
    rows(doc, type, obj, true);
}

static void defaults(yyjson_mut_doc *doc, const struct schema_kind *kind, yyjson_mut_val *obj,
                     bool inside)
{
    assert(doc);
    assert(kind);
    assert(yyjson_mut_is_obj(obj));
    if (kind->custom) {
        custom_defaults(doc, kind, obj);
        return;
    }
    rows(doc, kind->type, obj, inside);
    if (kind->hooks->defaults) {
        kind->hooks->defaults(doc, obj);
    }
}

void schema_defaults(yyjson_mut_doc *doc, const struct schema_kind *kind, yyjson_mut_val *obj)
{
    assert(doc);
    assert(obj);
    defaults(doc, kind, obj, true);
}

void schema_defaults_rest(yyjson_mut_doc *doc, const struct schema_kind *kind, yyjson_mut_val *obj)
{
    assert(doc);
    assert(obj);
    defaults(doc, kind, obj, false);
}

bool schema_status_stands_alone(const struct schema_kind *kind, const yyjson_mut_val *status)
{
    assert(kind);
    return yyjson_mut_is_obj((yyjson_mut_val *)status) &&
           (!kind->hooks->status_settled || kind->hooks->status_settled(status));
}

void schema_defaults_head(yyjson_mut_doc *doc, const struct schema_kind *kind, yyjson_mut_val *obj,
                          bool status)
{
    static const char *const names[] = {"metadata", "status"};
    assert(!kind->custom);
    for (size_t i = 0; i < (status ? 2 : 1); i++) {
        const struct schema_field *f = schema_field_find(kind->type, span_cstr(names[i]));
        yyjson_mut_val *v = json_mut_get(obj, names[i]);
        if (f && v) {
            descend(doc, f, v);
        }
    }
}
