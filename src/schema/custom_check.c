/* schema/custom_check.c: values of custom kinds against their schema, in the words of the library
 * that Kubernetes uses for it. */
#include <math.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/strbuf.h"
#include "codec/base64.h"
#include "codec/time.h"
#include "schema/custom_priv.h"

static const char *const type_names[] = {"any",     "object", "array",  "string",
                                         "integer", "number", "boolean"};

static const char *name_of(const yyjson_val *v)
{
    yyjson_val *x = (yyjson_val *)v;
    return yyjson_is_null(x)   ? "null"
           : yyjson_is_obj(x)  ? "object"
           : yyjson_is_arr(x)  ? "array"
           : yyjson_is_str(x)  ? "string"
           : yyjson_is_bool(x) ? "boolean"
           : yyjson_is_int(x)  ? "integer"
                               : "number";
}

static bool is_type(const yyjson_val *v, enum custom_type type)
{
    yyjson_val *x = (yyjson_val *)v;
    switch (type) {
    case CUSTOM_ANY:
        return true;
    case CUSTOM_OBJECT:
        return yyjson_is_obj(x);
    case CUSTOM_ARRAY:
        return yyjson_is_arr(x);
    case CUSTOM_STRING:
        return yyjson_is_str(x);
    case CUSTOM_INTEGER:
        return yyjson_is_int(x) ||
               (yyjson_is_real(x) && floor(yyjson_get_real(x)) == yyjson_get_real(x));
    case CUSTOM_NUMBER:
        return yyjson_is_num(x);
    case CUSTOM_BOOLEAN:
        return yyjson_is_bool(x);
    }
    return false;
}

/* "PATH in body WHAT" */
static void invalid(struct check *c, const struct path *p, const yyjson_val *v, const char *fmt,
                    ...) __attribute__((format(printf, 4, 5)));

static void invalid(struct check *c, const struct path *p, const yyjson_val *v, const char *fmt,
                    ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct span what = arena_vprintf(c->a, fmt, ap);
    va_end(ap);
    struct span path = path_text(c->a, p);
    struct span text = arena_printf(c->a, "%.*s in body %.*s", SPAN_ARG(path), SPAN_ARG(what));
    cause_invalid(c, p, shown(c->a, v), text.p);
}

static void wrong_type(struct check *c, const struct path *p, const yyjson_val *v,
                       const char *wanted)
{
    struct span path = path_text(c->a, p);
    struct span text =
        arena_printf(c->a, "Invalid value: \"%s\": %.*s in body must be of type %s: \"%s\"",
                     name_of(v), SPAN_ARG(path), wanted, name_of(v));
    err_add_cause(c->a, c->err, "FieldValueTypeInvalid", path, text);
}

static bool full(const struct check *c)
{
    size_t n = 0;
    for (const struct err_cause *x = c->err->causes; x && n < CAUSES_MAX; x = x->next) {
        n++;
    }
    return n == CAUSES_MAX;
}

/* ---- numbers ---- */

static void check_number(struct check *c, const struct path *p, const struct custom_node *n,
                         const yyjson_val *v)
{
    const yyjson_val *max = json_get(n->raw, "maximum"), *min = json_get(n->raw, "minimum");
    const yyjson_val *of = json_get(n->raw, "multipleOf");
    double x = yyjson_get_num((yyjson_val *)v);
    bool open_max = json_get_bool(n->raw, "exclusiveMaximum", false);
    bool open_min = json_get_bool(n->raw, "exclusiveMinimum", false);
    double limit = max ? yyjson_get_num((yyjson_val *)max) : 0;
    if (max && (open_max ? x >= limit : x > limit)) {
        invalid(c, p, v, "should be less than %s%.*s", open_max ? "" : "or equal to ",
                SPAN_ARG(json_write(c->a, max)));
    }
    limit = min ? yyjson_get_num((yyjson_val *)min) : 0;
    if (min && (open_min ? x <= limit : x < limit)) {
        invalid(c, p, v, "should be greater than %s%.*s", open_min ? "" : "or equal to ",
                SPAN_ARG(json_write(c->a, min)));
    }
    double step = of ? yyjson_get_num((yyjson_val *)of) : 0;
    if (step > 0 && fabs(remainder(x, step)) > 1e-9 * (fabs(x) + 1)) {
        invalid(c, p, v, "should be a multiple of %.*s", SPAN_ARG(json_write(c->a, of)));
    }
    struct span format = json_get_str(n->raw, "format");
    if (span_eq(format, SPAN("int32")) && (x > INT32_MAX || x < INT32_MIN)) {
        invalid(c, p, v, "must be of type int32");
    }
}

/* ---- strings ---- */

static bool is_base64(struct span s)
{
    size_t pad = 0;
    for (size_t i = 0; i < s.n; i++) {
        char x = s.p[i];
        bool digit = base64_digit(x) >= 0;
        pad += x == '=';
        if ((!digit && x != '=') || (digit && pad)) {
            return false;
        }
    }
    return s.n % 4 == 0 && pad <= 2;
}

static bool is_date(struct span s)
{
    int64_t us;
    char text[24];
    if (s.n != 10) {
        return false;
    }
    (void)snprintf(text, sizeof text, "%.*sT00:00:00Z", SPAN_ARG(s));
    return time_parse_us(span_of(text, 20), &us);
}

static bool is_uuid(struct span s)
{
    size_t digits = 0;
    for (size_t i = 0; i < s.n; i++) {
        char x = s.p[i];
        bool hex = (x >= '0' && x <= '9') || (x >= 'a' && x <= 'f') || (x >= 'A' && x <= 'F');
        if (!hex && x != '-') {
            return false;
        }
        digits += hex;
    }
    return digits == 32 && (s.n == 32 || s.n == 36);
}

static bool fits_format(struct span format, struct span s)
{
    int64_t us;
    if (span_eq(format, SPAN("date-time"))) {
        return time_parse_us(s, &us);
    }
    if (span_eq(format, SPAN("date"))) {
        return is_date(s);
    }
    if (span_eq(format, SPAN("byte"))) {
        return is_base64(s);
    }
    if (span_eq(format, SPAN("uuid"))) {
        return is_uuid(s);
    }
    if (span_eq(format, SPAN("ipv4")) || span_eq(format, SPAN("ipv6"))) {
        bool six = span_find(s, ':') < s.n;
        return names_is_ip(s) && six == span_eq(format, SPAN("ipv6"));
    }
    return true; /* custom_warnings() tells which are not looked at */
}

static size_t characters(struct span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    }
    return n;
}

static void check_string(struct check *c, const struct path *p, const struct custom_node *n,
                         const yyjson_val *v)
{
    struct span s = json_str(v), format = json_get_str(n->raw, "format");
    int64_t count = (int64_t)characters(s);
    int64_t max = json_get_int(n->raw, "maxLength", INT64_MAX);
    int64_t min = json_get_int(n->raw, "minLength", 0);
    if (count > max) {
        cause_too_long(c, p, (size_t)(max > 0 ? max : 0));
    }
    if (count < min) {
        invalid(c, p, v, "should be at least %lld chars long", (long long)min);
    }
    if (n->pattern) {
        int rc = regex_match(n->pattern, c->a, s);
        struct span pattern = json_get_str(n->raw, "pattern");
        if (rc < 0) {
            invalid(c, p, v, "is too long to be compared with '%.*s'", SPAN_ARG(pattern));
        } else if (rc == 0) {
            invalid(c, p, v, "should match '%.*s'", SPAN_ARG(pattern));
        }
    }
    if (format.n && !fits_format(format, s)) {
        invalid(c, p, v, "must be of type %.*s: %.*s", SPAN_ARG(format), SPAN_ARG(shown(c->a, v)));
    }
}

/* ---- lists ---- */

static struct span key_of(struct check *c, const struct custom_node *n, const yyjson_val *one)
{
    if (n->list_kind == SCHEMA_LIST_SET) {
        return json_write(c->a, one);
    }
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    struct span keys = span_cstr(n->map_keys);
    strbuf_putc(&b, '{');
    while (keys.n) {
        struct span key = span_cut(&keys, ',');
        const yyjson_val *v = yyjson_obj_getn((yyjson_val *)one, key.p, key.n);
        const struct custom_node *of = n->items ? custom_property(n->items, key) : NULL;
        v = v ? v : of ? of->initial : NULL;
        if (v) {
            strbuf_puts(&b, b.n > 1 ? "," : "");
            strbuf_put(&b, shown_text(c->a, key));
            strbuf_putc(&b, ':');
            strbuf_put(&b, json_write(c->a, v));
        }
    }
    strbuf_putc(&b, '}');
    return arena_dup(c->a, strbuf_span(&b));
}

static void check_unique(struct check *c, const struct path *p, const struct custom_node *n,
                         const yyjson_val *v)
{
    struct map seen = MAP_INIT;
    size_t i = 0;
    if (json_len(v) > LIMIT_CUSTOM_SET) {
        cause_too_many(c, p, json_len(v), LIMIT_CUSTOM_SET);
        return;
    }
    JSON_EACH(it, v)
    {
        struct span key = key_of(c, n, it.val);
        if (map_put(&seen, key, (void *)v)) {
            cause_duplicate(c, AT_INDEX(p, i), key);
        }
        i++;
    }
    map_done(&seen);
}

static void check_array(struct check *c, const struct path *p, const struct custom_node *n,
                        const yyjson_val *v)
{
    int64_t count = (int64_t)json_len(v), max = json_get_int(n->raw, "maxItems", INT64_MAX);
    int64_t min = json_get_int(n->raw, "minItems", 0);
    size_t i = 0;
    if (count > max) {
        cause_too_many(c, p, (size_t)count, (size_t)(max > 0 ? max : 0));
    }
    if (count < min) {
        invalid(c, p, v, "should have at least %lld items", (long long)min);
    }
    if (n->list_kind != SCHEMA_LIST_ATOMIC && (n->list_kind == SCHEMA_LIST_SET || n->map_keys)) {
        check_unique(c, p, n, v);
    }
    JSON_EACH(it, v)
    {
        if (n->items && !full(c)) {
            custom_check_value(c, AT_INDEX(p, i), n->items, it.val);
        }
        i++;
    }
}

/* ---- objects ---- */

static bool is_filled(struct check *c, const struct path *p, const yyjson_val *v)
{
    if (!v) {
        cause_required(c, p, "must not be empty");
    } else if (json_str(v).n == 0) {
        cause_invalid(c, p, shown(c->a, v), "must not be empty");
    }
    return json_str(v).n > 0;
}

/* A resource within a value. That its head is of the right types has been seen when it was read. */
static void check_embedded(struct check *c, const struct path *p, const yyjson_val *v)
{
    const yyjson_val *version = json_get(v, "apiVersion"), *kind = json_get(v, "kind");
    struct span s = json_str(version), name = json_str(kind);
    size_t slash = span_find(s, '/');
    if (is_filled(c, AT_FIELD(p, "apiVersion"), version) && slash < s.n &&
        span_find(span_from(s, slash + 1), '/') < s.n - slash - 1) {
        cause_invalid(c, AT_FIELD(p, "apiVersion"), shown(c->a, version),
                      arena_printf(c->a, "unexpected GroupVersion string: %.*s", SPAN_ARG(s)).p);
    }
    if (is_filled(c, AT_FIELD(p, "kind"), kind)) {
        char *lower = arena_alloc_raw(c->a, name.n);
        for (size_t i = 0; i < name.n; i++) {
            bool upper = name.p[i] >= 'A' && name.p[i] <= 'Z';
            lower[i] = (char)(upper ? name.p[i] + 'a' - 'A' : name.p[i]);
        }
        struct names_fault fault = names_dns_label_1035(span_of(lower, name.n));
        if (fault.n) {
            const char *why =
                arena_printf(c->a, "may have mixed case, but should otherwise match: %s",
                             fault.text[0])
                    .p;
            cause_invalid(c, AT_FIELD(p, "kind"), shown(c->a, kind), why);
        }
    }
    check_embedded_metadata(c, AT_FIELD(p, "metadata"), json_get(v, "metadata"));
}

static void check_object(struct check *c, const struct path *p, const struct custom_node *n,
                         const yyjson_val *v)
{
    JSON_EACH(it, json_get(n->raw, "required"))
    {
        struct span name = json_str(it.val);
        if (!yyjson_obj_getn((yyjson_val *)v, name.p, name.n)) {
            cause_required(c, AT_SPAN(p, name), NULL);
        }
    }
    int64_t count = (int64_t)json_len(v), max = json_get_int(n->raw, "maxProperties", INT64_MAX);
    int64_t min = json_get_int(n->raw, "minProperties", 0);
    if (count > max) {
        cause_too_many(c, p, (size_t)count, (size_t)(max > 0 ? max : 0));
    }
    if (count < min) {
        invalid(c, p, v, "should have at least %lld properties", (long long)min);
    }
    if (n->embedded) {
        check_embedded(c, p, v);
    }
    JSON_EACH(it, v)
    {
        struct span name = json_str(it.key);
        const struct custom_node *one = custom_property(n, name);
        one = one ? one : n->additional;
        if (one && !full(c)) {
            custom_check_value(c, AT_SPAN(p, name), one, it.val);
        }
    }
}

/* ---- all ---- */

static void check_enum(struct check *c, const struct path *p, const struct custom_node *n,
                       const yyjson_val *v)
{
    const yyjson_val *all = json_get(n->raw, "enum");
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    JSON_EACH(it, all)
    {
        if (json_equal(it.val, v)) {
            return;
        }
        bool text = yyjson_is_str(it.val);
        struct span one = text ? json_str(it.val) : json_write(c->a, it.val);
        strbuf_puts(&b, b.n ? "|" : "");
        strbuf_put(&b, one);
    }
    if (all) {
        strbuf_putc(&b, '\0');
        cause_not_supported(c, p, shown(c->a, v), b.p);
    }
}

static size_t count_holding(struct check *c, const struct path *p, const struct custom_nodes *all,
                            const yyjson_val *v)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++) {
        struct err none = {0};
        struct check probe = {.a = c->a, .err = &none};
        custom_check_value(&probe, p, all->at[i], v);
        n += !none.causes && !probe.too_many;
    }
    return n;
}

static void complain(struct check *c, const struct path *p, const yyjson_val *v, const char *what)
{
    struct span path = path_text(c->a, p);
    struct span text = arena_printf(c->a, "\"%.*s\" must %s", SPAN_ARG(path), what);
    cause_invalid(c, p, shown(c->a, v), text.p);
}

static void check_junctors(struct check *c, const struct path *p, const struct custom_node *n,
                           const yyjson_val *v)
{
    for (size_t i = 0; i < n->all_of.n; i++) {
        custom_check_value(c, p, n->all_of.at[i], v);
    }
    if (n->any_of.n && count_holding(c, p, &n->any_of, v) == 0) {
        complain(c, p, v, "validate at least one schema (anyOf)");
    }
    size_t holding = n->one_of.n ? count_holding(c, p, &n->one_of, v) : 1;
    if (holding != 1) {
        complain(c, p, v,
                 holding ? "validate one and only one schema (oneOf). Found 2 valid alternatives"
                         : "validate one and only one schema (oneOf). Found none valid");
    }
    struct custom_node *one = n->not ;
    struct custom_nodes not = {&one, 1};
    if (n->not &&count_holding(c, p, &not, v)) {
        complain(c, p, v, "not validate the schema (not)");
    }
}

void custom_check_value(struct check *c, const struct path *p, const struct custom_node *n,
                        const yyjson_val *v)
{
    assert(c);
    assert(n);
    assert(v);
    yyjson_val *x = (yyjson_val *)v;
    if (yyjson_is_null(x) && n->nullable) {
        return;
    }
    if (n->int_or_string && !yyjson_is_str(x) && !is_type(v, CUSTOM_INTEGER)) {
        wrong_type(c, p, v, "integer,string");
        return;
    }
    if (!is_type(v, n->type)) {
        wrong_type(c, p, v, type_names[n->type]);
        return;
    }
    if (n->has_rules && yyjson_is_num(x)) {
        check_number(c, p, n, v);
    } else if (n->has_rules && yyjson_is_str(x)) {
        check_string(c, p, n, v);
    } else if (yyjson_is_arr(x)) {
        check_array(c, p, n, v);
    } else if (yyjson_is_obj(x)) {
        check_object(c, p, n, v);
    }
    if (n->has_rules) {
        check_enum(c, p, n, v);
        check_junctors(c, p, n, v);
    }
}

void custom_check(struct check *c, const struct schema_kind *kind, const yyjson_val *obj)
{
    assert(c);
    assert(kind->custom);
    assert(obj);
    custom_check_value(c, NULL, kind->custom->root, obj);
}
