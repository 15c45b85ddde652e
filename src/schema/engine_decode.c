/* schema/engine_decode.c: a client's JSON becomes our canonical tree.
 *
 * One walk over the value guided by the rows. Depth is bounded before (json_parse), so recursion is
 * safe. The first wrong type ends the walk; unknown and repeated members are collected and reported
 * at the end. */
#include <math.h>

#include "base/check.h"
#include "base/map.h"
#include "codec/base64.h"
#include "codec/quantity.h"
#include "codec/time.h"
#include "schema/custom_priv.h"
#include "schema/engine.h"

struct decoder {
    struct arena *a;
    yyjson_mut_doc *doc;
    struct span complaints[32]; /* about unknown and repeated members */
    size_t n;
    bool keep_complaints;
    bool defaults; /* objects get those of their rows */
    bool status;   /* the status, too */
    bool failed;
    struct err *err;
};

/* What is being decoded: the shape, and the struct and field it stands in, for error texts. */
struct slot {
    const struct schema_field *field;
    const struct schema_type *owner; /* NULL: the root */
    uint8_t shape;                   /* the field's, or its element's */
    const yyjson_val *known; /* what stands there already, as decoded once; NULL: nothing known */
};

static yyjson_mut_val *decode(struct decoder *d, const struct slot *slot, const yyjson_val *v,
                              const struct path *p);

/* ---- errors ---- */

/* Go's field path has no indexes and no map keys. */
static struct span go_path(struct arena *a, const struct path *p)
{
    if (!p) {
        return SPAN("");
    }
    struct span up = go_path(a, p->up);
    if (p->what != PATH_FIELD) {
        return up;
    }
    return up.n ? arena_printf(a, "%.*s.%.*s", SPAN_ARG(up), SPAN_ARG(p->name)) : p->name;
}

static const char *go_scalar(uint8_t shape)
{
    switch ((enum schema_shape)shape) {
    case SCHEMA_INT32:
        return "int32";
    case SCHEMA_INT64:
        return "int64";
    case SCHEMA_BOOL:
        return "bool";
    case SCHEMA_DOUBLE:
        return "float64";
    case SCHEMA_BYTES:
        return "[]uint8";
    case SCHEMA_INT_OR_STRING:
        return "intstr.IntOrString";
    case SCHEMA_QUANTITY:
        return "resource.Quantity";
    default:
        return "string";
    }
}

static struct span go_type(struct arena *a, const struct slot *s)
{
    const struct schema_field *f = s->field;
    if (s->shape == SCHEMA_OBJECT) {
        return arena_printf(a, "v1.%s", f->type->name);
    }
    if (s->shape != SCHEMA_LIST && s->shape != SCHEMA_MAP) {
        return span_cstr(go_scalar(s->shape));
    }
    const char *prefix = s->shape == SCHEMA_LIST ? "[]" : "map[string]";
    if (f->shape == SCHEMA_MAP && f->elem_shape == SCHEMA_LIST) {
        return s->shape == SCHEMA_LIST ? SPAN("[]string") : SPAN("map[string][]string");
    }
    if (f->elem_shape == SCHEMA_OBJECT) {
        return arena_printf(a, "%sv1.%s", prefix, f->type->name);
    }
    return arena_printf(a, "%s%s", prefix, go_scalar(f->elem_shape));
}

static const char *json_kind(const yyjson_val *v)
{
    yyjson_val *x = (yyjson_val *)v;
    return yyjson_is_str(x)    ? "string"
           : yyjson_is_num(x)  ? "number"
           : yyjson_is_bool(x) ? "bool"
           : yyjson_is_arr(x)  ? "array"
                               : "object";
}

static yyjson_mut_val *fail(struct decoder *d, const char *text)
{
    d->failed = true;
    (void)err_set(d->a, d->err, ERR_BAD_REQUEST, "%s", text);
    return NULL;
}

static yyjson_mut_val *wrong_type(struct decoder *d, const struct slot *s, const yyjson_val *v,
                                  const struct path *p)
{
    bool number_into_int =
        yyjson_is_num((yyjson_val *)v) && (s->shape == SCHEMA_INT32 || s->shape == SCHEMA_INT64);
    struct span number = number_into_int ? json_write(d->a, v) : SPAN("");
    struct span path = go_path(d->a, p), type = go_type(d->a, s);
    return fail(
        d, arena_printf(d->a,
                        "json: cannot unmarshal %s%s%.*s into Go struct field %s.%.*s of type %.*s",
                        json_kind(v), number.n ? " " : "", SPAN_ARG(number), s->owner->name,
                        SPAN_ARG(path), SPAN_ARG(type))
               .p);
}

static yyjson_mut_val *bad_value(struct decoder *d, const struct path *p, const char *what)
{
    struct span path = path_text(d->a, p);
    return fail(d, arena_printf(d->a, "%s (at %.*s)", what, SPAN_ARG(path)).p);
}

static void complain(struct decoder *d, const char *what, const struct path *p)
{
    if (!d->keep_complaints || d->n == sizeof d->complaints / sizeof *d->complaints) {
        return;
    }
    struct span path = path_text(d->a, p);
    d->complaints[d->n++] = arena_printf(d->a, "%s field \"%.*s\"", what, SPAN_ARG(path));
}

/* ---- values ---- */

static yyjson_mut_val *new_str(struct decoder *d, struct span s)
{
    return yyjson_mut_strncpy(d->doc, s.p ? s.p : "", s.n);
}

/* A string as it came; its bytes are the client's. */
static yyjson_mut_val *share(struct decoder *d, const yyjson_val *string)
{
    yyjson_mut_val *v = unsafe_yyjson_mut_val(d->doc, 1);
    assert(v);
    v->tag = string->tag;
    v->uni.str = string->uni.str;
    return v;
}

static yyjson_mut_val *decode_int(struct decoder *d, const struct slot *s, const yyjson_val *v,
                                  const struct path *p)
{
    yyjson_val *x = (yyjson_val *)v;
    if (!yyjson_is_int(x) || (yyjson_is_uint(x) && yyjson_get_uint(x) > INT64_MAX)) {
        return wrong_type(d, s, v, p);
    }
    int64_t n = yyjson_get_sint(x);
    if (s->shape != SCHEMA_INT64 && (n > INT32_MAX || n < INT32_MIN)) {
        return wrong_type(d, s, v, p);
    }
    return yyjson_mut_sint(d->doc, n);
}

static yyjson_mut_val *decode_quantity(struct decoder *d, const struct slot *s, const yyjson_val *v,
                                       const struct path *p)
{
    yyjson_val *x = (yyjson_val *)v;
    struct span text = yyjson_is_num(x) ? json_write(d->a, v) : span_trim(json_str(v));
    if (!yyjson_is_num(x) && !yyjson_is_str(x)) {
        return wrong_type(d, s, v, p);
    }
    struct quantity q;
    char buf[QUANTITY_TEXT_BYTES];
    const char *fault = quantity_parse(text, &q);
    if (fault) {
        return bad_value(d, p, fault);
    }
    struct span canonical = quantity_format(&q, buf);
    return yyjson_is_str(x) && span_eq(canonical, json_str(v)) ? share(d, v)
                                                               : new_str(d, canonical);
}

static yyjson_mut_val *decode_time(struct decoder *d, const struct slot *s, const yyjson_val *v,
                                   const struct path *p)
{
    if (!yyjson_is_str((yyjson_val *)v)) {
        return wrong_type(d, s, v, p);
    }
    struct span text = json_str(v);
    int64_t us;
    if (!time_parse_us(text, &us)) {
        const char *layout = s->shape == SCHEMA_MICROTIME ? "2006-01-02T15:04:05.000000Z07:00"
                                                          : "2006-01-02T15:04:05Z07:00";
        struct span quoted = shown_text(d->a, text);
        return bad_value(d, p,
                         arena_printf(d->a,
                                      "parsing time %.*s as \"%s\": cannot parse %.*s as a time",
                                      SPAN_ARG(quoted), layout, SPAN_ARG(quoted))
                             .p);
    }
    bool micro = s->shape == SCHEMA_MICROTIME;
    size_t canonical =
        micro ? sizeof "2006-01-02T15:04:05.000000Z" - 1 : sizeof "2006-01-02T15:04:05Z" - 1;
    if (text.n == canonical && text.p[text.n - 1] == 'Z') {
        return share(d, v); /* mostly: no other form has this length */
    }
    if (micro) {
        return new_str(d, time_format_micro(d->a, us));
    }
    return new_str(d, time_format(d->a, us >= 0 ? us / 1000 : (us - 999) / 1000));
}

/* Index of the first byte that standard base64 cannot have there, or the length. White space is not
 * allowed to stay: line ends are dropped into `clean` as Go does. */
static size_t base64_fault(struct span s, char *clean, size_t *ret_n)
{
    size_t n = 0, padding = 0, last = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\n' || c == '\r') {
            continue;
        }
        bool digit = base64_digit(c) >= 0;
        bool pad = c == '=' && n % 4 >= 2;
        if ((!digit && !pad) || (digit && padding)) {
            return i;
        }
        padding += pad;
        clean[n++] = c;
        last = i;
    }
    *ret_n = n;
    return n % 4 ? last + 1 < s.n ? last + 1 : s.n - 1 : s.n;
}

static yyjson_mut_val *decode_bytes(struct decoder *d, const struct slot *s, const yyjson_val *v,
                                    const struct path *p)
{
    if (!yyjson_is_str((yyjson_val *)v)) {
        return wrong_type(d, s, v, p);
    }
    struct span text = json_str(v);
    char *clean = arena_alloc_raw(d->a, text.n + 1);
    size_t n = 0;
    size_t at = base64_fault(text, clean, &n);
    if (at < text.n) {
        return bad_value(d, p, arena_printf(d->a, "illegal base64 data at input byte %zu", at).p);
    }
    return yyjson_mut_strn(d->doc, clean, n);
}

static yyjson_mut_val *decode_scalar(struct decoder *d, const struct slot *s, const yyjson_val *v,
                                     const struct path *p)
{
    yyjson_val *x = (yyjson_val *)v;
    switch ((enum schema_shape)s->shape) {
    case SCHEMA_INT32:
    case SCHEMA_INT64:
        return decode_int(d, s, v, p);
    case SCHEMA_INT_OR_STRING:
        return yyjson_is_str(x) ? share(d, v) : decode_int(d, s, v, p);
    case SCHEMA_BOOL:
        return yyjson_is_bool(x) ? yyjson_mut_bool(d->doc, yyjson_get_bool(x))
                                 : wrong_type(d, s, v, p);
    case SCHEMA_DOUBLE:
        return yyjson_is_num(x) ? json_mut_copy(d->doc, v) : wrong_type(d, s, v, p);
    case SCHEMA_BYTES:
        return decode_bytes(d, s, v, p);
    case SCHEMA_QUANTITY:
        return decode_quantity(d, s, v, p);
    case SCHEMA_TIME:
    case SCHEMA_MICROTIME:
        return decode_time(d, s, v, p);
    case SCHEMA_ANY:
        return json_mut_copy(d->doc, v);
    default: /* strings and durations */
        return yyjson_is_str(x) ? share(d, v) : wrong_type(d, s, v, p);
    }
}

/* ---- containers ---- */

/* Go makes a zero value of a null element. */
static yyjson_mut_val *zero_of(struct decoder *d, const struct slot *s)
{
    yyjson_mut_val *object;
    switch ((enum schema_shape)s->shape) {
    case SCHEMA_OBJECT:
        object = yyjson_mut_obj(d->doc);
        if (d->defaults) {
            default_rows(d->doc, s->field->type, object);
        }
        return object;
    case SCHEMA_MAP:
        return yyjson_mut_obj(d->doc);
    case SCHEMA_LIST:
        return yyjson_mut_arr(d->doc);
    case SCHEMA_INT32:
    case SCHEMA_INT64:
    case SCHEMA_DOUBLE:
    case SCHEMA_INT_OR_STRING:
        return yyjson_mut_sint(d->doc, 0);
    case SCHEMA_BOOL:
        return yyjson_mut_bool(d->doc, false);
    case SCHEMA_QUANTITY:
        return new_str(d, SPAN("0"));
    case SCHEMA_ANY:
    case SCHEMA_TIME:
    case SCHEMA_MICROTIME:
        return yyjson_mut_null(d->doc);
    default:
        return new_str(d, SPAN(""));
    }
}

static yyjson_mut_val *decode_list(struct decoder *d, const struct slot *s, const yyjson_val *v,
                                   const struct path *p)
{
    if (!yyjson_is_arr((yyjson_val *)v)) {
        return wrong_type(d, s, v, p);
    }
    bool in_map = s->field->shape == SCHEMA_MAP; /* a map's lists hold strings */
    struct slot element = {s->field, s->owner, in_map ? SCHEMA_STRING : s->field->elem_shape, NULL};
    yyjson_mut_val *list = yyjson_mut_arr(d->doc);
    struct json_iter known =
        json_iter_begin(yyjson_is_arr((yyjson_val *)s->known) ? s->known : NULL);
    size_t i = 0;
    JSON_EACH(it, v)
    {
        element.known = known.val;
        json_iter_next(&known);
        yyjson_mut_val *one = yyjson_is_null(it.val) ? zero_of(d, &element)
                                                     : decode(d, &element, it.val, AT_INDEX(p, i));
        if (d->failed) {
            return NULL;
        }
        yyjson_mut_arr_append(list, one);
        i++;
    }
    return list;
}

/* Overwrites a value in place, keeping its place among its siblings. */
static void overwrite(yyjson_mut_val *to, const yyjson_mut_val *from)
{
    to->tag = from->tag;
    to->uni = from->uni;
}

/* Up to so many members, looking through those that are there beats a table of them. */
enum { FEW_MEMBERS = 16 };

static yyjson_mut_val *decode_map(struct decoder *d, const struct slot *s, const yyjson_val *v,
                                  const struct path *p)
{
    if (!yyjson_is_obj((yyjson_val *)v)) {
        return wrong_type(d, s, v, p);
    }
    const struct slot element = {s->field, s->owner, s->field->elem_shape, NULL};
    yyjson_mut_val *object = yyjson_mut_obj(d->doc);
    bool few = json_len(v) <= FEW_MEMBERS;
    struct map seen = MAP_INIT;
    JSON_EACH(it, v)
    {
        struct span key = json_str(it.key);
        const struct path *here = AT_KEY(p, key);
        yyjson_mut_val *one =
            yyjson_is_null(it.val) ? zero_of(d, &element) : decode(d, &element, it.val, here);
        if (d->failed) {
            break;
        }
        yyjson_mut_val *before = few ? json_mut_get_span(object, key) : map_get(&seen, key);
        if (before) {
            complain(d, "duplicate", AT_SPAN(p, key)); /* "data.a", and not "data[a]" */
            overwrite(before, one);
            continue;
        }
        yyjson_mut_obj_add(object, share(d, it.key), one);
        if (!few) {
            (void)map_put(&seen, key, one);
        }
    }
    map_done(&seen);
    return d->failed ? NULL : object;
}

/* Go writes no empty value of a member with omitempty: "tty: false" is no tty. Those with a default
 * get it instead, now or later. */
static bool is_left_out(const struct schema_field *f, const yyjson_mut_val *v)
{
    if ((f->flags & (SCHEMA_OMITEMPTY | SCHEMA_POINTER)) != SCHEMA_OMITEMPTY || f->default_json) {
        return false;
    }
    yyjson_mut_val *x = (yyjson_mut_val *)v;
    switch ((enum schema_shape)f->shape) {
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
        return yyjson_mut_get_len(x) == 0;
    case SCHEMA_INT32:
    case SCHEMA_INT64:
    case SCHEMA_DOUBLE:
        return yyjson_mut_get_num(x) == 0;
    case SCHEMA_BOOL:
        return yyjson_mut_is_false(x);
    case SCHEMA_LIST:
    case SCHEMA_MAP:
        return yyjson_mut_get_len(x) == 0;
    default: /* what are structs in Go are always written */
        return false;
    }
}

/* A member of an object that a row describes; before: it came earlier as well. */
static void put_member(struct decoder *d, yyjson_mut_val *object, const struct schema_field *f,
                       bool before, yyjson_mut_val *one)
{
    if (d->defaults && f->default_json) {
        one = default_instead(d->doc, f, one);
    }
    if (is_left_out(f, one)) {
        if (before) {
            yyjson_mut_obj_remove_keyn(object, f->name, f->name_n);
        }
    } else if (before && json_mut_get_span(object, span_of(f->name, f->name_n))) {
        overwrite(json_mut_get_span(object, span_of(f->name, f->name_n)), one);
    } else {
        yyjson_mut_obj_add(object, field_key(d->doc, f), one);
    }
}

/* Metadata and status get their defaults when the server has had its say about them, which of a
 * write to /status it has. */
static bool is_for_later(const struct decoder *d, const struct schema_field *f)
{
    struct span name = span_of(f->name, f->name_n);
    return span_eq(name, SPAN("metadata")) || (!d->status && span_eq(name, SPAN("status")));
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

/* Members of an object. With `root`, members already put there (kind, apiVersion) are skipped. */
static yyjson_mut_val *decode_object(struct decoder *d, const struct schema_type *type,
                                     const yyjson_val *v, const yyjson_val *known,
                                     const struct path *p, bool root, yyjson_mut_val *object)
{
    assert(type->field_count <= SCHEMA_FIELDS_MAX);
    uint64_t seen = 0;
    known = yyjson_is_obj((yyjson_val *)known) ? known : NULL;
    struct json_iter next = json_iter_begin(known);
    const bool defaults = d->defaults;
    size_t row = 0;
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
        if (seen & bit) {
            complain(d, "duplicate", AT_SPAN(p, key));
        }
        if (yyjson_is_null(it.val) && (f->shape != SCHEMA_ANY)) {
            continue;
        }
        yyjson_mut_val *one;
        if (f->shape == SCHEMA_STRING && yyjson_is_str(it.val)) { /* most */
            one = share(d, it.val);
        } else {
            bool may_be_known = known && yyjson_is_ctn(it.val);
            const struct slot slot = {f, type, f->shape,
                                      may_be_known ? known_member(known, &next, key) : NULL};
            d->defaults = defaults && !(root && is_for_later(d, f));
            one = decode(d, &slot, it.val, AT_SPAN(p, key));
            if (d->failed) {
                return NULL;
            }
            d->defaults = defaults && !root;
        }
        if (!root || !(span_eq(key, SPAN("kind")) || span_eq(key, SPAN("apiVersion")))) {
            put_member(d, object, f, seen & bit, one);
        }
        seen |= bit;
    }
    if (d->defaults) {
        default_missing(d->doc, type, object, seen);
    }
    return object;
}

/* Does decoding leave what is known as it is, but for nulls, which only defaults put there? */
static bool is_settled(const struct decoder *d, const struct slot *slot, const struct path *p)
{
    struct decoder again = *d;
    const struct slot alone = {slot->field, slot->owner, slot->shape, NULL};
    yyjson_mut_val *v = decode(&again, &alone, slot->known, p);
    return v && again.n == d->n && semantic_equal(json_freeze(d->a, v), slot->known);
}

static yyjson_mut_val *decode(struct decoder *d, const struct slot *slot, const yyjson_val *v,
                              const struct path *p)
{
    if (slot->known && yyjson_is_ctn((yyjson_val *)v) && json_identical(v, slot->known)) {
        verify(is_settled(d, slot, p));
        return json_mut_copy(d->doc, v);
    }
    switch ((enum schema_shape)slot->shape) {
    case SCHEMA_OBJECT:
        if (!yyjson_is_obj((yyjson_val *)v)) {
            return wrong_type(d, slot, v, p);
        }
        return decode_object(d, slot->field->type, v, slot->known, p, false,
                             yyjson_mut_obj(d->doc));
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

static yyjson_mut_val *decode_whole(struct arena *a, const struct schema_kind *kind,
                                    const yyjson_val *in, const yyjson_val *known,
                                    yyjson_mut_doc *doc, enum schema_strictness strictness,
                                    enum schema_defaults_of defaults,
                                    struct schema_warnings *warnings, struct err *reterr)
{
    assert(a);
    assert(kind);
    assert(doc);
    if (kind->custom) {
        return custom_decode(a, kind, in, doc, strictness, warnings, reterr);
    }
    struct decoder d = {.a = a,
                        .doc = doc,
                        .err = reterr,
                        .keep_complaints = strictness != SCHEMA_IGNORE,
                        .defaults = defaults != SCHEMA_DEFAULTS_NONE,
                        .status = defaults == SCHEMA_DEFAULTS_STATUS};
    if (!yyjson_is_obj((yyjson_val *)in)) {
        (void)err_set(a, reterr, ERR_BAD_REQUEST,
                      "json: cannot unmarshal %s into Go value of type v1.%s",
                      in ? json_kind(in) : "nothing", kind->kind);
        return NULL;
    }
    if (!right_kind(&d, kind, in)) {
        return NULL;
    }
    yyjson_mut_val *obj = yyjson_mut_obj(doc);
    json_put_str(doc, obj, "kind", span_cstr(kind->kind));
    json_put_str(doc, obj, "apiVersion", span_cstr(kind->api_version));
    if (!decode_object(&d, kind->type, in, known, NULL, true, obj) ||
        decode_report(a, d.complaints, d.n, strictness, warnings, reterr) < 0) {
        return NULL;
    }
    yyjson_mut_val *meta = yyjson_mut_obj_remove_key(obj, "metadata");
    if (!meta && schema_field_find(kind->type, SPAN("metadata"))) {
        meta = yyjson_mut_obj(doc);
    }
    if (meta) {
        yyjson_mut_obj_insert(obj, yyjson_mut_str(doc, "metadata"), meta, 2);
    }
    return obj;
}

yyjson_mut_val *schema_decode(struct arena *a, const struct schema_kind *kind, const yyjson_val *in,
                              yyjson_mut_doc *doc, enum schema_strictness strictness,
                              struct schema_warnings *warnings, struct err *reterr)
{
    assert(kind);
    assert(doc);
    return decode_whole(a, kind, in, NULL, doc, strictness, SCHEMA_DEFAULTS_NONE, warnings, reterr);
}

yyjson_mut_val *schema_decode_defaults(struct arena *a, const struct schema_kind *kind,
                                       const yyjson_val *in, const yyjson_val *known,
                                       yyjson_mut_doc *doc, enum schema_strictness strictness,
                                       enum schema_defaults_of of, struct schema_warnings *warnings,
                                       struct err *reterr)
{
    assert(kind);
    assert(doc);
    return decode_whole(a, kind, in, known, doc, strictness, of, warnings, reterr);
}
