/* schema/engine_scalar.c: decoding of values that have no members, and what is said of wrong ones.
 */
#include "base/check.h"
#include "codec/base64.h"
#include "codec/quantity.h"
#include "codec/time.h"
#include "schema/engine_decode.h"

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

static bool fail(struct decoder *d, const char *text)
{
    (void)err_set(d->a, d->err, ERR_BAD_REQUEST, "%s", text);
    return false;
}

seldom bool decode_wrong_type(struct decoder *d, const struct slot *s, const yyjson_val *v,
                              const struct path *p)
{
    bool number_into_int =
        yyjson_is_num((yyjson_val *)v) && (s->shape == SCHEMA_INT32 || s->shape == SCHEMA_INT64);
    struct span number = number_into_int ? json_write(d->a, v) : SPAN("");
    struct span path = go_path(d->a, p), type = go_type(d->a, s);
    return fail(
        d, arena_printf(d->a,
                        "json: cannot unmarshal %s%s%.*s into Go struct field %s.%.*s of type %.*s",
                        json_type_name(v), number.n ? " " : "", SPAN_ARG(number), s->owner->name,
                        SPAN_ARG(path), SPAN_ARG(type))
               .p);
}

static seldom bool bad_value(struct decoder *d, const struct path *p, const char *what)
{
    struct span path = path_text(d->a, p);
    return fail(d, arena_printf(d->a, "%s (at %.*s)", what, SPAN_ARG(path)).p);
}

/* ---- values ---- */

static bool decode_int(struct decoder *d, const struct slot *s, const yyjson_val *v,
                       const struct path *p)
{
    yyjson_val *x = (yyjson_val *)v;
    if (!yyjson_is_int(x) || (yyjson_is_uint(x) && yyjson_get_uint(x) > INT64_MAX)) {
        return decode_wrong_type(d, s, v, p);
    }
    int64_t n = yyjson_get_sint(x);
    if (s->shape != SCHEMA_INT64 && (n > INT32_MAX || n < INT32_MIN)) {
        return decode_wrong_type(d, s, v, p);
    }
    return put_number(d, n);
}

/* One to three digits and a usual suffix: no other text is shorter for that amount. */
static bool is_short_quantity(struct span s)
{
    size_t digits = 0;
    while (digits < s.n && digits < 4 && s.p[digits] >= '0' && s.p[digits] <= '9') {
        digits++;
    }
    size_t suffix = s.n - digits;
    bool binary = suffix == 2 && s.p[s.n - 1] == 'i';
    bool plain = suffix == 0 || binary || (suffix == 1 && s.p[digits] != 'K');
    return plain && digits > 0 && digits < 4 && s.p[0] != '0' &&
           (suffix == 0 || memchr("KMGmk", s.p[digits], binary ? 3 : 5));
}

static bool decode_quantity(struct decoder *d, const struct slot *s, const yyjson_val *v,
                            const struct path *p)
{
    yyjson_val *x = (yyjson_val *)v;
    struct span text = yyjson_is_num(x) ? json_write(d->a, v) : span_trim(json_str(v));
    if (!yyjson_is_num(x) && !yyjson_is_str(x)) {
        return decode_wrong_type(d, s, v, p);
    }
    if (yyjson_is_str(x) && is_short_quantity(json_str(v))) {
        return put_same(d, v);
    }
    struct quantity q;
    char buf[QUANTITY_TEXT_BYTES];
    const char *fault = quantity_parse(text, &q);
    if (fault) {
        return bad_value(d, p, fault);
    }
    struct span canonical = quantity_format(&q, buf);
    return yyjson_is_str(x) && span_eq(canonical, json_str(v))
               ? put_same(d, v)
               : put_text(d, arena_dup(d->a, canonical));
}

static bool decode_time(struct decoder *d, const struct slot *s, const yyjson_val *v,
                        const struct path *p)
{
    if (!yyjson_is_str((yyjson_val *)v)) {
        return decode_wrong_type(d, s, v, p);
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
        return put_same(d, v); /* mostly: no other form has this length */
    }
    if (micro) {
        return put_text(d, time_format_micro(d->a, us));
    }
    return put_text(d, time_format(d->a, us >= 0 ? us / 1000 : (us - 999) / 1000));
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

static bool decode_bytes(struct decoder *d, const struct slot *s, const yyjson_val *v,
                         const struct path *p)
{
    if (!yyjson_is_str((yyjson_val *)v)) {
        return decode_wrong_type(d, s, v, p);
    }
    struct span text = json_str(v);
    char *clean = arena_alloc_raw(d->a, text.n + 1);
    size_t n = 0;
    size_t at = base64_fault(text, clean, &n);
    if (at < text.n) {
        return bad_value(d, p, arena_printf(d->a, "illegal base64 data at input byte %zu", at).p);
    }
    return put_text(d, span_of(clean, n));
}

bool decode_scalar(struct decoder *d, const struct slot *s, const yyjson_val *v,
                   const struct path *p)
{
    yyjson_val *x = (yyjson_val *)v;
    switch ((enum schema_shape)s->shape) {
    case SCHEMA_INT32:
    case SCHEMA_INT64:
        return decode_int(d, s, v, p);
    case SCHEMA_INT_OR_STRING:
        return yyjson_is_str(x) ? put_same(d, v) : decode_int(d, s, v, p);
    case SCHEMA_BOOL:
        return yyjson_is_bool(x) ? put_same(d, v) : decode_wrong_type(d, s, v, p);
    case SCHEMA_DOUBLE:
        return yyjson_is_num(x) ? put_same(d, v) : decode_wrong_type(d, s, v, p);
    case SCHEMA_BYTES:
        return decode_bytes(d, s, v, p);
    case SCHEMA_QUANTITY:
        return decode_quantity(d, s, v, p);
    case SCHEMA_TIME:
    case SCHEMA_MICROTIME:
        return decode_time(d, s, v, p);
    case SCHEMA_ANY:
        return put_whole(d, v);
    default: /* strings and durations */
        return yyjson_is_str(x) ? put_same(d, v) : decode_wrong_type(d, s, v, p);
    }
}
