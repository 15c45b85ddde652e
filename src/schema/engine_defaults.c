/* schema/engine_defaults.c: static defaults of the rows, and the zero values that Go would write.
 *
 * Kubernetes' replies carry zero values of fields without omitempty ("replicas": 0 in a status) and
 * empty objects of fields that are not pointers ("resources": {}); clients compare objects, so ours
 * carry them too. Lists, maps and times stay absent instead of null. */
#include "base/check.h"
#include "schema/custom_priv.h"
#include "schema/engine.h"
#include "schema/engine_flat.h"
#include "schema/schema_row.h"

static bool is_zero_mut(const yyjson_mut_val *v)
{
    yyjson_mut_val *x = (yyjson_mut_val *)v;
    return !x || yyjson_mut_is_null(x) || (yyjson_mut_is_str(x) && yyjson_mut_get_len(x) == 0) ||
           (yyjson_mut_is_int(x) && yyjson_mut_get_uint(x) == 0) || yyjson_mut_is_false(x);
}

/* Default texts are literals of ours: strings without escapes, numbers, booleans, objects. */
static yyjson_val default_value(const char *text)
{
    size_t n = strlen(text);
    if (text[0] == '"') {
        assert(n >= 2);
        assert(text[n - 1] == '"');
        return json_val_plain(span_of(text + 1, n - 2));
    }
    if (strcmp(text, "{}") == 0) {
        return json_val_none(YYJSON_TYPE_OBJ);
    }
    int64_t number;
    if (span_to_i64(span_cstr(text), &number)) {
        return json_val_int(number);
    }
    assert(strcmp(text, "true") == 0 || strcmp(text, "false") == 0);
    return json_val_bool(text[0] == 't');
}

/* What a member is that is not given; false: it stays away. */
static bool missing_value(const struct schema_field *f, yyjson_val *ret)
{
    if (f->default_json) {
        *ret = default_value(f->default_json);
        return true;
    }
    if (f->flags & SCHEMA_POINTER) {
        return false;
    }
    if (f->shape == SCHEMA_OBJECT) {
        *ret = json_val_none(YYJSON_TYPE_OBJ);
        return true;
    }
    if (f->flags & SCHEMA_OMITEMPTY) {
        return false;
    }
    switch ((enum schema_shape)f->shape) {
    case SCHEMA_STRING:
        *ret = json_val_plain(SPAN(""));
        return true;
    case SCHEMA_INT32:
    case SCHEMA_INT64:
        *ret = json_val_int(0);
        return true;
    case SCHEMA_BOOL:
        *ret = json_val_bool(false);
        return true;
    default:
        return false;
    }
}

/* ---- of an immutable tree that is being made ---- */

void flat_default_instead(const struct schema_field *f, yyjson_val *v)
{
    assert(f->default_json);
    bool null = yyjson_is_null(v), text = yyjson_is_str(v) && yyjson_get_len(v) == 0;
    bool number = yyjson_is_int(v) && yyjson_get_uint(v) == 0;
    if (f->flags & SCHEMA_POINTER ? null : null || text || number || yyjson_is_false(v)) {
        *v = default_value(f->default_json);
    }
}

uint64_t flat_defaults(struct flat *t, const struct schema_type *type, uint64_t seen)
{
    uint64_t members = 0;
    assert(t->a);
    assert(type->field_count <= SCHEMA_FIELDS_MAX);
    for (size_t k = 0; k < type->defaulted_n; k++) {
        const struct schema_field *f = &type->fields[type->defaulted[k]];
        yyjson_val v;
        if (seen >> type->defaulted[k] & 1 || !missing_value(f, &v)) {
            continue;
        }
        flat_put(t, flat_key(f));
        flat_put(t, v);
        members++;
        if (f->shape == SCHEMA_OBJECT) {
            size_t begin = t->n - 1;
            flat_close(t, begin, flat_defaults(t, f->type, 0), YYJSON_TYPE_OBJ);
        }
    }
    return members;
}

/* ---- of a tree that may be changed ---- */

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

static void default_instead(const struct schema_field *f, yyjson_mut_val *v)
{
    bool unset = f->flags & SCHEMA_POINTER ? yyjson_mut_is_null(v) : is_zero_mut(v);
    if (f->default_json && unset) {
        yyjson_val instead = default_value(f->default_json);
        v->tag = instead.tag; /* in its place */
        v->uni = instead.uni;
    }
}

static void default_missing(yyjson_mut_doc *doc, const struct schema_type *type,
                            yyjson_mut_val *obj, uint64_t seen)
{
    for (size_t k = 0; k < type->defaulted_n; k++) {
        const struct schema_field *f = &type->fields[type->defaulted[k]];
        yyjson_val v, key = flat_key(f);
        if (seen >> type->defaulted[k] & 1 || !missing_value(f, &v)) {
            continue;
        }
        yyjson_mut_val *member = unsafe_yyjson_mut_val(doc, 2);
        assert(member);
        member[0].tag = key.tag;
        member[0].uni = key.uni;
        member[1].tag = v.tag;
        member[1].uni = v.uni;
        yyjson_mut_obj_add(obj, member, member + 1);
        descend(doc, f, member + 1);
    }
}

/* Those of an object of a built-in type; `inside`: also of what the members hold that are there.
 * A status is looked into in any case. */
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
        default_instead(f, v);
        if (inside || span_eq(span_of(f->name, f->name_n), SPAN("status"))) {
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

bool schema_status_stands_alone(const struct schema_kind *kind, const yyjson_val *status)
{
    assert(kind);
    return yyjson_is_obj((yyjson_val *)status) &&
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
