/* schema/openapi_pb.c: a v2 document's tree as gnostic's protobuf message (openapi.v2.Document).
 * Each message is a table of JSON key, field number and form; vendor extensions are YAML texts, for
 * which JSON does. */
#include "base/check.h"
#include "codec/json.h"
#include "codec/pb.h"
#include "schema/openapi_priv.h"

enum form {
    PB_TEXT,    /* string */
    PB_FLAG,    /* bool */
    PB_TEXTS,   /* repeated string */
    PB_MESSAGE, /* nested */
    PB_NAMED,   /* object as message { repeated Named{name=1, value=2} = 1 } */
    PB_NAMED_1, /* the same, the entries in field 2 (Paths) */
    PB_VALUE,   /* any JSON as Any{yaml=2} */
    PB_WRAPPED, /* message { Schema = 1 } */
    PB_TYPE,    /* string as message { repeated string value = 1 } */
    PB_PARAMS   /* list of parameters */
};

struct member {
    const char *key;
    uint32_t number;
    enum form form;
    const struct member *of; /* of a message */
};

static const struct member schema_members[];
static const struct member schema_members[] = {
    {"$ref", 1, PB_TEXT},
    {"format", 2, PB_TEXT},
    {"description", 4, PB_TEXT},
    {"default", 5, PB_VALUE},
    {"required", 19, PB_TEXTS},
    {"additionalProperties", 21, PB_WRAPPED, schema_members},
    {"type", 22, PB_TYPE},
    {"items", 23, PB_WRAPPED, schema_members},
    {"properties", 25, PB_NAMED, schema_members},
    {"", 31},
};
static const struct member response_members[] = {
    {"description", 1, PB_TEXT}, {"schema", 2, PB_WRAPPED, schema_members}, {"", 5}};
/* Response sits in ResponseValue{response=1}. */
static const struct member operation_members[] = {
    {"operationId", 5, PB_TEXT}, {"consumes", 7, PB_TEXTS}, {"parameters", 8, PB_PARAMS}, {"", 13}};
static const struct member item_members[] = {{"get", 2, PB_MESSAGE, operation_members},
                                             {"put", 3, PB_MESSAGE, operation_members},
                                             {"post", 4, PB_MESSAGE, operation_members},
                                             {"delete", 5, PB_MESSAGE, operation_members},
                                             {"patch", 8, PB_MESSAGE, operation_members},
                                             {"parameters", 9, PB_PARAMS},
                                             {"", 10}};
static const struct member info_members[] = {
    {"title", 1, PB_TEXT}, {"version", 2, PB_TEXT}, {"", 7}};
static const struct member document_members[] = {{"swagger", 1, PB_TEXT},
                                                 {"info", 2, PB_MESSAGE, info_members},
                                                 {"paths", 8, PB_NAMED_1, item_members},
                                                 {"definitions", 9, PB_NAMED, schema_members},
                                                 {"", 13}};
static const struct member body_members[] = {{"name", 2, PB_TEXT},
                                             {"in", 3, PB_TEXT},
                                             {"required", 4, PB_FLAG},
                                             {"schema", 5, PB_MESSAGE, schema_members},
                                             {"", 6}};
static const struct member query_members[] = {{"in", 2, PB_TEXT},
                                              {"description", 3, PB_TEXT},
                                              {"name", 4, PB_TEXT},
                                              {"type", 6, PB_TEXT},
                                              {"", 22}};
static const struct member path_members[] = {{"required", 1, PB_FLAG},    {"in", 2, PB_TEXT},
                                             {"description", 3, PB_TEXT}, {"name", 4, PB_TEXT},
                                             {"type", 5, PB_TEXT},        {"", 21}};

static void put_message(struct strbuf *b, yyjson_mut_val *v, const struct member *members);

static void put_any(struct strbuf *b, uint32_t number, yyjson_mut_val *v)
{
    struct arena *a cleanup_arena = arena_new();
    size_t mark = pb_open(b, number);
    pb_put_bytes(b, 2, json_write_mut(a, v));
    pb_close(b, mark);
}

static void put_extension(struct strbuf *b, uint32_t number, struct span key, yyjson_mut_val *v)
{
    size_t mark = pb_open(b, number);
    pb_put_bytes(b, 1, key);
    put_any(b, 2, v);
    pb_close(b, mark);
}

static void put_named(struct strbuf *b, uint32_t number, yyjson_mut_val *obj,
                      const struct member *of)
{
    size_t i, max;
    yyjson_mut_val *key, *val;
    yyjson_mut_obj_foreach(obj, i, max, key, val)
    {
        size_t entry = pb_open(b, number);
        pb_put_bytes(b, 1, json_mut_str(key));
        size_t value = pb_open(b, 2);
        put_message(b, val, of);
        pb_close(b, value);
        pb_close(b, entry);
    }
}

/* ParametersItem.parameter=1 -> Parameter.body_parameter=1, or .non_body_parameter=2 -> query=3,
 * path=4. */
static void put_params(struct strbuf *b, uint32_t number, yyjson_mut_val *list)
{
    size_t i, max;
    yyjson_mut_val *val;
    yyjson_mut_arr_foreach(list, i, max, val)
    {
        struct span in = json_mut_str(json_mut_get(val, "in"));
        bool body = span_eq(in, SPAN("body")), path = span_eq(in, SPAN("path"));
        size_t item = pb_open(b, number), param = pb_open(b, 1), which = pb_open(b, body ? 1 : 2);
        if (body) {
            put_message(b, val, body_members);
        } else {
            size_t inner = pb_open(b, path ? 4 : 3);
            put_message(b, val, path ? path_members : query_members);
            pb_close(b, inner);
        }
        pb_close(b, which);
        pb_close(b, param);
        pb_close(b, item);
    }
}

static void put_texts(struct strbuf *b, uint32_t number, yyjson_mut_val *list)
{
    size_t i, max;
    yyjson_mut_val *val;
    yyjson_mut_arr_foreach(list, i, max, val)
    {
        pb_put_bytes(b, number, json_mut_str(val));
    }
}

static void put_member(struct strbuf *b, const struct member *m, yyjson_mut_val *v)
{
    size_t mark;
    switch (m->form) {
    case PB_TEXT:
        pb_put_bytes(b, m->number, json_mut_str(v));
        return;
    case PB_FLAG:
        pb_put_varint(b, m->number, yyjson_mut_get_bool(v));
        return;
    case PB_TEXTS:
        put_texts(b, m->number, v);
        return;
    case PB_VALUE:
        put_any(b, m->number, v);
        return;
    case PB_PARAMS:
        put_params(b, m->number, v);
        return;
    case PB_MESSAGE:
    case PB_NAMED:
    case PB_NAMED_1:
    case PB_WRAPPED:
    case PB_TYPE:
        break;
    }
    mark = pb_open(b, m->number);
    if (m->form == PB_MESSAGE) {
        put_message(b, v, m->of);
    } else if (m->form == PB_TYPE) {
        pb_put_bytes(b, 1, json_mut_str(v));
    } else if (m->form == PB_WRAPPED) {
        size_t inner = pb_open(b, 1);
        put_message(b, v, m->of);
        pb_close(b, inner);
    } else {
        put_named(b, m->form == PB_NAMED ? 1 : 2, v, m->of);
    }
    pb_close(b, mark);
}

/* Responses{response_code=1 NamedResponseValue{name=1, value=2 ResponseValue{response=1}}} */
static void put_responses(struct strbuf *b, yyjson_mut_val *responses)
{
    size_t i, max, all = pb_open(b, 9);
    yyjson_mut_val *key, *val;
    yyjson_mut_obj_foreach(responses, i, max, key, val)
    {
        size_t entry = pb_open(b, 1);
        pb_put_bytes(b, 1, json_mut_str(key));
        size_t value = pb_open(b, 2), response = pb_open(b, 1);
        put_message(b, val, response_members);
        pb_close(b, response);
        pb_close(b, value);
        pb_close(b, entry);
    }
    pb_close(b, all);
}

/* Members in any order; the table's last row has the number for extensions. */
static void put_message(struct strbuf *b, yyjson_mut_val *v, const struct member *members)
{
    size_t i, max;
    yyjson_mut_val *key, *val;
    yyjson_mut_obj_foreach(v, i, max, key, val)
    {
        struct span name = json_mut_str(key);
        const struct member *m = members;
        while (m->key[0] && !span_eq_cstr(name, m->key)) {
            m++;
        }
        if (m->key[0]) {
            put_member(b, m, val);
        } else if (span_starts(name, SPAN("x-"))) {
            put_extension(b, m->number, name, val);
        } else if (members == operation_members && span_eq(name, SPAN("responses"))) {
            put_responses(b, val);
        }
    }
}

void openapi_pb_document(struct strbuf *out, yyjson_mut_val *document)
{
    assert(out);
    assert(yyjson_mut_is_obj(document));
    put_message(out, document, document_members);
}
