/* codec/json_fault.h: what is wrong with a text that is no JSON, in the words of Go's
 * encoding/json, which clients and people know. */
#ifndef CODEC_JSON_FAULT_H
#define CODEC_JSON_FAULT_H

#include "base/arena.h"
#include "base/span.h"

/* "invalid character '}' looking for beginning of value"; empty: Go would take it. The text is in
 * the arena. */
struct span json_fault(struct arena *a, struct span text);

#endif
