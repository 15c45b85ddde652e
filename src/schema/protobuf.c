/* schema/protobuf.c: "k8s\0", then runtime.Unknown{typeMeta=1{apiVersion=1, kind=2}, raw=2,
 * contentEncoding=3, contentType=4}, whose raw is the object's message. Field numbers come from the
 * rows; the shapes of the few types without rows (Time, Quantity, IntOrString, raw JSON) are in
 * protobuf_value.c. */
#include "schema/protobuf.h"

#include <stdio.h>

#include "base/check.h"
#include "base/limits.h"
#include "codec/json.h"
#include "codec/pb.h"
#include "schema/protobuf_priv.h"

const struct span protobuf_magic = {"k8s\0", 4};

bool protobuf_is(struct span body)
{
    return span_starts(body, protobuf_magic);
}

int protobuf_bad(struct protobuf *d, const char *what)
{
    assert(what);
    return err_set(d->a, d->err, ERR_BAD_REQUEST, "the protobuf body is malformed: %s", what);
}

static const struct schema_field *field_by_number(const struct schema_type *type, uint32_t outer,
                                                  uint32_t number)
{
    uint32_t want = outer > 0 ? outer << 8 | number : number;
    for (size_t i = 0; number <= UINT8_MAX && i < type->field_count; i++) {
        if (type->fields[i].pb == want) {
            return &type->fields[i];
        }
    }
    return NULL;
}

/* JSON inlines what protobuf nests: does any field live in the message with this number? */
static bool is_inlined(const struct schema_type *type, uint32_t outer, uint32_t number)
{
    uint32_t path = outer << 8 | number;
    for (size_t i = 0; number <= UINT8_MAX && i < type->field_count; i++) {
        uint32_t pb = type->fields[i].pb;
        if (pb >> 8 == path || (pb >> 16 == path && path <= UINT8_MAX)) {
            return true;
        }
    }
    return false;
}

static bool is_zero(yyjson_mut_val *v)
{
    return (yyjson_mut_is_str(v) && yyjson_mut_get_len(v) == 0) || yyjson_mut_is_false(v) ||
           (yyjson_mut_is_int(v) && yyjson_mut_get_uint(v) == 0) ||
           (yyjson_mut_is_real(v) && !(yyjson_mut_get_real(v) < 0 || yyjson_mut_get_real(v) > 0)) ||
           yyjson_mut_is_null(v);
}

/* A map's element that is a list: a message whose field 1 are the strings. */
static int decode_strings(struct protobuf *d, struct span message, yyjson_mut_val **ret)
{
    struct pb_reader r = pb_read(message);
    struct pb_field f;
    yyjson_mut_val *v = NULL;
    *ret = yyjson_mut_arr(d->doc);
    while (pb_next(&r, &f)) {
        if (f.number == 1 && protobuf_value(d, SCHEMA_STRING, &f, &v) < 0) {
            return -1;
        }
        if (f.number == 1) {
            (void)yyjson_mut_arr_append(*ret, v);
        }
    }
    return r.bad ? protobuf_bad(d, "a list in a map ends early") : 0;
}

static int protobuf_fields(struct protobuf *d, const struct schema_type *type, uint32_t outer,
                           struct span message, yyjson_mut_val *obj, int depth);

/* One element of a list, a map's value, or a single value. NULL in *ret: nothing to write (an empty
 * time). */
static int decode_one(struct protobuf *d, enum schema_shape shape, const struct schema_type *type,
                      const struct pb_field *f, int depth, yyjson_mut_val **ret)
{
    if (shape == SCHEMA_LIST) {
        return decode_strings(d, f->bytes, ret);
    }
    if (shape != SCHEMA_OBJECT || !type) {
        return protobuf_value(d, shape, f, ret);
    }
    if (f->wire != PB_BYTES) {
        return protobuf_bad(d, "wrong wireType for a message");
    }
    *ret = yyjson_mut_obj(d->doc);
    return protobuf_fields(d, type, 0, f->bytes, *ret, depth + 1);
}

static int decode_entry(struct protobuf *d, const struct schema_field *row, struct span message,
                        yyjson_mut_val *map, int depth)
{
    struct pb_reader r = pb_read(message);
    struct pb_field f, value = {.number = 2, .wire = PB_BYTES};
    yyjson_mut_val *key = json_new_str(d->doc, SPAN_NULL), *val = NULL;
    if (row->elem_shape == SCHEMA_BOOL || row->elem_shape == SCHEMA_INT32 ||
        row->elem_shape == SCHEMA_INT64) {
        value.wire = PB_VARINT;
    }
    while (pb_next(&r, &f)) {
        if (f.number == 1 && protobuf_value(d, SCHEMA_STRING, &f, &key) < 0) {
            return -1;
        }
        if (f.number == 2) {
            value = f;
        }
    }
    if (r.bad) {
        return protobuf_bad(d, "a map entry ends early");
    }
    if (decode_one(d, row->elem_shape, row->type, &value, depth, &val) < 0) {
        return -1;
    }
    (void)yyjson_mut_obj_add(map, key, val ? val : yyjson_mut_null(d->doc));
    return 0;
}

/* Numbers may come several in one field. */
static int decode_packed(struct protobuf *d, enum schema_shape shape, struct span bytes,
                         yyjson_mut_val *list)
{
    struct pb_reader r = pb_read(bytes);
    struct pb_field f = {.number = 1, .wire = PB_VARINT};
    while (pb_next_raw(&r, &f.value)) {
        yyjson_mut_val *v;
        if (protobuf_value(d, shape, &f, &v) < 0) {
            return -1;
        }
        (void)yyjson_mut_arr_append(list, v);
    }
    return r.bad ? protobuf_bad(d, "a packed list ends early") : 0;
}

static yyjson_mut_val *container(struct protobuf *d, const struct schema_field *row,
                                 yyjson_mut_val *obj)
{
    yyjson_mut_val *v = json_mut_get(obj, row->name);
    if (!v) {
        v = row->shape == SCHEMA_LIST ? yyjson_mut_arr(d->doc) : yyjson_mut_obj(d->doc);
        json_put(d->doc, obj, row->name, v);
    }
    return v;
}

static int decode_list(struct protobuf *d, const struct schema_field *row, const struct pb_field *f,
                       yyjson_mut_val *list, int depth)
{
    bool number = row->elem_shape == SCHEMA_INT32 || row->elem_shape == SCHEMA_INT64 ||
                  row->elem_shape == SCHEMA_BOOL;
    yyjson_mut_val *v = NULL;
    if (number && f->wire == PB_BYTES) {
        return decode_packed(d, row->elem_shape, f->bytes, list);
    }
    if (decode_one(d, row->elem_shape, row->type, f, depth, &v) < 0) {
        return -1;
    }
    (void)yyjson_mut_arr_append(list, v ? v : yyjson_mut_null(d->doc));
    return 0;
}

static int decode_field(struct protobuf *d, const struct schema_field *row,
                        const struct pb_field *f, yyjson_mut_val *obj, int depth)
{
    yyjson_mut_val *v = NULL;
    if (row->shape == SCHEMA_LIST) {
        return decode_list(d, row, f, container(d, row, obj), depth);
    }
    if (row->shape == SCHEMA_MAP || (row->shape == SCHEMA_OBJECT && row->type)) {
        if (f->wire != PB_BYTES) {
            return protobuf_bad(d, "wrong wireType for a message");
        }
        return row->shape == SCHEMA_MAP
                   ? decode_entry(d, row, f->bytes, container(d, row, obj), depth)
                   : protobuf_fields(d, row->type, 0, f->bytes, container(d, row, obj), depth + 1);
    }
    if (protobuf_value(d, row->shape, f, &v) < 0) {
        return -1;
    }
    bool optional = (row->flags & SCHEMA_OMITEMPTY) && !(row->flags & SCHEMA_POINTER);
    if (v && !(optional && is_zero(v))) {
        json_put(d->doc, obj, row->name, v);
    }
    return 0;
}

/* Reads a message's fields into obj. outer: 0, or the path (as in schema_field.pb) of the message
 * that JSON inlines into obj. */
static int protobuf_fields(struct protobuf *d, const struct schema_type *type, uint32_t outer,
                           struct span message, yyjson_mut_val *obj, int depth)
{
    assert(type);
    assert(yyjson_mut_is_obj(obj));
    struct pb_reader r = pb_read(message);
    struct pb_field f;
    if (depth > LIMIT_JSON_DEPTH / 2) {
        return protobuf_bad(d, "messages are nested too deep");
    }
    while (pb_next(&r, &f)) {
        const struct schema_field *row = field_by_number(type, outer, f.number);
        int rc = 0;
        if (row) {
            rc = decode_field(d, row, &f, obj, depth);
        } else if (f.wire == PB_BYTES && is_inlined(type, outer, f.number)) {
            rc = protobuf_fields(d, type, outer << 8 | f.number, f.bytes, obj, depth + 1);
        }
        if (rc < 0) {
            return -1;
        }
    }
    return r.bad ? protobuf_bad(d, "a message ends early or holds an unknown wire type") : 0;
}

/* ---- the envelope ---- */

struct envelope {
    struct span api_version, kind, raw, encoding, type;
};

static bool read_envelope(struct span body, struct envelope *ret)
{
    struct pb_reader r = pb_read(span_from(body, protobuf_magic.n));
    struct pb_field f, g;
    while (pb_next(&r, &f)) {
        if (f.wire != PB_BYTES) {
            continue;
        }
        struct pb_reader meta = pb_read(f.number == 1 ? f.bytes : SPAN_NULL);
        while (pb_next(&meta, &g)) {
            *(g.number == 2 ? &ret->kind : &ret->api_version) = g.bytes;
        }
        r.bad = r.bad || meta.bad;
        if (f.number == 2) {
            ret->raw = f.bytes;
        } else if (f.number == 3) {
            ret->encoding = f.bytes;
        } else if (f.number == 4) {
            ret->type = f.bytes;
        }
    }
    return !r.bad;
}

/* Options of a request come under the API version of the resource they are about. */
const struct schema_kind *protobuf_kind(struct span api_version, struct span kind)
{
    char group_text[256], kind_text[256];
    struct span group = api_version;
    group = span_find(group, '/') < group.n ? span_cut(&group, '/') : SPAN("");
    if (group.n >= sizeof group_text || kind.n >= sizeof kind_text) {
        return NULL;
    }
    (void)snprintf(group_text, sizeof group_text, "%.*s", SPAN_ARG(group));
    (void)snprintf(kind_text, sizeof kind_text, "%.*s", SPAN_ARG(kind));
    for (size_t i = 0; i < schema_kind_count(); i++) {
        const struct schema_kind *k = schema_kind_at(i);
        if (span_eq_cstr(kind, k->kind) && span_eq_cstr(api_version, k->api_version)) {
            return k;
        }
    }
    const struct schema_kind *k = schema_kind_find(group_text, kind_text);
    return k ? k : schema_kind_find("meta", kind_text);
}

static int decode_object(struct protobuf *d, const struct envelope *e,
                         const struct schema_kind *kind, struct span *ret_text)
{
    yyjson_mut_val *obj = yyjson_mut_obj(d->doc);
    json_put_str(d->doc, obj, "kind", e->kind);
    json_put_str(d->doc, obj, "apiVersion", e->api_version);
    if (protobuf_fields(d, kind->type, 0, e->raw, obj, 0) < 0) {
        return -1;
    }
    *ret_text = json_write_mut(d->a, obj);
    return 0;
}

int protobuf_decode(struct arena *a, struct span body, yyjson_doc **ret, struct err *reterr)
{
    assert(a);
    assert(ret);
    struct envelope e = {0};
    struct span text;
    struct protobuf d = {.a = a, .doc = json_mut_new(a), .err = reterr};
    if (body.n > LIMIT_BODY_BYTES) {
        return err_set(a, reterr, ERR_TOO_LARGE,
                       "the body has %zu bytes, more than the limit of %d", body.n,
                       LIMIT_BODY_BYTES);
    }
    if (!protobuf_is(body)) {
        return err_set(
            a, reterr, ERR_BAD_REQUEST,
            "provided data does not appear to be a protobuf message, expected prefix [107 56 "
            "115 0]");
    }
    if (!read_envelope(body, &e) || !protobuf_utf8_ok(e.kind) || !protobuf_utf8_ok(e.api_version)) {
        return protobuf_bad(&d, "the envelope cannot be read");
    }
    if (e.encoding.n > 0 ||
        (e.type.n > 0 && !span_eq(e.type, SPAN("application/vnd.kubernetes.protobuf")))) {
        return protobuf_bad(&d, "its content is encoded or of another type; send plain protobuf");
    }
    const struct schema_kind *kind = protobuf_kind(e.api_version, e.kind);
    if (!kind) {
        return err_set(a, reterr, ERR_BAD_REQUEST,
                       "no kind \"%.*s\" is registered for version \"%.*s\"",
                       SPAN_ARG(span_first(e.kind, 128)), SPAN_ARG(span_first(e.api_version, 128)));
    }
    return decode_object(&d, &e, kind, &text) < 0 ? -1 : json_parse(a, text, ret, reterr);
}
