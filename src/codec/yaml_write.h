/* codec/yaml_write.h: a JSON tree as YAML, the way kubectl and API servers write it: blocks of two
 * spaces, members by name, texts of several lines as literal blocks, long ones folded, and quotes
 * where a reader would take a text for something else. */
#ifndef CODEC_YAML_WRITE_H
#define CODEC_YAML_WRITE_H

#include <yyjson.h>

#include "base/strbuf.h"

/* Appends one document. root: no deeper than LIMIT_JSON_DEPTH, as parsing leaves it. */
void yaml_write(struct strbuf *out, const yyjson_val *root);

#endif
