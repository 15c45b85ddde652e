/* front/render.h: the bytes of an answer: an object, a list, a table, partial metadata, a watch
 * event; as JSON or protobuf. Plain JSON of a stored version is its own bytes; nothing is
 * serialised again. */
#ifndef FRONT_RENDER_H
#define FRONT_RENDER_H

#include "apiserver/op.h"
#include "base/strbuf.h"
#include "front/negotiate.h"
#include "watch/watch.h"

struct api_render {
    const struct schema_kind *kind;
    const struct schema_kind *view; /* what is stored is shown as this (api_op.view), or NULL */
    struct api_accept accept;
    struct span include_object; /* of table rows: None, Metadata (default), Object */
    int64_t now_ms;
};

/* The result of a finished operation (err.reason is ERR_NONE) that is no list. Returns its
 * content type. */
const char *render_result(struct strbuf *out, const struct api_render *r, const struct api_op *op);
/* A list in parts, so that it is never in memory whole. In protobuf its length stands in front: the
 * items are made twice, or once when it is remembered how long they are. */
struct render_list {
    const struct api_render *render;
    struct api_op *op; /* its items are released as they are rendered */
    struct arena *row; /* scratch of one item */
    struct span start; /* what plain items start with: not said again */
    size_t at;         /* the next item */
    struct strbuf scratch;
    size_t measured, items_n; /* items; their bytes */
    bool is_begun;
};
/* Whether the operation's result is one that may be rendered so. Returns its content type, or
 * NULL. */
const char *render_list_begin(struct render_list *l, const struct api_render *r, struct api_op *op);
/* Appends the next part, which may be none yet; false: that was the last. */
bool render_list_next(struct render_list *l, struct strbuf *out);
/* Releases the items that are left, too. */
void render_list_end(struct render_list *l);
/* One line of a watch, or one frame in protobuf. For a bookmark object is NULL; initial_end marks
 * the end of the initial events. */
void render_event(struct strbuf *out, const struct api_render *r, enum watch_type type,
                  struct object *object, int64_t rev, bool initial_end);
/* An ERROR line or frame with this Status JSON. */
void render_error_event(struct strbuf *out, const struct api_render *r, struct span status_json);
/* A Status as a client of protobuf reads it. */
void render_status_protobuf(struct strbuf *out, struct span status_json);

#endif
