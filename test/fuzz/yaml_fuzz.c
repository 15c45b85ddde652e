/* YAML bodies: whatever parses is a tree that can be written as JSON and read back. */
#include "base/check.h"
#include "codec/json.h"
#include "codec/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    struct err err = {0};
    yyjson_val *v = yaml_parse(a, span_of(data, size), &err);
    assert(v || err.reason != ERR_NONE);
    if (v) {
        /* Bytes that are not UTF-8 are refused by libyaml, so the text is JSON. */
        yyjson_doc *doc = NULL;
        assert(json_parse(a, json_write(a, v), &doc, &err) == 0 || err.reason == ERR_TOO_LARGE);
    }
    return 0;
}
