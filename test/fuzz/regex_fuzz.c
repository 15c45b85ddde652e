/* A pattern and a text, apart by the first line end. */
#include "base/arena.h"
#include "codec/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    struct span text = span_of(data, size), pattern = span_cut(&text, '\n');
    const char *why;
    struct regex *r = regex_compile(a, pattern, &why);
    if (r) {
        (void)regex_match(r, a, text);
    }
    return 0;
}
