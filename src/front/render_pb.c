#include "front/render_pb.h"

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

static struct span version_of(const struct api_render *r)
{
    if (!is_partial(r)) {
        return span_cstr(schema_api_version(r->kind));
    }
    return strcmp(r->accept.version, "v1") == 0 ? SPAN("meta.k8s.io/v1")
                                                : SPAN("meta.k8s.io/v1beta1");
}

static struct span kind_name(const struct api_render *r, bool list)
{
    if (is_partial(r)) {
        return list ? SPAN("PartialObjectMetadataList") : SPAN("PartialObjectMetadata");
    }
    return span_cstr(list ? r->kind->list_kind : r->kind->kind);
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
    size_t mark = protobuf_open(out, version_of(r), kind_name(r, false));
    put_message(out, r, obj);
    protobuf_close(out, mark);
}

/* The list's own metadata. */
static void put_list_metadata(struct strbuf *out, const struct api_op *op)
{
    size_t meta = pb_open(out, 1);
    if (op->rev) {
        pb_put_bytes(out, 2, arena_printf(op->arena, "%lld", (long long)op->rev));
    }
    if (op->next_continue.n) {
        pb_put_bytes(out, 3, op->next_continue);
        if (op->remaining >= 0) {
            pb_put_varint(out, 4, (uint64_t)op->remaining);
        }
    }
    pb_close(out, meta);
}

void render_protobuf_list_begin(struct strbuf *out, const struct api_render *r,
                                const struct api_op *op, size_t items_n)
{
    assert(r->accept.protobuf);
    assert(r->accept.form != FORM_TABLE);
    struct strbuf meta cleanup_strbuf = STRBUF_INIT;
    put_list_metadata(&meta, op);
    protobuf_begin(out, version_of(r), kind_name(r, true), meta.n + items_n);
    strbuf_put(out, strbuf_span(&meta));
}

void render_protobuf_list_item(struct strbuf *out, const struct api_render *r, struct object *o)
{
    assert(out);
    assert(o);
    struct object_glance glance = object_glance_begin(o);
    size_t item = pb_open(out, 2);
    put_message(out, r, object_root(o));
    pb_close(out, item);
    object_glance_end(&glance);
}

size_t render_protobuf_list_measure(struct strbuf *scratch, const struct api_render *r,
                                    struct object *o)
{
    bool is_itself = !is_partial(r) && !r->view; /* other forms have other lengths */
    size_t n = is_itself ? object_list_bytes(o) : 0;
    if (!n) {
        strbuf_clear(scratch);
        render_protobuf_list_item(scratch, r, o);
        n = scratch->n;
        assert(n);
        assert(n < UINT32_MAX);
        if (is_itself) {
            object_set_list_bytes(o, (uint32_t)n);
        }
    }
    return n;
}

bool render_protobuf(struct strbuf *out, const struct api_render *r, const struct api_op *op)
{
    assert(r->accept.protobuf);
    assert(r->accept.form != FORM_TABLE);
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
    assert(status_json.n > 0);
    put_text(out, status_json);
}
