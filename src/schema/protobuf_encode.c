/* schema/protobuf_encode.c: objects as protobuf messages, by the rows. The inverse of protobuf.c:
 * what is written here decodes to the same tree. */
#include <string.h>

#include "base/check.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/pb.h"
#include "codec/time.h"
#include "schema/protobuf.h"
#include "schema/protobuf_priv.h"

/* ---- values without rows ---- */

/* Standard base64, as the engine has checked it; what is none of it is skipped. */
static void put_base64(struct strbuf *out, uint32_t number, struct span text)
{
    size_t mark = pb_open(out, number);
    uint32_t bits = 0;
    int have = 0;
    for (size_t i = 0; i < text.n; i++) {
        int d = base64_digit(text.p[i]);
        if (d < 0) {
            continue;
        }
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have >= 8) {
            have -= 8;
            strbuf_putc(out, (char)(bits >> have & 0xff));
        }
    }
    pb_close(out, mark);
}

static void put_time(struct strbuf *out, uint32_t number, struct span text)
{
    int64_t us;
    size_t mark = pb_open(out, number);
    if (time_parse_us(text, &us)) {
        int64_t seconds = us / 1000000, rest = us % 1000000;
        if (rest < 0) {
            seconds--;
            rest += 1000000;
        }
        pb_put_varint(out, 1, (uint64_t)seconds);
        pb_put_varint(out, 2, (uint64_t)rest * 1000);
    }
    pb_close(out, mark);
}

static void put_int_or_string(struct strbuf *out, uint32_t number, const yyjson_val *v)
{
    bool text = yyjson_is_str((yyjson_val *)v);
    size_t mark = pb_open(out, number);
    pb_put_varint(out, 1, text);
    pb_put_varint(out, 2, text ? 0 : (uint64_t)json_int(v, 0));
    pb_put_bytes(out, 3, json_str(v));
    pb_close(out, mark);
}

static void put_duration(struct strbuf *out, uint32_t number, struct span text)
{
    int64_t ns = 0;
    size_t mark = pb_open(out, number);
    if (time_duration_parse(text, &ns)) {
        pb_put_varint(out, 1, (uint64_t)ns);
    }
    pb_close(out, mark);
}

static void put_raw(struct strbuf *out, uint32_t number, const yyjson_val *v)
{
    struct arena *a cleanup_arena = arena_new();
    size_t mark = pb_open(out, number);
    pb_put_bytes(out, 1, json_write(a, v));
    pb_close(out, mark);
}

static void put_double(struct strbuf *out, uint32_t number, const yyjson_val *v)
{
    double real = yyjson_get_num((yyjson_val *)v);
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    pb_put_fixed64(out, number, bits);
}

static void put_strings(struct strbuf *out, uint32_t number, const yyjson_val *list)
{
    size_t mark = pb_open(out, number);
    JSON_EACH(it, list)
    {
        pb_put_bytes(out, 1, json_str(it.val));
    }
    pb_close(out, mark);
}

/* ---- fields ---- */

static void put_fields(struct strbuf *out, const struct schema_type *type, uint32_t outer,
                       const yyjson_val *obj);

/* A single value, an element of a list or the value of a map. */
static void put_one(struct strbuf *out, uint32_t number, enum schema_shape shape,
                    const struct schema_type *type, const yyjson_val *v)
{
    size_t mark;
    switch (shape) {
    case SCHEMA_OBJECT:
        mark = pb_open(out, number);
        put_fields(out, type, 0, v);
        pb_close(out, mark);
        return;
    case SCHEMA_LIST:
        put_strings(out, number, v);
        return;
    case SCHEMA_INT32:
    case SCHEMA_INT64:
        pb_put_varint(out, number, (uint64_t)json_int(v, 0));
        return;
    case SCHEMA_BOOL:
        pb_put_varint(out, number, yyjson_is_true((yyjson_val *)v));
        return;
    case SCHEMA_DOUBLE:
        put_double(out, number, v);
        return;
    case SCHEMA_QUANTITY:
        mark = pb_open(out, number);
        pb_put_bytes(out, 1, json_str(v));
        pb_close(out, mark);
        return;
    case SCHEMA_TIME:
    case SCHEMA_MICROTIME:
        put_time(out, number, json_str(v));
        return;
    case SCHEMA_DURATION:
        put_duration(out, number, json_str(v));
        return;
    case SCHEMA_BYTES:
        put_base64(out, number, json_str(v));
        return;
    case SCHEMA_INT_OR_STRING:
        put_int_or_string(out, number, v);
        return;
    case SCHEMA_ANY:
        put_raw(out, number, v);
        return;
    case SCHEMA_MAP:
    case SCHEMA_STRING:
        break;
    }
    pb_put_bytes(out, number, json_str(v));
}

static void put_field(struct strbuf *out, const struct schema_field *f, uint32_t number,
                      const yyjson_val *v)
{
    if (!v || (yyjson_is_null((yyjson_val *)v) && f->shape != SCHEMA_ANY)) {
        return;
    }
    if (f->shape == SCHEMA_LIST) {
        bool is_raw = yyjson_is_raw((yyjson_val *)v); /* managedFields: see object_root() */
        struct arena *a cleanup_arena = is_raw ? arena_new() : NULL;
        JSON_EACH(it, is_raw ? json_whole(a, v) : v)
        {
            put_one(out, number, f->elem_shape, f->type, it.val);
        }
    } else if (f->shape == SCHEMA_MAP) {
        JSON_EACH(it, v)
        {
            size_t mark = pb_open(out, number);
            pb_put_bytes(out, 1, json_str(it.key));
            put_one(out, 2, f->elem_shape, f->type, it.val);
            pb_close(out, mark);
        }
    } else {
        put_one(out, number, f->shape, f->type, v);
    }
}

/* Of the path pb (numbers in bytes, outermost first), the part that is one step below `outer`; 0
 * when it is not below. */
static uint32_t step_below(uint32_t pb, uint32_t outer)
{
    while (pb > 0 && pb >> 8 != outer) {
        pb >>= 8;
    }
    return pb;
}

static bool is_first_of_step(const struct schema_type *type, size_t i, uint32_t outer,
                             uint32_t step)
{
    for (size_t k = 0; k < i; k++) {
        if (step_below(type->fields[k].pb, outer) == step) {
            return false;
        }
    }
    return true;
}

static void put_fields(struct strbuf *out, const struct schema_type *type, uint32_t outer,
                       const yyjson_val *obj)
{
    assert(type);
    for (size_t i = 0; i < type->field_count; i++) {
        const struct schema_field *f = &type->fields[i];
        uint32_t step = step_below(f->pb, outer);
        if (step == 0) {
            continue;
        }
        if (step == f->pb) {
            put_field(out, f, step & 0xff, json_get(obj, f->name));
        } else if (is_first_of_step(type, i, outer, step)) {
            size_t mark = pb_open(out, step & 0xff);
            put_fields(out, type, step, obj);
            pb_close(out, mark);
        }
    }
}

void protobuf_put(struct strbuf *out, const struct schema_type *type, const yyjson_val *obj)
{
    assert(out);
    assert(type);
    put_fields(out, type, 0, obj);
}

/* ---- the envelope ---- */

static void put_type(struct strbuf *out, struct span api_version, struct span kind)
{
    strbuf_put(out, protobuf_magic);
    size_t mark = pb_open(out, 1);
    pb_put_bytes(out, 1, api_version);
    pb_put_bytes(out, 2, kind);
    pb_close(out, mark);
}

size_t protobuf_open(struct strbuf *out, struct span api_version, struct span kind)
{
    assert(out);
    put_type(out, api_version, kind);
    return pb_open(out, 2);
}

void protobuf_close(struct strbuf *out, size_t mark)
{
    assert(mark <= out->n);
    pb_close(out, mark);
    protobuf_end(out);
}

void protobuf_begin(struct strbuf *out, struct span api_version, struct span kind, size_t n)
{
    assert(out);
    put_type(out, api_version, kind);
    pb_put_length(out, 2, n);
}

void protobuf_end(struct strbuf *out)
{
    assert(out);
    pb_put_bytes(out, 3, SPAN(""));
    pb_put_bytes(out, 4, SPAN(""));
}

bool protobuf_put_object(struct strbuf *out, const yyjson_val *obj)
{
    assert(out);
    struct span version = json_get_str(obj, "apiVersion"), name = json_get_str(obj, "kind");
    const struct schema_kind *kind = protobuf_kind(version, name);
    if (!kind) {
        return false;
    }
    size_t mark = protobuf_open(out, version, name);
    put_fields(out, kind->type, 0, obj);
    protobuf_close(out, mark);
    return true;
}
