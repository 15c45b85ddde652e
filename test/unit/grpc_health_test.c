/* The gRPC health client against answers made by hand, byte by byte as RFC 9113 and 7541 have them.
 */
#include <string.h>

#include "codec/grpc_health.h"
#include "test/kit/kit.h"

#define SETTINGS "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
/* :status 200; then the message; then grpc-status 0 with END_STREAM */
#define HEADERS_200 "\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88"
#define MESSAGE(status) "\x00\x00\x07\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x02\x08" status
#define TRAILERS_0 "\x00\x00\x0f\x01\x05\x00\x00\x00\x01\x00\x0bgrpc-status\x01\x30"

struct asked {
    bool done, serving;
    char text[256];
    struct span sent;
};

/* The answer in pieces of `step` bytes. */
static struct asked ask(struct arena *a, struct span answer, size_t step)
{
    struct asked r = {0};
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    struct grpc_health *h = grpc_health_new(SPAN("10.0.0.1:9000"), SPAN("db"));
    grpc_health_send(h, &out);
    while (answer.n > 0 && !r.done) {
        size_t n = step < answer.n ? step : answer.n;
        r.done = grpc_health_recv(h, span_first(answer, n));
        grpc_health_send(h, &out);
        answer = span_from(answer, n);
    }
    struct span text = SPAN_NULL;
    r.serving = grpc_health_result(h, a, &text);
    (void)snprintf(r.text, sizeof r.text, "%.*s", SPAN_ARG(text));
    r.sent = arena_dup(a, strbuf_span(&out));
    grpc_health_free(h);
    return r;
}

static bool holds(struct span s, struct span part)
{
    return memmem(s.p, s.n, part.p, part.n) != NULL;
}

TEST(a_serving_service_in_pieces_of_any_size)
{
    struct arena *a = arena_new();
    for (size_t step = 1; step < 80; step++) {
        struct asked r = ask(a, SPAN(SETTINGS HEADERS_200 MESSAGE("\x01") TRAILERS_0), step);
        CHECK(r.done && r.serving);
        CHECK_SPAN(span_cstr(r.text), "service healthy");
        CHECK(span_starts(r.sent, SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")));
        CHECK(holds(r.sent, SPAN("\x00\x00\x00\x00\x04\x0a\x02"
                                 "db")));
    }
    arena_free(a);
}

TEST(every_other_answer_is_told_in_kubernetes_words)
{
    struct arena *a = arena_new();
    struct asked r = ask(a, SPAN(SETTINGS HEADERS_200 MESSAGE("\x02") TRAILERS_0), 1000);
    CHECK(r.done && !r.serving);
    CHECK_SPAN(span_cstr(r.text), "service unhealthy (responded with \"NOT_SERVING\")");
    r = ask(a,
            SPAN(SETTINGS "\x00\x00\x25\x01\x05\x00\x00\x00\x01\x88\x00\x0bgrpc-status\x02"
                          "12\x00\x0cgrpc-message\x05"
                          "nope!"),
            1000);
    CHECK(r.done && !r.serving);
    CHECK_SPAN(span_cstr(r.text), "error: this server does not implement the grpc health protocol "
                                  "(grpc.health.v1.Health): nope!");
    r = ask(a, SPAN("HTTP/1.1 400 Bad Request\r\n\r\n"), 1000);
    CHECK(r.done && !r.serving);
    r = ask(a, SPAN(SETTINGS), 1000);
    CHECK(!r.done && !r.serving);
    CHECK_SPAN(span_cstr(r.text),
               "error: health rpc probe failed: the connection ended without an answer");
    r = ask(a, SPAN(SETTINGS HEADERS_200 TRAILERS_0), 1000);
    CHECK(r.done && !r.serving);
    CHECK_SPAN(span_cstr(r.text), "error: health rpc probe failed: malformed answer");
    arena_free(a);
}

TEST(an_endless_answer_ends)
{
    struct arena *a = arena_new();
    struct grpc_health *h = grpc_health_new(SPAN("10.0.0.1:9000"), SPAN_NULL);
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    grpc_health_send(h, &out);
    size_t frames = 0;
    bool done = grpc_health_recv(h, SPAN(SETTINGS HEADERS_200));
    while (!done && frames < 100000) {
        done = grpc_health_recv(h, SPAN("\x00\x00\x08\x06\x00\x00\x00\x00\x00"
                                        "12345678")); /* pings */
        grpc_health_send(h, &out);
        frames++;
    }
    CHECK(done && frames < 5000);
    struct span text = SPAN_NULL;
    CHECK(!grpc_health_result(h, a, &text));
    grpc_health_free(h);
    arena_free(a);
}
