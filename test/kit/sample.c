#include "test/kit/sample.h"

#include "base/check.h"
#include "codec/json.h"

struct sampler {
    yyjson_mut_doc *doc;
    int64_t n; /* makes values differ */
};

static yyjson_mut_val *sample(struct sampler *s, const struct schema_field *f, uint8_t shape,
                              int depth);

static yyjson_mut_val *object(struct sampler *s, const struct schema_type *t, int depth)
{
    yyjson_mut_val *obj = yyjson_mut_obj(s->doc);
    assert(depth < 40);
    bool inner = depth > 5 && strcmp(t->name, "JSONSchemaProps") == 0; /* holds itself */
    for (size_t i = 0; i < t->field_count; i++) {
        if (inner && strcmp(t->fields[i].name, "type") != 0) {
            continue;
        }
        (void)yyjson_mut_obj_add(obj, yyjson_mut_str(s->doc, t->fields[i].name),
                                 sample(s, &t->fields[i], t->fields[i].shape, depth + 1));
    }
    return obj;
}

static uint8_t elem_of(const struct schema_field *f, uint8_t shape)
{
    return f->shape == SCHEMA_MAP && shape == SCHEMA_LIST ? SCHEMA_STRING : f->elem_shape;
}

static yyjson_mut_val *text(struct sampler *s, const char *prefix)
{
    char buf[64];
    (void)snprintf(buf, sizeof buf, "%s%lld", prefix, (long long)s->n);
    return yyjson_mut_strcpy(s->doc, buf);
}

static yyjson_mut_val *container(struct sampler *s, const struct schema_field *f, uint8_t shape,
                                 int depth)
{
    yyjson_mut_val *v = shape == SCHEMA_LIST ? yyjson_mut_arr(s->doc) : yyjson_mut_obj(s->doc);
    for (int i = 0; i < 2; i++) {
        yyjson_mut_val *one = sample(s, f, elem_of(f, shape), depth);
        if (shape == SCHEMA_LIST) {
            (void)yyjson_mut_arr_append(v, one);
        } else {
            (void)yyjson_mut_obj_add(v, text(s, i ? "a" : "b"), one);
        }
    }
    return v;
}

static yyjson_mut_val *sample(struct sampler *s, const struct schema_field *f, uint8_t shape,
                              int depth)
{
    s->n++;
    yyjson_mut_val *v;
    switch ((enum schema_shape)shape) {
    case SCHEMA_OBJECT:
        return object(s, f->type, depth);
    case SCHEMA_LIST:
    case SCHEMA_MAP:
        return container(s, f, shape, depth);
    case SCHEMA_INT32:
    case SCHEMA_INT64:
    case SCHEMA_INT_OR_STRING:
        return yyjson_mut_sint(s->doc, 1000000 + s->n);
    case SCHEMA_DOUBLE:
        return yyjson_mut_real(s->doc, 1.5);
    case SCHEMA_BOOL:
        return yyjson_mut_bool(s->doc, true);
    case SCHEMA_BYTES:
        return yyjson_mut_str(s->doc, s->n % 2 ? "aGVsbG8=" : "AAH/");
    case SCHEMA_QUANTITY:
        return yyjson_mut_str(s->doc, s->n % 2 ? "3Mi" : "250m");
    case SCHEMA_TIME:
        return yyjson_mut_str(s->doc, "2024-02-29T10:30:45Z");
    case SCHEMA_MICROTIME:
        return yyjson_mut_str(s->doc, "2024-02-29T10:30:45.123456Z");
    case SCHEMA_DURATION:
        return yyjson_mut_str(s->doc, "1h0m5s");
    case SCHEMA_ANY:
        v = yyjson_mut_obj(s->doc);
        (void)yyjson_mut_obj_add_null(s->doc, v, "free");
        return v;
    case SCHEMA_STRING:
        break;
    }
    return text(s, "text");
}

yyjson_mut_val *sample_object(yyjson_mut_doc *doc, const struct schema_type *type)
{
    struct sampler s = {.doc = doc};
    return object(&s, type, 0);
}
