/* Continue tokens: what is taken for one says the same when it is made again. */
#include "apiserver/list_token.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena *a cleanup_arena = arena_new();
    struct list_token t, again;
    if (!list_token_parse(span_of((const char *)bytes, n), &t)) {
        return 0;
    }
    assert(t.rev >= 0 && t.key.n > 0 && t.key.n < n);
    bool ok = list_token_parse(list_token_make(a, &t), &again);
    assert(ok && again.rev == t.rev && again.snapshot == t.snapshot && again.at == t.at);
    assert(again.query == t.query && span_eq(again.key, t.key));
    return 0;
}
