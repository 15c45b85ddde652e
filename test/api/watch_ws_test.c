/* Watches over WebSocket: one event a message, and every way in which such a connection ends. */
#include "base/strbuf.h"
#include "codec/websocket.h"
#include "kit/api_kit.h"

#define CM "/api/v1/namespaces/default/configmaps"

struct talk {
    struct api_kit *k;
    struct env_stream *stream;
    struct ws_decoder decoder;
    struct strbuf head, message;
    bool upgraded, flag, ended;
    int messages, pongs;
    uint16_t code;
    char last[2048];
};

static void on_event(struct talk *t, const struct ws_event *e)
{
    if (e->type == WS_DATA) {
        CHECK(e->is_text);
        strbuf_put(&t->message, e->bytes);
        if (e->is_end) {
            (void)snprintf(t->last, sizeof t->last, "%.*s", (int)t->message.n, t->message.p);
            strbuf_clear(&t->message);
            t->messages++;
            t->flag = true;
        }
    } else if (e->type == WS_PONG) {
        t->pongs++;
        t->flag = true;
    } else if (e->type == WS_CLOSE) {
        t->code = e->code;
    }
}

static void on_read(void *data, struct span bytes)
{
    struct talk *t = data;
    struct ws_event e;
    if (!t->upgraded) {
        strbuf_put(&t->head, bytes);
        const char *end = memmem(t->head.p, t->head.n, "\r\n\r\n", 4);
        if (!end) {
            return;
        }
        t->upgraded = t->flag = true;
        bytes = span_from(strbuf_span(&t->head), (size_t)(end + 4 - t->head.p));
    }
    while (ws_next(&t->decoder, &bytes, &e)) {
        on_event(t, &e);
    }
}

static void on_end(void *data, int code)
{
    struct talk *t = data;
    (void)code;
    t->ended = t->flag = true;
}

static void wait(struct talk *t)
{
    t->flag = false;
    api_run_until(t->k, &t->flag);
}

static void wait_messages(struct talk *t, int n)
{
    while (t->messages < n) {
        wait(t);
    }
}

static void dial(struct talk *t, struct api_kit *k, const char *query)
{
    static const struct env_stream_handler handler = {on_read, on_end, NULL};
    char path[256];
    *t = (struct talk){.k = k};
    (void)snprintf(path, sizeof path, CM "?watch=1%s", query);
    t->stream = api_dial_ws(k, path, "base64.binary.k8s.io, v4", &handler, t);
    while (!t->upgraded) {
        wait(t);
    }
    CHECK(span_starts(strbuf_span(&t->head), SPAN("HTTP/1.1 101 ")));
    CHECK(memmem(t->head.p, t->head.n, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28) != NULL);
    CHECK(memmem(t->head.p, t->head.n, "Protocol: base64.binary.k8s.io\r\n", 32) != NULL);
}

static void hang_up(struct talk *t)
{
    if (t->stream) {
        env_stream_close(t->stream);
    }
    ws_decoder_done(&t->decoder);
    strbuf_done(&t->head);
    strbuf_done(&t->message);
}

static void say(struct talk *t, enum ws_op op, struct span bytes)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    ws_put_frame(&out, op, true, mask, bytes);
    env_stream_write(t->stream, strbuf_span(&out));
}

static void make(struct api_kit *k, const char *name)
{
    char body[128];
    (void)snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"%s\"}}", name);
    (void)api_expect(k, 201, "POST", CM, "", body);
}

TEST(each_event_is_a_message_and_a_ping_is_answered)
{
    struct api_kit k;
    struct talk t;
    api_kit_start(&k, NULL);
    make(&k, "old");
    dial(&t, &k, "");
    wait_messages(&t, 1);
    CHECK(strstr(t.last, "{\"type\":\"ADDED\",\"object\":{") == t.last);
    CHECK(strstr(t.last, "\"old\""));
    make(&k, "new");
    wait_messages(&t, 2);
    CHECK(strstr(t.last, "\"new\""));
    say(&t, WS_OP_TEXT, SPAN("whatever a client says"));
    say(&t, WS_OP_PING, SPAN("there?"));
    while (!t.pongs) {
        wait(&t);
    }
    CHECK_EQ(t.messages, 2);
    hang_up(&t);
    api_kit_stop(&k);
}

TEST(a_goodbye_is_returned_and_the_timeout_says_one)
{
    struct api_kit k;
    struct talk t;
    api_kit_start(&k, NULL);
    dial(&t, &k, "");
    say(&t, WS_OP_CLOSE, SPAN("\x03\xe8"));
    while (!t.ended) {
        wait(&t);
    }
    CHECK_EQ(t.code, WS_NORMAL);
    hang_up(&t);
    dial(&t, &k, "&timeoutSeconds=1&allowWatchBookmarks=true");
    while (!t.ended) {
        wait(&t);
    }
    CHECK_EQ(t.code, WS_NORMAL);
    CHECK(strstr(t.last, "\"BOOKMARK\""));
    hang_up(&t);
    dial(&t, &k, "");
    say(&t, WS_OP_CONT, SPAN("of nothing"));
    while (!t.ended) {
        wait(&t);
    }
    CHECK_EQ(t.code, WS_PROTOCOL_ERROR);
    hang_up(&t);
    api_kit_stop(&k);
}

TEST(a_client_that_vanishes_and_a_server_that_stops_leave_nothing)
{
    struct api_kit k;
    struct talk t;
    api_kit_start(&k, NULL);
    dial(&t, &k, "");
    hang_up(&t);
    make(&k, "a");
    api_run_ms(&k, 50);
    struct api_reply r = api_expect(&k, 200, "GET", "/metrics", "", NULL);
    CHECK(memmem(r.body.p, r.body.n, "\nberth_watches 0\n", 17) != NULL);
    dial(&t, &k, "");
    wait_messages(&t, 1);
    struct env_stream *mine = t.stream;
    t.stream = NULL;
    env_stream_close(mine);
    hang_up(&t);
    dial(&t, &k, "");
    env_stream_close(t.stream); /* the server is stopped before it can have noticed */
    t.stream = NULL;
    hang_up(&t);
    api_kit_stop(&k);
}

TEST(a_malformed_handshake_is_a_bad_request)
{
    struct api_kit k;
    api_kit_start(&k, NULL);
    struct api_reply r = api_expect(&k, 400, "GET", CM "?watch=1",
                                    "Upgrade: websocket\r\nConnection: Upgrade\r\n", NULL);
    CHECK(memmem(r.body.p, r.body.n, "malformed WebSocket request", 27) != NULL);
    r = api_expect(&k, 200, "GET", "/metrics", "", NULL);
    CHECK(memmem(r.body.p, r.body.n, "\nberth_watches 0\n", 17) != NULL);
    api_kit_stop(&k);
}
