/* test/kit/json_kit.c: see json_kit.h. */
#include "kit/json_kit.h"

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "kit/kit.h"

yyjson_val *json_kit_parse(struct arena *a, struct span text)
{
    yyjson_doc *doc = NULL;
    struct err err = {0};
    if (json_parse(a, text, &doc, &err) < 0) {
        kit_fail(__FILE__, __LINE__, "%.*s", SPAN_ARG(err.message));
    }
    return yyjson_doc_get_root(doc);
}

struct span json_kit_read(struct arena *a, const char *path)
{
    FILE *f cleanup_fclose = fopen(path, "re");
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    CHECK(f);
    for (size_t n = 1; n > 0;) {
        n = fread(strbuf_room(&b, 4096), 1, 4096, f);
        strbuf_added(&b, n);
    }
    return arena_dup(a, strbuf_span(&b));
}
