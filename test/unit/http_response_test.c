/* Replies of other servers: what is taken, what is left out, what is refused. */
#include "http/http_response.h"

#include "base/limits.h"
#include "base/strbuf.h"
#include "test/kit/kit.h"

struct seen {
    struct http_response *r;
    struct strbuf body;
    int heads, status;
};

static void on_head(void *data)
{
    struct seen *s = data;
    s->heads++;
    s->status = http_response_status(s->r);
}

static void on_body(void *data, struct span bytes)
{
    struct seen *s = data;
    strbuf_put(&s->body, bytes);
}

static const struct http_response_handler handler = {on_head, on_body};

/* Fed in pieces of `step` bytes, then ended. */
static enum http_response_state read_all(struct seen *s, struct span in, size_t step, bool to_head)
{
    enum http_response_state state = HTTP_RESPONSE_MORE;
    *s = (struct seen){.body = STRBUF_INIT};
    s->r = http_response_new(to_head, &handler, s);
    while (in.n && state == HTTP_RESPONSE_MORE) {
        state = http_response_feed(s->r, span_first(in, step));
        in = span_from(in, step);
    }
    return state == HTTP_RESPONSE_MORE ? http_response_end(s->r) : state;
}

static void done(struct seen *s)
{
    http_response_free(s->r);
    strbuf_done(&s->body);
}

TEST(a_reply_is_read_however_it_is_cut)
{
    static const char *const replies[] = {
        "HTTP/1.1 203 X\r\nA: b\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 203 X\r\nA: b\r\nTransfer-Encoding: "
        "chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        "HTTP/1.0 203 X\r\nA:  b \r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\nB: c\r\n\r\nHTTP/1.1 203 X\r\na: b\r\nConnection: "
        "close\r\n\r\nhello"};
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        for (size_t step = 1; step < 100; step++) {
            struct seen s;
            struct span name, value;
            size_t at = 0;
            CHECK_EQ(read_all(&s, span_cstr(replies[i]), step, false), HTTP_RESPONSE_DONE);
            CHECK_EQ(s.heads, 1);
            CHECK_EQ(s.status, 203);
            CHECK_SPAN(strbuf_span(&s.body), "hello");
            CHECK(http_response_header(s.r, &at, &name, &value));
            CHECK_SPAN(name, "a");
            CHECK_SPAN(value, "b");
            done(&s);
        }
    }
}

TEST(a_reply_to_head_has_no_body)
{
    struct seen s;
    CHECK_EQ(read_all(&s, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), 7, true),
             HTTP_RESPONSE_DONE);
    CHECK_EQ(s.body.n, 0);
    done(&s);
}

TEST(what_is_no_reply_is_refused)
{
    static const char *const bad[] = {
        "",
        "hello",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct seen s;
        CHECK_EQ(read_all(&s, span_cstr(bad[i]), 3, false), HTTP_RESPONSE_BAD);
        done(&s);
    }
}

TEST(heads_beyond_the_limits_are_refused)
{
    struct strbuf large cleanup_strbuf = STRBUF_INIT, many cleanup_strbuf = STRBUF_INIT;
    struct seen s;
    strbuf_puts(&large, "HTTP/1.1 200 OK\r\nA: ");
    for (size_t i = 0; i < LIMIT_HTTP_HEAD_BYTES; i++) {
        strbuf_puts(&large, "x");
    }
    CHECK_EQ(read_all(&s, strbuf_span(&large), 1000, false), HTTP_RESPONSE_BAD);
    done(&s);
    strbuf_puts(&many, "HTTP/1.1 200 OK\r\n");
    for (size_t i = 0; i <= LIMIT_HTTP_HEADERS; i++) {
        strbuf_puts(&many, "A: b\r\n");
    }
    CHECK_EQ(read_all(&s, strbuf_span(&many), 1000, false), HTTP_RESPONSE_BAD);
    done(&s);
}
