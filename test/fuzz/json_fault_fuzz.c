/* A text has a fault in Go's words exactly when it is no JSON to us: but for bytes that are no
 * UTF-8, which Go takes. */
#include "base/check.h"
#include "codec/json.h"
#include "codec/json_fault.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    struct span text = span_of(data, size), fault = json_fault(a, text);
    yyjson_doc *doc = NULL;
    struct err err;
    bool is_json = json_parse(a, text, &doc, &err) == 0, ascii = true;
    for (size_t i = 0; i < size; i++) {
        ascii &= data[i] < 0x80;
    }
    assert(!is_json || !fault.n);
    /* Escapes that are half of a character, and numbers beyond all bounds, are Go's business. */
    bool plain = !memchr(data, '\\', size) && !memchr(data, 'e', size) && !memchr(data, 'E', size);
    assert(is_json || fault.n || !ascii || !plain || size > 300);
    return 0;
}
