/* codec/json_pretty.h: compact JSON laid out for people: a member a line, two spaces a level. Text
 * in, text out, in parts of any size; the text is our own writers' and not checked. */
#ifndef CODEC_JSON_PRETTY_H
#define CODEC_JSON_PRETTY_H

#include "base/span.h"
#include "base/strbuf.h"

/* Zero at the start of a document. */
struct json_pretty {
    size_t depth;
    bool in_text, is_escaped;
    bool is_opened; /* a bracket, and nothing in it so far */
};

/* Appends the next part of a document as it is laid out. */
void json_pretty_put(struct json_pretty *p, struct span part, struct strbuf *out);

#endif
