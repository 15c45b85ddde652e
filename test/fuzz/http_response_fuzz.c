/* Any bytes as a server's reply, in pieces: a head, a body or a refusal, never worse. */
#include "http/http_response.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct http_response *reply;

static void on_head(void *data)
{
    size_t at = 0;
    struct span name, value;
    (void)data;
    while (http_response_header(reply, &at, &name, &value)) {
        assert(name.n + value.n <= 64 * 1024);
    }
}

static void on_body(void *data, struct span bytes)
{
    *(size_t *)data += bytes.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct http_response_handler handler = {on_head, on_body};
    size_t body = 0, half = n / 2;
    enum http_response_state s;
    reply = http_response_new(n % 2, &handler, &body);
    s = http_response_feed(reply, span_of(data, half));
    s = s == HTTP_RESPONSE_MORE ? http_response_feed(reply, span_of(data + half, n - half)) : s;
    (void)(s == HTTP_RESPONSE_MORE ? http_response_end(reply) : s);
    assert(body <= n);
    http_response_free(reply);
    return 0;
}
