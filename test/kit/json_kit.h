/* test/kit/json_kit.h: JSON for tests: texts that must be right, and the case files in data/. */
#ifndef TEST_KIT_JSON_KIT_H
#define TEST_KIT_JSON_KIT_H

#include "base/arena.h"
#include "codec/json.h"

/* The root; fails the test when the text is no JSON. */
yyjson_val *json_kit_parse(struct arena *a, struct span text);
/* The whole of a file; fails the test when it is not there. */
struct span json_kit_read(struct arena *a, const char *path);

#endif
