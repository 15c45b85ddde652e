#include "apiserver/render_pb.h"

#include "base/check.h"
#include "codec/pb.h"
#include "schema/kinds.h"
#include "schema/protobuf.h"

static bool is_partial(const struct api_render *r)
{
    return r->accept.form == FORM_PARTIAL;
}

/* Rows of what is answered; of partial metadata they have only the metadata. */
static const struct schema_type *type_of(const struct api_render *r)
{
    return is_partial(r) ? SCHEMA_KIND(PartialObjectMetadata)->type : r->kind->type;
}

static size_t open_envelope(struct strbuf *out, const struct api_render *r, bool list)
{
    if (is_partial(r)) {
        return protobuf_open(
            out,
            span_eq_cstr(SPAN("v1"), r->accept.version) ? SPAN("meta.k8s.io/v1")
                                                        : SPAN("meta.k8s.io/v1beta1"),
            list ? SPAN("PartialObjectMetadataList") : SPAN("PartialObjectMetadata"));
    }
    return protobuf_open(out, span_cstr(schema_api_version(r->kind)),
                         span_cstr(list ? r->kind->list_kind : r->kind->kind));
}

/* The message of a stored object, as the client is to see it. */
static void put_message(struct strbuf *out, const struct api_render *r, const yyjson_val *obj)
{
    if (r->view && !is_partial(r)) {
        struct arena *a cleanup_arena = arena_new();
        protobuf_put(out, type_of(r), schema_view(a, r->view, obj));
    } else {
        protobuf_put(out, type_of(r), obj);
    }
}

static void put_object(struct strbuf *out, const struct api_render *r, const yyjson_val *obj)
{
    size_t mark = open_envelope(out, r, false);
    put_message(out, r, obj);
    protobuf_close(out, mark);
}

size_t render_protobuf_list_begin(struct strbuf *out, const struct api_render *r,
                                  const struct api_op *op)
{
    assert(r->accept.protobuf && r->accept.form != FORM_TABLE);
    size_t mark = open_envelope(out, r, true);
    size_t meta = pb_open(out, 1);
    pb_put_bytes(out, 2, arena_printf(op->arena, "%lld", (long long)op->rev));
    if (op->next_continue.n) {
        pb_put_bytes(out, 3, op->next_continue);
        if (op->remaining >= 0) {
            pb_put_varint(out, 4, (uint64_t)op->remaining);
        }
    }
    pb_close(out, meta);
    return mark;
}

void render_protobuf_list_item(struct strbuf *out, const struct api_render *r, struct object *o)
{
    struct object_glance glance = object_glance_begin(o);
    size_t item = pb_open(out, 2);
    put_message(out, r, object_root(o));
    pb_close(out, item);
    object_glance_end(&glance);
}

void render_protobuf_list_end(struct strbuf *out, size_t mark)
{
    protobuf_close(out, mark);
}

bool render_protobuf(struct strbuf *out, const struct api_render *r, const struct api_op *op)
{
    assert(r->accept.protobuf && r->accept.form != FORM_TABLE);
    if (op->tree) {
        bool same = span_eq_cstr(json_get_str(op->tree, "kind"), r->kind->kind);
        if ((is_partial(r) || r->view) && same) {
            put_object(out, r, op->tree);
            return true;
        }
        return protobuf_put_object(out, op->tree);
    }
    put_object(out, r, object_root(op->object));
    return true;
}

/* ---- watch events ---- */

static void put_text(struct strbuf *out, struct span json)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_doc *doc = NULL;
    int rc = json_parse(a, json, &doc, NULL);
    assert(rc == 0); /* our own text */
    bool known = protobuf_put_object(out, yyjson_doc_get_root(doc));
    assert(known);
}

void render_protobuf_event(struct strbuf *out, const struct api_render *r, const char *type,
                           struct object *object, struct span json)
{
    size_t start = out->n;
    strbuf_put(out, span_of("\0\0\0\0", 4));
    pb_put_bytes(out, 1, span_cstr(type));
    size_t raw = pb_open(out, 2), bytes = pb_open(out, 1);
    if (object) {
        struct object_glance glance = object_glance_begin(object);
        put_object(out, r, object_root(object));
        object_glance_end(&glance);
    } else {
        put_text(out, json);
    }
    pb_close(out, bytes);
    pb_close(out, raw);
    size_t n = out->n - start - 4;
    assert(n <= UINT32_MAX);
    for (int i = 0; i < 4; i++) {
        out->p[start + (size_t)i] = (char)(n >> (24 - 8 * i) & 0xff);
    }
}

void render_status_protobuf(struct strbuf *out, struct span status_json)
{
    put_text(out, status_json);
}
