/* codec/json_out.h: text of values, one after the other, in an arena, and where in it each string
 * stands. Internal to codec. */
#ifndef CODEC_JSON_OUT_H
#define CODEC_JSON_OUT_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/span.h"

struct json_out {
    struct arena *a;
    char *p, *end;        /* end: of the room */
    size_t n, cap, first; /* first: the room that is taken at first, which then doubles */
    uint32_t *place;      /* of the next value: gets where a string's first byte stands */
};

void json_out_value(struct json_out *t, const yyjson_val *v);
/* The key of a member, with its colon, behind that brace or comma. */
void json_out_key(struct json_out *t, char before, const yyjson_val *key);
/* As it is. Has no place. */
void json_out_text(struct json_out *t, struct span text);

#endif
