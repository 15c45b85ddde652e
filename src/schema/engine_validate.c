/* schema/engine_validate.c: rules that rows say, in one walk, then the hooks of the kind. */
#include "base/check.h"
#include "base/map.h"
#include "schema/custom_priv.h"
#include "schema/engine.h"
#include "schema/schema_row.h"

/* Is it what Go's zero value would be: absent, null, "", 0, false, [] or {}? */
static bool is_zero(const yyjson_val *v)
{
    yyjson_val *x = (yyjson_val *)v;
    return !x || yyjson_is_null(x) || (yyjson_is_str(x) && yyjson_get_len(x) == 0) ||
           (yyjson_is_int(x) && yyjson_get_sint(x) == 0) || yyjson_is_false(x) ||
           (yyjson_is_ctn(x) && yyjson_get_len(x) == 0);
}

/* Nothing at all inside: absent, null, "", or containers of such. Numbers and booleans say
 * something. */
static bool is_nothing(const yyjson_val *v)
{
    yyjson_val *x = (yyjson_val *)v;
    if (!x || yyjson_is_null(x) || (yyjson_is_str(x) && yyjson_get_len(x) == 0)) {
        return true;
    }
    if (yyjson_is_arr(x)) {
        return yyjson_get_len(x) == 0;
    }
    if (!yyjson_is_obj(x)) {
        return false;
    }
    JSON_EACH(it, v)
    {
        if (!is_nothing(it.val)) {
            return false;
        }
    }
    return true;
}

/* Up to so many members, looking through them beats a table of them. */
enum { FEW_MEMBERS = 24 };

static bool few_members_equal(const yyjson_val *a, const yyjson_val *b)
{
    JSON_EACH(it, a)
    {
        if (!semantic_equal(it.val, json_get_span(b, json_str(it.key)))) {
            return false;
        }
    }
    JSON_EACH(it, b)
    {
        if (!is_nothing(it.val) && !json_get_span(a, json_str(it.key))) {
            return false;
        }
    }
    return true;
}

/* Are all members of a the same in b, and what a lacks nothing? Large maps are looked up by hash.
 */
static bool members_equal(const yyjson_val *a, const yyjson_val *b)
{
    if (json_len(a) <= FEW_MEMBERS && json_len(b) <= FEW_MEMBERS) {
        return few_members_equal(a, b);
    }
    struct map in_b = MAP_INIT;
    JSON_EACH(it, b)
    {
        (void)map_put(&in_b, json_str(it.key), it.val);
    }
    bool equal = true;
    JSON_EACH(it, a)
    {
        equal = equal && semantic_equal(it.val, map_remove(&in_b, json_str(it.key)));
    }
    size_t at = 0;
    const yyjson_val *extra;
    while (equal && (extra = map_next(&in_b, &at, NULL))) {
        equal = is_nothing(extra);
    }
    map_done(&in_b);
    return equal;
}

bool semantic_equal(const yyjson_val *a, const yyjson_val *b)
{
    yyjson_val *x = (yyjson_val *)a, *y = (yyjson_val *)b;
    if (json_same(a, b)) {
        return true;
    }
    if (yyjson_is_obj(x) && yyjson_is_obj(y)) {
        return members_equal(a, b);
    }
    if (yyjson_is_arr(x) && yyjson_is_arr(y)) {
        if (yyjson_get_len(x) != yyjson_get_len(y)) {
            return false;
        }
        struct json_iter other = json_iter_begin(b);
        JSON_EACH(it, a)
        {
            if (!semantic_equal(it.val, other.val)) {
                return false;
            }
            json_iter_next(&other);
        }
        return true;
    }
    if (is_nothing(a) || is_nothing(b)) {
        return is_nothing(a) && is_nothing(b);
    }
    return json_equal(a, b);
}

static bool listed(struct span value, const char *values)
{
    struct span rest = span_cstr(values);
    while (rest.n) {
        if (span_eq(value, span_cut(&rest, '|'))) {
            return true;
        }
    }
    return false;
}

static void check_listed(struct check *c, const struct path *p, const struct schema_field *f,
                         const yyjson_val *v)
{
    if (f->shape == SCHEMA_STRING) {
        struct span s = json_str(v);
        if (s.n && !listed(s, f->values)) {
            cause_not_supported(c, p, shown(c->a, v), f->values);
        }
        return;
    }
    JSON_EACH(it, v)
    {
        if (!listed(json_str(it.val), f->values)) {
            cause_not_supported(c, p, shown(c->a, it.val), f->values);
        }
    }
}

static void check_bounds(struct check *c, const struct path *p, const struct schema_field *f,
                         const yyjson_val *v)
{
    int64_t n = json_int(v, 0);
    if (n >= f->min && n <= f->max) {
        return;
    }
    struct span detail =
        f->max == INT64_MAX
            ? arena_printf(c->a, "must be greater than or equal to %lld", (long long)f->min)
            : arena_printf(c->a, "must be between %lld and %lld, inclusive", (long long)f->min,
                           (long long)f->max);
    cause_invalid(c, p, shown(c->a, v), detail.p);
}

static void check_rows(struct check *c, const struct path *p, const struct schema_type *type,
                       const yyjson_val *obj, const yyjson_val *old);

static void check_inside(struct check *c, const struct path *p, const struct schema_field *f,
                         const yyjson_val *v, const yyjson_val *old)
{
    bool of_objects =
        (f->shape == SCHEMA_LIST || f->shape == SCHEMA_MAP) && f->elem_shape == SCHEMA_OBJECT;
    if (f->shape != SCHEMA_OBJECT && !of_objects) {
        return;
    }
    if (old && json_same(v, old)) { /* what was stored has passed */
        return;
    }
    if (f->shape == SCHEMA_OBJECT) {
        check_rows(c, p, f->type, v, old);
    } else if (json_len(v) > LIST_MAX) {
        cause_too_many(c, p, json_len(v), LIST_MAX);
        c->too_many = true;
    } else if (f->shape == SCHEMA_LIST) {
        size_t i = 0;
        JSON_EACH(it, v)
        {
            check_rows(c, AT_INDEX(p, i), f->type, it.val, NULL);
            i++;
        }
    } else {
        JSON_EACH(it, v)
        {
            check_rows(c, AT_KEY(p, json_str(it.key)), f->type, it.val, NULL);
        }
    }
}

static bool is_demanded(const struct check *c, const struct schema_type *type)
{
    return !c->is_status || strcmp(type->group, "meta") == 0 ||
           strcmp(type->group, "certificates.k8s.io") == 0 ||
           strcmp(type->group, "flowcontrol.apiserver.k8s.io") == 0;
}

/* A member of an object; old: what that is in store. */
static void check_field(struct check *c, const struct path *p, const struct schema_field *f,
                        const yyjson_val *v, const yyjson_val *old)
{
    if (old && c->old && (f->flags & SCHEMA_IMMUTABLE) &&
        !semantic_equal(v, json_get_span(old, p->name))) {
        cause_invalid(c, p, shown(c->a, v), "field is immutable");
    }
    if (is_zero(v)) {
        bool unset = (f->flags & SCHEMA_POINTER) ? !v : true;
        if ((f->flags & SCHEMA_REQUIRED) && unset) {
            cause_required(c, p, NULL);
            return;
        }
        if (!v || (f->format && f->shape == SCHEMA_STRING)) {
            return;
        }
    }
    if (f->min != INT64_MIN || f->max != INT64_MAX) {
        check_bounds(c, p, f, v);
    }
    if (f->flags & SCHEMA_ENUM_CLOSED) {
        check_listed(c, p, f, v);
    }
    if (f->format) {
        format_check(c, p, f->format, v);
    }
    if (f->type) {
        check_inside(c, p, f, v, old ? json_get_span(old, p->name) : NULL);
    }
}

/* The members that have rules by the rows of their type; of equal names the first. */
static void collect(const struct schema_type *type, const yyjson_val *obj,
                    const yyjson_val *at[SCHEMA_FIELDS_MAX])
{
    if (type->checked_n < json_len(obj)) { /* fewer than there are members */
        for (size_t i = 0; i < type->checked_n; i++) {
            const struct schema_field *f = &type->fields[type->checked[i]];
            at[type->checked[i]] = json_get_span(obj, span_of(f->name, f->name_n));
        }
        return;
    }
    size_t row = 0;
    memset(at, 0, type->field_count * sizeof *at);
    JSON_EACH(it, obj)
    {
        const struct schema_field *f = schema_field_next(type, json_str(it.key), &row);
        if (it.key && f && !at[f - type->fields]) {
            at[f - type->fields] = it.val;
        }
    }
}

/* Rows of a type over an object: required, bounds, enumerations, formats, and immutability when old
 * is given. */
static void check_rows(struct check *c, const struct path *p, const struct schema_type *type,
                       const yyjson_val *obj, const yyjson_val *old)
{
    assert(c);
    assert(type);
    assert(type->field_count <= SCHEMA_FIELDS_MAX);
    if (type->checked_n == 0) {
        return;
    }
    const yyjson_val *at[SCHEMA_FIELDS_MAX];
    collect(type, obj, at);
    bool demanded = is_demanded(c, type);
    /* Metadata has rules of its own, and a status is checked when it is written: not in the list.
     */
    for (size_t i = 0; i < type->checked_n; i++) {
        const struct schema_field *f = &type->fields[type->checked[i]];
        const yyjson_val *v = at[type->checked[i]];
        if (is_zero(v) && !demanded) {
            continue;
        }
        struct span name = span_of(f->name, f->name_n);
        check_field(c, AT_SPAN(p, name), f, v, old);
    }
}

static int finish(struct arena *a, const struct schema_kind *kind, const yyjson_val *obj,
                  const struct err *found, struct err *reterr)
{
    if (!found->causes) {
        return 0;
    }
    struct err e = *found;
    (void)schema_invalid_finish(a, kind, json_get_str(json_get(obj, "metadata"), "name"), &e);
    if (reterr) {
        *reterr = e;
    }
    return -1;
}

/* c: who wrote it, and what it takes the place of. */
static int validate(struct check c, const struct schema_kind *kind, const yyjson_val *obj,
                    struct err *reterr)
{
    assert(c.a);
    assert(kind);
    assert(obj);
    assert(!c.old || !c.stored);
    struct err found = {0};
    const yyjson_val *was = c.old ? c.old : c.stored;
    c.err = &found;
    check_metadata(&c, kind, json_get(obj, "metadata"), json_get(was, "metadata"));
    if (kind->custom) {
        custom_check(&c, kind, obj);
        return finish(c.a, kind, obj, &found, reterr);
    }
    check_rows(&c, NULL, kind->type, obj, was);
    if (kind->hooks->validate && !c.too_many) {
        kind->hooks->validate(&c, obj);
    }
    return finish(c.a, kind, obj, &found, reterr);
}

int schema_validate(struct arena *a, const struct schema_kind *kind, const yyjson_val *obj,
                    const yyjson_val *old, struct err *reterr)
{
    return validate((struct check){.a = a, .old = old}, kind, obj, reterr);
}

int schema_validate_own(struct arena *a, const struct schema_kind *kind, const yyjson_val *obj,
                        const yyjson_val *old, struct err *reterr)
{
    return validate((struct check){.a = a, .old = old, .own = true}, kind, obj, reterr);
}

int schema_validate_server(struct arena *a, const struct schema_kind *kind, const yyjson_val *obj,
                           const yyjson_val *stored, struct err *reterr)
{
    assert(stored);
    return validate((struct check){.a = a, .stored = stored, .own = true}, kind, obj, reterr);
}

int schema_validate_metadata(struct arena *a, const struct schema_kind *kind, const yyjson_val *obj,
                             const yyjson_val *old, struct err *reterr)
{
    assert(a);
    assert(kind);
    assert(obj);
    assert(old);
    if (kind->custom || kind->hooks->validates_metadata) {
        return schema_validate(a, kind, obj, old, reterr);
    }
    struct err found = {0};
    struct check c = {.a = a, .err = &found, .old = old};
    check_metadata(&c, kind, json_get(obj, "metadata"), json_get(old, "metadata"));
    return finish(a, kind, obj, &found, reterr);
}

int schema_validate_sub(struct arena *a, const struct schema_kind *kind, const char *sub,
                        const yyjson_val *obj, const yyjson_val *old, struct err *reterr)
{
    assert(a);
    assert(kind);
    assert(obj);
    assert(old);
    assert(kind->hooks->validate_sub);
    struct err found = {0};
    struct check c = {.a = a, .err = &found, .old = old};
    check_metadata(&c, kind, json_get(obj, "metadata"), json_get(old, "metadata"));
    check_rows(&c, NULL, kind->type, obj, NULL);
    if (!c.too_many) {
        kind->hooks->validate_sub(&c, sub, obj);
    }
    return finish(a, kind, obj, &found, reterr);
}

int schema_validate_status(struct arena *a, const struct schema_kind *kind, const yyjson_val *obj,
                           const yyjson_val *old, struct err *reterr)
{
    assert(a);
    assert(kind);
    assert(obj);
    struct err found = {0};
    struct check c = {.a = a, .err = &found, .old = old};
    if (kind->custom) {
        custom_check(&c, kind, obj);
        return finish(a, kind, obj, &found, reterr);
    }
    const struct schema_field *status = schema_field_find(kind->type, SPAN("status"));
    c.is_status = true;
    if (status && status->type) {
        check_rows(&c, AT_FIELD(NULL, "status"), status->type, json_get(obj, "status"), NULL);
    }
    if (kind->hooks->validate_status && !c.too_many) {
        kind->hooks->validate_status(&c, obj);
    }
    return finish(a, kind, obj, &found, reterr);
}
