/* codec/yaml.h: one YAML document as a JSON tree, by the rules of Kubernetes' YAML (1.1 scalars as
 * JSON types).
 *
 * Bounded: LIMIT_BODY_BYTES of text, LIMIT_JSON_DEPTH levels, LIMIT_YAML_NODES nodes after aliases
 * are expanded (so that a small text cannot become a huge tree). Keys are strings; a duplicate key
 * keeps both members, for the decoder to report. */
#ifndef CODEC_YAML_H
#define CODEC_YAML_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/err.h"

/* The only document of text; an empty text gives null. NULL with ERR_BAD_REQUEST: malformed (with
 * the line), too deep, too large, or several documents. */
yyjson_val *yaml_parse(struct arena *a, struct span text, struct err *reterr);
/* Whether a bare scalar is a text, and no null, yes or no, or number. a: scratch. */
bool yaml_plain_is_text(struct arena *a, struct span s);

#endif
