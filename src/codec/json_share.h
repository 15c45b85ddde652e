/* codec/json_share.h: an immutable tree that several hold: its values and their strings in one
 * block, such as a parsed document's. What one part of the program tells another that way is
 * neither written as text nor parsed. */
#ifndef CODEC_JSON_SHARE_H
#define CODEC_JSON_SHARE_H

#include "codec/json.h"

struct json_shared {
    struct arena *own; /* which this block is from */
    uint32_t refs;
    yyjson_val root[]; /* the tree's values; then its strings */
};

/* What parsing the text of v would give, with a reference that the arena gives back when it is
 * cleared. Strings may have any bytes: json_clean_text() sees to those that are no UTF-8. v, which
 * the caller has made (json_freeze_shared(), json_build_done()), may be changed. */
struct json_shared *json_share(struct arena *a, yyjson_val *v);
/* The same of an object or a list that is still being made, which stays as it is. */
struct json_shared *json_share_mut(struct arena *a, yyjson_mut_val *v);
/* Takes another reference, which this arena gives back. Returns the tree. */
struct json_shared *json_share_hold(struct arena *a, struct json_shared *s);

#endif
