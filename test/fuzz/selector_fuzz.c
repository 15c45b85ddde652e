/* Label and field selectors as text; what parses must print to text that parses to the same text
 * again. */
#include "base/check.h"
#include "codec/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    struct span text = span_of(data, size);
    struct selector s, again;
    struct field_selector f;
    struct err err = {0};
    if (selector_parse(a, text, &s, &err) == 0) {
        struct span one = selector_text(a, &s);
        assert(selector_parse(a, one, &again, &err) == 0);
        assert(span_eq(one, selector_text(a, &again)));
        (void)selector_matches(&s, NULL);
    }
    (void)field_selector_parse(a, text, &f, &err);
    return 0;
}
