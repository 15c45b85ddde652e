/* schema/protobuf_value.c: protobuf values of the types that have no rows: scalars, bytes, times,
 * quantities, raw JSON. */
#include "base/check.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/time.h"
#include "schema/protobuf_priv.h"

/* Well formed as Unicode has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool protobuf_utf8_ok(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.n;) {
        unsigned char c = p[i];
        size_t more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : 3;
        if (c >= 0x80 && (c < 0xc2 || c > 0xf4 || s.n - i <= more)) {
            return false;
        }
        for (size_t k = 1; k <= more; k++) {
            if ((p[i + k] & 0xc0) != 0x80) {
                return false;
            }
        }
        if ((c == 0xe0 && p[i + 1] < 0xa0) || (c == 0xed && p[i + 1] > 0x9f) ||
            (c == 0xf0 && p[i + 1] < 0x90) || (c == 0xf4 && p[i + 1] > 0x8f)) {
            return false;
        }
        i += more + 1;
    }
    return true;
}

/* A small message of three numbered values at most. */
struct small {
    uint64_t number[4];
    struct span bytes[4];
};

static int read_small(struct protobuf *d, struct span message, struct small *ret)
{
    struct pb_reader r = pb_read(message);
    struct pb_field f;
    *ret = (struct small){0};
    while (pb_next(&r, &f)) {
        if (f.number < 4) {
            ret->number[f.number] = f.value;
            ret->bytes[f.number] = f.bytes;
        }
    }
    return r.bad ? protobuf_bad(d, "a value's message ends early") : 0;
}

static int text_value(struct protobuf *d, struct span text, yyjson_mut_val **ret)
{
    if (!protobuf_utf8_ok(text)) {
        return protobuf_bad(d, "a string is not valid UTF-8");
    }
    *ret = json_new_str(d->doc, text);
    return 0;
}

/* Years 1 to 9999, as RFC 3339 can write them; year 1 is Go's zero time, which JSON writes as null.
 */
static int time_value(struct protobuf *d, const struct small *s, bool micro, yyjson_mut_val **ret)
{
    const int64_t zero = -62135596800, last = 253402300799;
    int64_t seconds = (int64_t)s->number[1], nanos = (int64_t)s->number[2];
    *ret = NULL;
    if (seconds == zero || (seconds == 0 && nanos == 0)) {
        return 0;
    }
    if (seconds < zero || seconds > last || nanos < 0 || nanos > 999999999) {
        return protobuf_bad(d, "a time is out of range");
    }
    *ret = json_new_str(d->doc, micro ? time_format_micro(d->a, seconds * 1000000 + nanos / 1000)
                                      : time_format(d->a, seconds * 1000));
    return 0;
}

static int raw_json(struct protobuf *d, struct span raw, yyjson_mut_val **ret)
{
    yyjson_doc *doc;
    *ret = NULL;
    if (raw.n == 0) {
        return 0;
    }
    if (json_parse(d->a, raw, &doc, NULL) < 0) {
        return protobuf_bad(d, "a field for any object does not hold JSON");
    }
    *ret = json_mut_copy(d->doc, yyjson_doc_get_root(doc));
    return 0;
}

static int number_value(struct protobuf *d, enum schema_shape shape, const struct pb_field *f,
                        yyjson_mut_val **ret)
{
    double real;
    if (f->wire != (shape == SCHEMA_DOUBLE ? PB_FIXED64 : PB_VARINT)) {
        return protobuf_bad(d, "wrong wireType for a number");
    }
    if (shape == SCHEMA_BOOL) {
        *ret = yyjson_mut_bool(d->doc, f->value != 0);
    } else if (shape == SCHEMA_DOUBLE) {
        memcpy(&real, &f->value, sizeof real);
        if (!__builtin_isfinite(real)) {
            return protobuf_bad(d, "a number is infinite or none");
        }
        *ret = yyjson_mut_real(d->doc, real);
    } else {
        *ret = yyjson_mut_sint(d->doc, shape == SCHEMA_INT32 ? (int32_t)(uint32_t)f->value
                                                             : (int64_t)f->value);
    }
    return 0;
}

static int small_value(struct protobuf *d, enum schema_shape shape, struct span message,
                       yyjson_mut_val **ret)
{
    struct small s;
    *ret = NULL;
    if (read_small(d, message, &s) < 0) {
        return -1;
    }
    switch (shape) {
    case SCHEMA_TIME:
    case SCHEMA_MICROTIME:
        return time_value(d, &s, shape == SCHEMA_MICROTIME, ret);
    case SCHEMA_QUANTITY:
        return s.bytes[1].n > 0 ? text_value(d, s.bytes[1], ret) : 0;
    case SCHEMA_DURATION:
        *ret = json_new_str(d->doc, time_duration(d->a, (int64_t)s.number[1]));
        return 0;
    case SCHEMA_INT_OR_STRING:
        if (s.number[1] == 1) {
            return text_value(d, s.bytes[3], ret);
        }
        *ret = yyjson_mut_sint(d->doc, (int32_t)(uint32_t)s.number[2]);
        return 0;
    default:
        return raw_json(d, s.bytes[1], ret);
    }
}

int protobuf_value(struct protobuf *d, enum schema_shape shape, const struct pb_field *f,
                   yyjson_mut_val **ret)
{
    assert(f);
    assert(ret);
    *ret = NULL;
    if (shape == SCHEMA_BOOL || shape == SCHEMA_INT32 || shape == SCHEMA_INT64 ||
        shape == SCHEMA_DOUBLE) {
        return number_value(d, shape, f, ret);
    }
    if (f->wire != PB_BYTES) {
        return protobuf_bad(d, "wrong wireType for a string or message");
    }
    if (shape == SCHEMA_STRING) {
        return text_value(d, f->bytes, ret);
    }
    if (shape == SCHEMA_BYTES) {
        *ret = json_new_str(d->doc, base64(d->a, f->bytes));
        return 0;
    }
    return small_value(d, shape, f->bytes, ret);
}
