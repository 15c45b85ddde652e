#include "front/render.h"

#include "front/render_pb.h"

#include "base/check.h"
#include "schema/protobuf.h"

static void put_json(struct strbuf *out, struct arena *a, const yyjson_val *v)
{
    strbuf_put(out, json_write(a, v));
}

static void put_string(struct strbuf *out, struct arena *a, struct span s)
{
    yyjson_mut_doc *doc = json_mut_new(a);
    strbuf_put(out, json_write_mut(a, json_new_str(doc, s)));
}

/* A stored object as the client is to see it. */
static const yyjson_val *shown(struct arena *a, const struct api_render *r, const yyjson_val *obj)
{
    return r->view ? schema_view(a, r->view, obj) : obj;
}

/* Tables of a view have the columns of what is stored. */
static const struct schema_kind *kind_of_rows(const struct api_render *r)
{
    return r->view ? r->view->view_of : r->kind;
}

/* ---- tables ---- */

static const struct schema_column name_and_age[] = {
    {"Name", "string", "name", "Name must be unique within a namespace.", 0},
    {"Age", "string", "", "Time since creation.", 0},
};

static void put_columns(struct strbuf *out, struct arena *a, const struct schema_kind *kind)
{
    const struct schema_column *columns = kind->column_count ? kind->columns : name_and_age;
    size_t n = kind->column_count ? kind->column_count : 2;
    strbuf_puts(out, "\"columnDefinitions\":[");
    for (size_t i = 0; i < n; i++) {
        const struct schema_column *c = &columns[i];
        strbuf_puts(out, i ? ",{\"name\":" : "{\"name\":");
        put_string(out, a, span_cstr(c->name));
        strbuf_printf(out, ",\"type\":\"%s\",\"format\":\"%s\",\"description\":", c->type,
                      c->format ? c->format : "");
        put_string(out, a, span_cstr(c->doc ? c->doc : ""));
        strbuf_printf(out, ",\"priority\":%d}", (int)c->priority);
    }
    strbuf_putc(out, ']');
}

static void put_partial(struct strbuf *out, struct arena *a, const struct api_render *r,
                        const yyjson_val *obj)
{
    strbuf_printf(out,
                  "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/%s\","
                  "\"metadata\":",
                  r->accept.version);
    const yyjson_val *meta = json_get(obj, "metadata");
    if (meta) {
        put_json(out, a, meta);
    } else {
        strbuf_puts(out, "{}");
    }
    strbuf_putc(out, '}');
}

static void put_cells(struct strbuf *out, struct arena *a, const struct api_render *r,
                      const yyjson_val *obj)
{
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *cells = yyjson_mut_arr(doc);
    schema_row(a, kind_of_rows(r), doc, cells, obj, r->now_ms);
    strbuf_put(out, json_write_mut(a, cells));
}

static void put_row(struct strbuf *out, struct arena *a, const struct api_render *r,
                    const yyjson_val *obj)
{
    strbuf_puts(out, "{\"cells\":");
    put_cells(out, a, r, obj);
    if (span_eq(r->include_object, SPAN("Object"))) {
        strbuf_puts(out, ",\"object\":");
        put_json(out, a, shown(a, r, obj));
    } else if (!span_eq(r->include_object, SPAN("None"))) {
        strbuf_puts(out, ",\"object\":");
        put_partial(out, a, r, obj);
    }
    strbuf_putc(out, '}');
}

static void put_table_head(struct strbuf *out, struct arena *a, const struct api_render *r,
                           struct span list_metadata)
{
    strbuf_printf(out, "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/%s\",\"metadata\":%.*s,",
                  r->accept.version, SPAN_ARG(list_metadata));
    put_columns(out, a, kind_of_rows(r));
    strbuf_puts(out, ",\"rows\":[");
}

static struct span rev_metadata(struct arena *a, int64_t rev)
{
    return rev ? arena_printf(a, "{\"resourceVersion\":\"%lld\"}", (long long)rev) : SPAN("{}");
}

/* ---- one object ---- */

static void put_object(struct strbuf *out, struct arena *a, const struct api_render *r,
                       struct object *o)
{
    switch (r->accept.form) {
    case FORM_TABLE:
        put_table_head(out, a, r, rev_metadata(a, object_rev(o)));
        put_row(out, a, r, object_root(o));
        strbuf_puts(out, "]}");
        return;
    case FORM_PARTIAL:
        put_partial(out, a, r, object_root(o));
        return;
    case FORM_JSON:
    case FORM_DISCOVERY:
        if (r->view) {
            put_json(out, a, shown(a, r, object_root(o)));
        } else {
            strbuf_put(out, object_json(o));
        }
        return;
    }
}

/* ---- lists ---- */

static struct span list_metadata(struct arena *a, const struct api_op *op)
{
    if (!op->next_continue.n) {
        return rev_metadata(a, op->rev);
    }
    struct span left = op->remaining >= 0 ? arena_printf(a, ",\"remainingItemCount\":%lld",
                                                         (long long)op->remaining)
                                          : SPAN_NULL;
    return arena_printf(a, "{\"resourceVersion\":\"%lld\",\"continue\":\"%.*s\"%.*s}",
                        (long long)op->rev, SPAN_ARG(op->next_continue), SPAN_ARG(left));
}

/* Items of a list carry no kind and apiVersion: their bytes without the members that every object
 * starts with. */
static void put_item(struct strbuf *out, struct span json, size_t skip)
{
    assert(json.n > skip);
    strbuf_putc(out, '{');
    strbuf_put(out, span_from(json, skip));
}

static void put_list_head(struct strbuf *out, const struct api_render *r, const struct api_op *op)
{
    struct arena *a = op->arena;
    struct span meta = list_metadata(a, op);
    if (r->accept.form == FORM_TABLE) {
        put_table_head(out, a, r, meta);
    } else if (r->accept.form == FORM_PARTIAL) {
        strbuf_printf(out,
                      "{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/%s\","
                      "\"metadata\":%.*s,\"items\":[",
                      r->accept.version, SPAN_ARG(meta));
    } else {
        strbuf_printf(out, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":%.*s,\"items\":[",
                      r->kind->list_kind, schema_api_version(r->kind), SPAN_ARG(meta));
    }
}

static void put_list_item(struct strbuf *out, struct render_list *l, struct object *o)
{
    const struct api_render *r = l->render;
    if (r->accept.form == FORM_JSON && !r->view) {
        struct span json = object_json(o);
        /* Custom objects keep them, as in Kubernetes. */
        bool usual = !r->kind->custom && span_starts(json, l->start);
        put_item(out, json, usual ? l->start.n : 1);
        return;
    }
    struct object_glance glance = object_glance_begin(o);
    if (r->accept.form == FORM_TABLE) {
        put_row(out, l->row, r, object_root(o));
    } else if (r->accept.form == FORM_PARTIAL) {
        put_partial(out, l->row, r, object_root(o));
    } else {
        struct span json = json_write(l->row, shown(l->row, r, object_root(o)));
        put_item(out, json, !r->kind->custom && span_starts(json, l->start) ? l->start.n : 1);
    }
    object_glance_end(&glance);
    arena_clear(l->row);
}

const char *render_list_begin(struct render_list *l, const struct api_render *r, struct api_op *op)
{
    assert(op->err.reason == ERR_NONE);
    if (op->tree || op->object) {
        return NULL;
    }
    *l = (struct render_list){.render = r, .op = op, .row = arena_new()};
    l->start = arena_printf(op->arena, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",", r->kind->kind,
                            schema_api_version(r->kind));
    return r->accept.content_type;
}

/* Lengths first, then the bytes. */
static bool next_protobuf(struct render_list *l, struct strbuf *out)
{
    enum { MADE = 64, LOOKED_AT = 16384, PART_BYTES = 16 * 1024 };
    struct api_op *op = l->op;
    size_t made = 0, before = out->n;
    for (size_t i = 0; i < LOOKED_AT && made < MADE && l->measured < op->item_count; i++) {
        struct object *o = op->items[l->measured++];
        strbuf_clear(&l->scratch);
        l->items_n += render_protobuf_list_measure(&l->scratch, l->render, o);
        made += l->scratch.n > 0;
    }
    if (l->measured < op->item_count) {
        return true;
    }
    if (!l->is_begun) {
        l->is_begun = true;
        render_protobuf_list_begin(out, l->render, op, l->items_n);
    }
    while (l->at < op->item_count && out->n - before < PART_BYTES) {
        size_t was = out->n;
        render_protobuf_list_item(out, l->render, op->items[l->at]);
        assert(l->items_n >= out->n - was);
        l->items_n -= out->n - was;
        object_unref(TAKE_PTR(op->items[l->at]));
        l->at++;
    }
    if (l->at < op->item_count) {
        return true;
    }
    assert(l->items_n == 0);
    protobuf_end(out);
    return false;
}

bool render_list_next(struct render_list *l, struct strbuf *out)
{
    assert(out);
    assert(l->at <= l->op->item_count);
    if (l->render->accept.protobuf) {
        return next_protobuf(l, out);
    }
    enum { PART_BYTES = 16 * 1024, AHEAD = 4 /* items: cold memory otherwise */ };
    struct api_op *op = l->op;
    size_t before = out->n;
    if (!l->is_begun) {
        l->is_begun = true;
        put_list_head(out, l->render, op);
    }
    while (l->at < op->item_count && out->n - before < PART_BYTES) {
        if (l->at) {
            strbuf_putc(out, ',');
        }
        if (l->at + AHEAD < op->item_count) {
            __builtin_prefetch(op->items[l->at + AHEAD]);
        }
        put_list_item(out, l, op->items[l->at]);
        object_unref(TAKE_PTR(op->items[l->at]));
        l->at++;
    }
    if (l->at < op->item_count) {
        return true;
    }
    strbuf_puts(out, "]}");
    return false;
}

void render_list_end(struct render_list *l)
{
    assert(l->op);
    arena_free(TAKE_PTR(l->row));
    strbuf_done(&l->scratch);
    api_op_release(l->op);
}

static bool is_of_kind(const yyjson_val *tree, const struct schema_kind *kind)
{
    return span_eq_cstr(json_get_str(tree, "kind"), kind->kind);
}

const char *render_result(struct strbuf *out, const struct api_render *r, const struct api_op *op)
{
    assert(op->err.reason == ERR_NONE);
    struct arena *a = op->arena;
    if (r->accept.protobuf && render_protobuf(out, r, op)) {
        return r->accept.content_type;
    }
    if (op->tree) {
        if (r->accept.form == FORM_TABLE && is_of_kind(op->tree, r->kind)) {
            put_table_head(out, a, r, rev_metadata(a, op->rev));
            put_row(out, a, r, op->tree);
            strbuf_puts(out, "]}");
        } else if (r->accept.form == FORM_PARTIAL && is_of_kind(op->tree, r->kind)) {
            put_partial(out, a, r, op->tree);
        } else {
            bool stored = r->view && is_of_kind(op->tree, r->view->view_of);
            put_json(out, a, stored ? shown(a, r, op->tree) : op->tree);
        }
    } else {
        put_object(out, a, r, op->object);
    }
    return r->accept.protobuf ? "application/json" : r->accept.content_type;
}

/* ---- watch events ---- */

static void put_bookmark(struct strbuf *out, struct arena *a, const struct api_render *r,
                         int64_t rev, bool initial_end)
{
    if (r->accept.form == FORM_TABLE) {
        put_table_head(out, a, r, rev_metadata(a, rev));
        if (initial_end) {
            strbuf_printf(out,
                          "{\"cells\":[],\"object\":{\"kind\":\"PartialObjectMetadata\","
                          "\"apiVersion\":\"meta.k8s.io/%s\",\"metadata\":{\"resourceVersion\":"
                          "\"%lld\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}",
                          r->accept.version, (long long)rev);
        }
        strbuf_puts(out, "]}");
        return;
    }
    bool partial = r->accept.form == FORM_PARTIAL;
    strbuf_printf(out,
                  "{\"kind\":\"%s\",\"apiVersion\":\"%s%s\",\"metadata\":{\"resourceVersion\":"
                  "\"%lld\",\"creationTimestamp\":null%s}}",
                  partial ? "PartialObjectMetadata" : r->kind->kind, partial ? "meta.k8s.io/" : "",
                  partial ? r->accept.version : schema_api_version(r->kind), (long long)rev,
                  initial_end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
}

void render_event(struct strbuf *out, const struct api_render *r, enum watch_type type,
                  struct object *object, int64_t rev, bool initial_end)
{
    static const char *const names[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"};
    assert((unsigned)type < 4);
    assert(object || type == WATCH_BOOKMARK);
    if (r->accept.protobuf) {
        struct arena *a cleanup_arena = arena_new();
        struct strbuf mark cleanup_strbuf = STRBUF_INIT;
        if (!object) {
            put_bookmark(&mark, a, r, rev, initial_end);
        }
        render_protobuf_event(out, r, names[type], object, strbuf_span(&mark));
        return;
    }
    strbuf_puts(out, "{\"type\":\"");
    strbuf_puts(out, names[type]);
    strbuf_puts(out, "\",\"object\":");
    if (object && r->accept.form == FORM_JSON && !r->view) {
        strbuf_put(out, object_json(object));
    } else {
        struct arena *a = arena_new();
        struct object_glance glance = object_glance_begin(object);
        if (object) {
            put_object(out, a, r, object);
        } else {
            put_bookmark(out, a, r, rev, initial_end);
        }
        object_glance_end(&glance);
        arena_free(a);
    }
    strbuf_puts(out, "}\n");
}

void render_error_event(struct strbuf *out, const struct api_render *r, struct span status_json)
{
    assert(status_json.n > 0);
    if (r->accept.protobuf) {
        render_protobuf_event(out, r, "ERROR", NULL, status_json);
        return;
    }
    strbuf_puts(out, "{\"type\":\"ERROR\",\"object\":");
    strbuf_put(out, status_json);
    strbuf_puts(out, "}\n");
}
