/* Paths and Accept headers of requests: any bytes give a route or none, and a form or none. */
#include "base/check.h"
#include "front/negotiate.h"
#include "front/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    struct span text = span_of(data, size);
    struct route r = route_parse(a, NULL, text);
    struct api_accept accept;
    assert((r.type == ROUTE_RESOURCE) == (r.kind != NULL));
    assert(!r.sub || r.name.n);
    (void)api_negotiate(text, FORMS_DISCOVERY, &accept);
    (void)api_negotiate(text, FORMS_OBJECT, &accept);
    return 0;
}
