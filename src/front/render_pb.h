/* front/render_pb.h: the protobuf forms of render.h, for render.c alone. */
#ifndef FRONT_RENDER_PB_H
#define FRONT_RENDER_PB_H

#include "front/render.h"

/* The result of an operation; false when it has no protobuf form (nothing is appended). */
bool render_protobuf(struct strbuf *out, const struct api_render *r, const struct api_op *op);
/* A list in steps: its length stands in front, so each item is measured first (which is remembered
 * for most), then begin with the sum, each item, and protobuf_end(). Returns bytes. */
size_t render_protobuf_list_measure(struct strbuf *scratch, const struct api_render *r,
                                    struct object *o);
void render_protobuf_list_begin(struct strbuf *out, const struct api_render *r,
                                const struct api_op *op, size_t items_n);
void render_protobuf_list_item(struct strbuf *out, const struct api_render *r, struct object *o);
/* A frame: its length in four bytes, then WatchEvent{type, object}. Without an object, the event is
 * about this JSON text of ours (a bookmark, a Status). */
void render_protobuf_event(struct strbuf *out, const struct api_render *r, const char *type,
                           struct object *object, struct span json);

#endif
