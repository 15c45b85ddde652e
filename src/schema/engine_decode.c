/* schema/engine_decode.c: a client's JSON becomes our canonical tree.
 *
 * One walk over the value guided by the rows, which puts one value behind the other. Depth is
 * bounded before (json_parse), so recursion is safe. The first wrong type ends the walk; unknown
 * and repeated members are collected and reported at the end. */
#include "schema/engine_decode.h"

#include "base/check.h"
#include "base/map.h"
#include "schema/custom_priv.h"
#include "schema/schema_row.h"

/* Puts one value. False: d->err says why. */
static bool decode(struct decoder *d, const struct slot *slot, const yyjson_val *v,
                   const struct path *p);

static void complain(struct decoder *d, const char *what, const struct path *p)
{
    if (!d->keep_complaints || d->n == sizeof d->complaints / sizeof *d->complaints) {
        return;
    }
    struct span path = path_text(d->a, p);
    d->complaints[d->n++] = arena_printf(d->a, "%s field \"%.*s\"", what, SPAN_ARG(path));
}

/* ---- containers ---- */

static bool put_none(struct decoder *d, uint8_t type)
{
    flat_put(&d->out, json_val_none(type));
    return true;
}

/* Go makes a zero value of a null element. */
static bool put_zero(struct decoder *d, const struct slot *s)
{
    size_t begin = d->out.n;
    switch ((enum schema_shape)s->shape) {
    case SCHEMA_OBJECT:
        (void)put_none(d, YYJSON_TYPE_OBJ);
        if (d->defaults) {
            flat_close(&d->out, begin, flat_defaults(&d->out, s->field->type, 0), YYJSON_TYPE_OBJ);
        }
        return true;
    case SCHEMA_MAP:
        return put_none(d, YYJSON_TYPE_OBJ);
    case SCHEMA_LIST:
        return put_none(d, YYJSON_TYPE_ARR);
    case SCHEMA_INT32:
    case SCHEMA_INT64:
    case SCHEMA_DOUBLE:
    case SCHEMA_INT_OR_STRING:
        return put_number(d, 0);
    case SCHEMA_BOOL:
        flat_put(&d->out, json_val_bool(false));
        return true;
    case SCHEMA_QUANTITY:
        return put_text(d, SPAN("0"));
    case SCHEMA_ANY:
    case SCHEMA_TIME:
    case SCHEMA_MICROTIME:
        flat_put(&d->out, (yyjson_val){.tag = YYJSON_TYPE_NULL});
        return true;
    default:
        return put_text(d, SPAN(""));
    }
}

static inline bool decode_element(struct decoder *d, const struct slot *s, const yyjson_val *v,
                                  const struct path *p)
{
    return yyjson_is_null((yyjson_val *)v) ? put_zero(d, s) : decode(d, s, v, p);
}

static bool decode_list(struct decoder *d, const struct slot *s, const yyjson_val *v,
                        const struct path *p)
{
    if (!yyjson_is_arr((yyjson_val *)v)) {
        return decode_wrong_type(d, s, v, p);
    }
    bool in_map = s->field->shape == SCHEMA_MAP; /* a map's lists hold strings */
    struct slot element = {s->field, s->owner, in_map ? SCHEMA_STRING : s->field->elem_shape, NULL};
    struct json_iter known =
        json_iter_begin(yyjson_is_arr((yyjson_val *)s->known) ? s->known : NULL);
    size_t begin = d->out.n, i = 0;
    (void)flat_next(&d->out, 1);
    JSON_EACH(it, v)
    {
        element.known = known.val;
        json_iter_next(&known);
        if (!decode_element(d, &element, it.val, AT_INDEX(p, i))) {
            return false;
        }
        i++;
    }
    flat_close(&d->out, begin, i, YYJSON_TYPE_ARR);
    return true;
}

/* Up to so many members, looking through those before each beats a table of them. */
enum { FEW_MEMBERS = 16 };

static bool came_before(const yyjson_val *object, const struct json_iter *member)
{
    struct span key = json_str(member->key);
    JSON_EACH(it, object)
    {
        if (it.key == member->key) {
            break;
        }
        if (span_eq(json_str(it.key), key)) {
            return true;
        }
    }
    return false;
}

static bool decode_map(struct decoder *d, const struct slot *s, const yyjson_val *v,
                       const struct path *p)
{
    if (!yyjson_is_obj((yyjson_val *)v)) {
        return decode_wrong_type(d, s, v, p);
    }
    const struct slot element = {s->field, s->owner, s->field->elem_shape, NULL};
    bool few = json_len(v) <= FEW_MEMBERS, ok = true, repeated = false;
    struct map seen = MAP_INIT;
    size_t begin = d->out.n, members = 0;
    (void)flat_next(&d->out, 1);
    JSON_EACH(it, v)
    {
        struct span key = json_str(it.key);
        flat_put(&d->out, *it.key);
        ok = decode_element(d, &element, it.val, AT_KEY(p, key));
        if (!ok) {
            break;
        }
        members++;
        if (few ? came_before(v, &it) : map_get(&seen, key) != NULL) {
            complain(d, "duplicate", AT_SPAN(p, key)); /* "data.a", and not "data[a]" */
            repeated = true;
        } else if (!few) {
            (void)map_put(&seen, key, it.key);
        }
    }
    map_done(&seen);
    members = repeated && ok ? flat_settle(&d->out, begin + 1) : members;
    flat_close(&d->out, begin, members, YYJSON_TYPE_OBJ);
    return ok;
}

/* Go writes no empty value of a member with omitempty: "tty: false" is no tty. Those with a default
 * get it instead, now or later. */
static bool is_left_out(const struct schema_field *f, const yyjson_val *v)
{
    if ((f->flags & (SCHEMA_OMITEMPTY | SCHEMA_POINTER)) != SCHEMA_OMITEMPTY || f->default_json) {
        return false;
    }
    yyjson_val *x = (yyjson_val *)v;
    switch ((enum schema_shape)f->shape) {
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
        return yyjson_get_len(x) == 0;
    case SCHEMA_INT32:
    case SCHEMA_INT64:
    case SCHEMA_DOUBLE:
        return yyjson_get_num(x) == 0;
    case SCHEMA_BOOL:
        return yyjson_is_false(x);
    case SCHEMA_LIST:
    case SCHEMA_MAP:
        return yyjson_get_len(x) == 0;
    default: /* what are structs in Go are always written */
        return false;
    }
}

/* What becomes of the last member of an object that a row describes; its key stands at `last`.
 * before: it came earlier as well. */
static inline bool keep_member(struct decoder *d, const struct schema_field *f, size_t last,
                               bool before)
{
    yyjson_val *one = d->out.at + last + 1;
    if (d->defaults && f->default_json) {
        flat_default_instead(f, one);
    }
    if (!is_left_out(f, one)) {
        return true;
    }
    d->out.n = before ? last + 2 : last;
    one->tag = before ? YYJSON_TYPE_NONE : one->tag; /* nor does the earlier one stay */
    return before;
}

/* A status gets its defaults when the server has had its say about it, which of a write to /status
 * it has. */
static bool is_for_later(const struct decoder *d, const struct schema_field *f)
{
    return !d->status && span_eq(span_of(f->name, f->name_n), SPAN("status"));
}

/* The known member of this name. Both sides mostly have the same ones in the same order. */
static const yyjson_val *known_member(const yyjson_val *known, struct json_iter *next,
                                      struct span key)
{
    struct json_iter it = *next;
    while (it.key && !span_eq(json_str(it.key), key)) {
        json_iter_next(&it);
    }
    if (!it.key) {
        return json_get_span(known, key); /* before it, or not there */
    }
    *next = it;
    json_iter_next(next);
    return it.val;
}

/* A member's value behind its key. */
static bool decode_member(struct decoder *d, const struct slot *slot, const yyjson_val *v,
                          const struct path *p, bool defaults)
{
    const bool mine = d->defaults;
    d->defaults = defaults;
    bool ok = decode(d, slot, v, p);
    d->defaults = mine;
    return ok;
}

/* Most members: a text that is there once. */
static inline bool is_plain_text(const struct schema_field *f, const yyjson_val *v)
{
    return f->shape == SCHEMA_STRING && (v->tag & YYJSON_TYPE_MASK) == YYJSON_TYPE_STR &&
           v->tag >> YYJSON_TAG_BIT > 0;
}

static void put_plain_text(struct decoder *d, const struct schema_field *f, const yyjson_val *v)
{
    yyjson_val *member = flat_next(&d->out, 2);
    member[0] = flat_key(f);
    member[1] = *v;
}

static inline bool is_head(struct span key)
{
    return span_eq(key, SPAN("kind")) || span_eq(key, SPAN("apiVersion"));
}

/* Puts the members of an object. With `root`, members already there (kind, apiVersion) are skipped,
 * and there are no defaults among them. Returns how many; -1: d->err says why. */
static int64_t decode_members(struct decoder *d, const struct schema_type *type,
                              const yyjson_val *v, const yyjson_val *known, const struct path *p,
                              bool root)
{
    assert(type->field_count <= SCHEMA_FIELDS_MAX);
    const bool defaults = d->defaults;
    uint64_t seen = 0, repeated = 0;
    int64_t members = 0;
    known = yyjson_is_obj((yyjson_val *)known) ? known : NULL;
    struct json_iter next = json_iter_begin(known);
    size_t row = 0, first = d->out.n;
    d->defaults = defaults && !root;
    JSON_EACH(it, v)
    {
        struct span key = json_str(it.key);
        const struct schema_field *f = schema_field_next(type, key, &row);
        if (!f) {
            complain(d, "unknown", AT_SPAN(p, key));
            continue;
        }
        uint64_t bit = (uint64_t)1 << (f - type->fields);
        if (is_plain_text(f, it.val) && !(seen & bit)) {
            if (!root || !is_head(key)) {
                put_plain_text(d, f, it.val);
                members++;
            }
            seen |= bit;
            continue;
        }
        if (seen & bit) {
            complain(d, "duplicate", AT_SPAN(p, key));
        }
        if (yyjson_is_null(it.val) && (f->shape != SCHEMA_ANY)) {
            continue;
        }
        bool may_be_known = known && yyjson_is_ctn(it.val);
        const struct slot slot = {f, type, f->shape,
                                  may_be_known ? known_member(known, &next, key) : NULL};
        size_t last = d->out.n;
        flat_put(&d->out, flat_key(f));
        bool inside = defaults && !(root && is_for_later(d, f));
        if (!decode_member(d, &slot, it.val, AT_SPAN(p, key), inside)) {
            return -1;
        }
        if (root && is_head(key)) {
            d->out.n = last;
        } else {
            members += keep_member(d, f, last, seen & bit);
            repeated |= seen & bit;
        }
        seen |= bit;
    }
    members = repeated ? (int64_t)flat_settle(&d->out, first) : members;
    return d->defaults ? members + (int64_t)flat_defaults(&d->out, type, seen) : members;
}

static bool decode_object(struct decoder *d, const struct slot *slot, const yyjson_val *v,
                          const struct path *p)
{
    if (!yyjson_is_obj((yyjson_val *)v)) {
        return decode_wrong_type(d, slot, v, p);
    }
    size_t begin = d->out.n;
    (void)flat_next(&d->out, 1);
    int64_t members = decode_members(d, slot->field->type, v, slot->known, p, false);
    if (members < 0) {
        return false;
    }
    flat_close(&d->out, begin, (uint64_t)members, YYJSON_TYPE_OBJ);
    return true;
}

/* Does decoding leave what is known as it is, but for nulls, which only defaults put there? */
static bool is_settled(const struct decoder *d, const struct slot *slot, const struct path *p)
{
    struct decoder again = *d;
    const struct slot alone = {slot->field, slot->owner, slot->shape, NULL};
    again.out = (struct flat){.a = d->a};
    return decode(&again, &alone, slot->known, p) && again.n == d->n &&
           semantic_equal(again.out.at, slot->known);
}

static bool decode(struct decoder *d, const struct slot *slot, const yyjson_val *v,
                   const struct path *p)
{
    if (slot->known && yyjson_is_ctn((yyjson_val *)v) && json_identical(v, slot->known)) {
        verify(is_settled(d, slot, p));
        return put_whole(d, v);
    }
    switch ((enum schema_shape)slot->shape) {
    case SCHEMA_OBJECT:
        return decode_object(d, slot, v, p);
    case SCHEMA_LIST:
        return decode_list(d, slot, v, p);
    case SCHEMA_MAP:
        return decode_map(d, slot, v, p);
    default:
        return decode_scalar(d, slot, v, p);
    }
}

/* ---- the whole object ---- */

/* A served kind's body must be of that kind; bodies such as DeleteOptions come under several names.
 */
static bool right_kind(struct decoder *d, const struct schema_kind *kind, const yyjson_val *in)
{
    struct span k = json_get_str(in, "kind"), version = json_get_str(in, "apiVersion");
    if (((k.n == 0 || span_eq_cstr(k, kind->kind)) &&
         (version.n == 0 || span_eq_cstr(version, kind->api_version))) ||
        schema_resource_by_name(span_cstr(kind->resource)) != kind) {
        return true;
    }
    size_t slash = span_find(version, '/');
    struct span v = slash < version.n ? span_from(version, slash + 1) : version;
    (void)err_set(d->a, d->err, ERR_BAD_REQUEST,
                  "%.*s in version \"%.*s\" cannot be handled as a %s", SPAN_ARG(k), SPAN_ARG(v),
                  kind->kind);
    return false;
}

int decode_report(struct arena *a, const struct span *complaints, size_t n,
                  enum schema_strictness strictness, struct schema_warnings *warnings,
                  struct err *reterr)
{
    assert(complaints || n == 0);
    if (strictness == SCHEMA_WARN && warnings) {
        for (size_t i = 0; i < n && warnings->n < sizeof warnings->text / sizeof *warnings->text;
             i++) {
            warnings->text[warnings->n++] = complaints[i];
        }
    }
    if (strictness != SCHEMA_STRICT || n == 0) {
        return 0;
    }
    struct span all = complaints[0];
    for (size_t i = 1; i < n; i++) {
        all = arena_printf(a, "%.*s, %.*s", SPAN_ARG(all), SPAN_ARG(complaints[i]));
    }
    return err_set(a, reterr, ERR_BAD_REQUEST, "strict decoding error: %.*s", SPAN_ARG(all));
}

/* metadata comes behind kind and apiVersion, also where there is none. Returns how many members
 * there are more. */
static uint64_t put_metadata(struct flat *t, const struct schema_kind *kind)
{
    static const size_t place = 5; /* the object, kind and apiVersion */
    size_t at = place;
    if (at < t->n && span_eq(json_str(t->at + at), SPAN("metadata"))) {
        return 0;
    }
    const struct schema_field *f = schema_field_find(kind->type, SPAN("metadata"));
    if (!f) {
        return 0;
    }
    while (at < t->n && !span_eq(json_str(t->at + at), SPAN("metadata"))) {
        at += 1 + json_values(t->at + at + 1);
    }
    bool is_new = at == t->n;
    if (is_new) {
        flat_put(t, flat_key(f));
        flat_put(t, json_val_none(YYJSON_TYPE_OBJ));
    }
    flat_move(t, place, at, 1 + json_values(t->at + at + 1));
    return is_new;
}

/* Both are words of the tables. */
static inline void put_head(struct flat *t, const char *key, const char *text)
{
    yyjson_val *to = flat_next(t, 2);
    to[0] = json_val_plain(span_cstr(key));
    to[1] = json_val_plain(span_cstr(text));
}

enum { MORE_VALUES = 64 }; /* than come in: metadata, defaults */

const yyjson_val *schema_decode_tree(struct arena *a, const struct schema_kind *kind,
                                     const yyjson_val *in, const yyjson_val *known,
                                     enum schema_strictness strictness,
                                     enum schema_defaults_of defaults,
                                     struct schema_warnings *warnings, struct err *reterr)
{
    assert(a);
    assert(!kind->custom);
    struct decoder d;
    d.a = a;
    d.out = (struct flat){.a = a};
    d.n = 0;
    d.keep_complaints = strictness != SCHEMA_IGNORE;
    d.defaults = defaults != SCHEMA_DEFAULTS_NONE;
    d.status = defaults == SCHEMA_DEFAULTS_STATUS;
    d.err = reterr;
    if (!yyjson_is_obj((yyjson_val *)in)) {
        (void)err_set(a, reterr, ERR_BAD_REQUEST,
                      "json: cannot unmarshal %s into Go value of type v1.%s",
                      in ? json_type_name(in) : "nothing", kind->kind);
        return NULL;
    }
    if (!right_kind(&d, kind, in)) {
        return NULL;
    }
    flat_grow(&d.out, json_values(in) + MORE_VALUES);
    (void)flat_next(&d.out, 1);
    put_head(&d.out, "kind", kind->kind);
    put_head(&d.out, "apiVersion", kind->api_version);
    int64_t members = decode_members(&d, kind->type, in, known, NULL, true);
    if (members < 0 || decode_report(a, d.complaints, d.n, strictness, warnings, reterr) < 0) {
        return NULL;
    }
    members += 2 + (int64_t)put_metadata(&d.out, kind);
    flat_close(&d.out, 0, (uint64_t)members, YYJSON_TYPE_OBJ);
    return d.out.at;
}

yyjson_mut_val *schema_decode_defaults(struct arena *a, const struct schema_kind *kind,
                                       const yyjson_val *in, const yyjson_val *known,
                                       yyjson_mut_doc *doc, enum schema_strictness strictness,
                                       enum schema_defaults_of of, struct schema_warnings *warnings,
                                       struct err *reterr)
{
    assert(kind);
    assert(doc);
    if (kind->custom) {
        return custom_decode(a, kind, in, doc, strictness, warnings, reterr);
    }
    return json_mut_copy(doc,
                         schema_decode_tree(a, kind, in, known, strictness, of, warnings, reterr));
}

yyjson_mut_val *schema_decode(struct arena *a, const struct schema_kind *kind, const yyjson_val *in,
                              yyjson_mut_doc *doc, enum schema_strictness strictness,
                              struct schema_warnings *warnings, struct err *reterr)
{
    return schema_decode_defaults(a, kind, in, NULL, doc, strictness, SCHEMA_DEFAULTS_NONE,
                                  warnings, reterr);
}
