/* codec/json_build.h: an immutable tree built member by member, in the order that its values have,
 * where nothing is looked up or changed meanwhile.
 *
 * Keys and strings are shared: keep them alive as long as the tree. Keys are the program's own
 * words, which need no escapes, each once in an object; an element of a list has none: SPAN_NULL.
 */
#ifndef CODEC_JSON_BUILD_H
#define CODEC_JSON_BUILD_H

#include "codec/json.h"

struct json_build {
    struct arena *a;
    yyjson_val *at;
    size_t n, cap;
    size_t open; /* the container that takes the next value; while open, one knows its parent */
};

/* With the root, an object, open. */
struct json_build json_build_new(struct arena *a);
void json_build_object(struct json_build *b, struct span key);
void json_build_list(struct json_build *b, struct span key);
void json_build_close(struct json_build *b);
void json_build_str(struct json_build *b, struct span key, struct span value);
void json_build_int(struct json_build *b, struct span key, int64_t value);
void json_build_bool(struct json_build *b, struct span key, bool value);
void json_build_copy(struct json_build *b, struct span key, const yyjson_val *v);
/* Closes the root and returns it: it is the arena's. */
yyjson_val *json_build_done(struct json_build *b);

#endif
