/* test/fuzz/patch_case.h: what the fuzz targets of the three patch forms share: the input is one
 * document {"original": ..., "patch": ...}, and what comes out can be written and read again,
 * unless copies of a JSON patch made it larger than any body may be. */
#ifndef TEST_FUZZ_PATCH_CASE_H
#define TEST_FUZZ_PATCH_CASE_H

#include "base/check.h"
#include "codec/json.h"
#include "schema/patch.h"

typedef yyjson_mut_val *patch_case_fn(struct arena *a, yyjson_mut_doc *doc,
                                      const yyjson_val *original, const yyjson_val *patch,
                                      struct err *reterr);

static inline void patch_case(const uint8_t *data, size_t size, patch_case_fn *fn)
{
    struct arena *a cleanup_arena = arena_new();
    yyjson_doc *in, *again;
    struct err err = {0};
    if (json_parse(a, span_of(data, size), &in, &err) < 0) {
        return;
    }
    yyjson_val *original = json_get(yyjson_doc_get_root(in), "original");
    yyjson_val *patch = json_get(yyjson_doc_get_root(in), "patch");
    if (original && patch) {
        yyjson_mut_val *out = fn(a, json_mut_new(a), original, patch, &err);
        assert(out || err.message.n > 0);
        assert(!out || json_parse(a, json_write_mut(a, out), &again, &err) == 0 ||
               err.reason == ERR_TOO_LARGE);
    }
}

#endif
