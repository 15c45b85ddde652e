/* What a server may answer to a gRPC health check, in two pieces. */
#include "codec/grpc_health.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    struct grpc_health *h = grpc_health_new(SPAN("10.0.0.1:9000"), SPAN("svc"));
    struct span bytes = span_of((const char *)data, size), text = SPAN_NULL;
    grpc_health_send(h, &out);
    size_t half = size / 2;
    if (!grpc_health_recv(h, span_first(bytes, half))) {
        grpc_health_send(h, &out);
        (void)grpc_health_recv(h, span_from(bytes, half));
        grpc_health_send(h, &out);
    }
    (void)grpc_health_result(h, a, &text);
    assert(text.n > 0 && out.n > 24);
    grpc_health_free(h);
    return 0;
}
