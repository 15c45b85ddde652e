#include "codec/websocket.h"

#include <stdlib.h>

#include "kit/kit.h"

static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};

/* Feeds text in steps of `step` bytes and writes what comes out as text. */
static void run(struct span in, size_t step, bool masked, struct strbuf *out)
{
    struct ws_decoder d = {.expect_mask = masked};
    struct ws_event e;
    bool open = false;
    for (size_t at = 0; at < in.n; at += step) {
        struct span piece = span_first(span_from(in, at), step);
        while (ws_next(&d, &piece, &e)) {
            switch (e.type) {
            case WS_DATA:
                if (e.is_start) {
                    CHECK(!open);
                    strbuf_puts(out, e.is_text ? "T(" : "B(");
                }
                open = !e.is_end;
                strbuf_put(out, e.bytes);
                strbuf_puts(out, e.is_end ? ")" : "");
                break;
            case WS_PING:
                strbuf_printf(out, "ping[%.*s]", SPAN_ARG(e.bytes));
                break;
            case WS_PONG:
                strbuf_printf(out, "pong[%.*s]", SPAN_ARG(e.bytes));
                break;
            case WS_CLOSE:
                strbuf_printf(out, "close[%d %.*s]", e.code, SPAN_ARG(e.bytes));
                break;
            case WS_ERROR:
                strbuf_printf(out, "error[%d %.*s]", e.code, SPAN_ARG(e.bytes));
            }
        }
        CHECK_EQ(piece.n, 0);
    }
    ws_decoder_done(&d);
}

TEST(messages_fragments_and_control_frames_come_out_alike_however_they_are_cut)
{
    struct strbuf in = STRBUF_INIT, out = STRBUF_INIT;
    ws_put_frame(&in, WS_OP_TEXT, true, key, SPAN("Hello"));
    ws_put_frame(&in, WS_OP_BINARY, false, key, SPAN("one "));
    ws_put_frame(&in, WS_OP_PING, true, key, SPAN("are you there"));
    ws_put_frame(&in, WS_OP_CONT, false, key, SPAN(""));
    ws_put_frame(&in, WS_OP_CONT, true, key, SPAN("two"));
    ws_put_frame(&in, WS_OP_BINARY, true, key, SPAN(""));
    ws_put_frame(&in, WS_OP_PONG, true, key, SPAN(""));
    ws_put_frame(&in, WS_OP_CLOSE, true, key,
                 SPAN("\x03\xe8"
                      "bye"));
    ws_put_frame(&in, WS_OP_TEXT, true, key, SPAN("after the end"));
    for (size_t step = 1; step <= in.n; step++) {
        strbuf_clear(&out);
        run(strbuf_span(&in), step, true, &out);
        if (step == in.n) {
            CHECK_SPAN(strbuf_span(&out),
                       "T(Hello)B(one ping[are you there]two)B()pong[]close[1000 bye]");
        }
        CHECK(strstr(out.p, "close[1000 bye]") && !strstr(out.p, "after"));
        CHECK(strstr(out.p, "T(Hello)B(one ping[are you there]two)B()pong[]"));
    }
    strbuf_done(&in);
    strbuf_done(&out);
}

TEST(lengths_of_all_three_forms_go_round)
{
    const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 200000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct strbuf in = STRBUF_INIT, out = STRBUF_INIT, want = STRBUF_INIT;
        strbuf_puts(&want, "B(");
        memset(strbuf_room(&want, sizes[i] + 1), 'x', sizes[i]);
        strbuf_added(&want, sizes[i]);
        struct span body = span_from(strbuf_span(&want), 2);
        ws_put(&in, WS_OP_BINARY, span_first(body, 1), span_from(body, 1));
        run(strbuf_span(&in), 4000, false, &out);
        strbuf_puts(&want, ")");
        CHECK(span_eq(strbuf_span(&out), strbuf_span(&want)));
        strbuf_done(&in);
        strbuf_done(&out);
        strbuf_done(&want);
    }
}

TEST(broken_frames_are_refused_with_a_protocol_error)
{
    static const struct {
        struct span in;
        const char *want;
    } cases[] = {
        {SPAN("\x81\x05Hello"), "error[1002 frame is not masked]"},
        {SPAN("\xc1\x80"
              "abcd"),
         "error[1002 reserved bits are set]"},
        {SPAN("\x83\x80"
              "abcd"),
         "error[1002 unknown frame]"},
        {SPAN("\x8b\x80"
              "abcd"),
         "error[1002 unknown control frame]"},
        {SPAN("\x09\x80"
              "abcd"),
         "error[1002 control frame in parts]"},
        {SPAN("\x89\xfe\x00\x7e"
              "abcd"),
         "error[1002 control frame in parts]"},
        {SPAN("\x80\x80"
              "abcd"),
         "error[1002 continuation of nothing]"},
        {SPAN("\x01\x80"
              "abcd\x81\x80"
              "abcd"),
         "T(error[1002 message inside a message]"},
        {SPAN("\x82\xfe\x00\x05"
              "abcd"),
         "error[1002 malformed length]"},
        {SPAN("\x82\xff\xff\0\0\0\0\0\0\0"
              "abcd"),
         "error[1002 malformed length]"},
        {SPAN("\x88\x81"
              "\0\0\0\0"
              "a"),
         "error[1002 malformed close frame]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strbuf out = STRBUF_INIT;
        run(cases[i].in, 100, true, &out);
        CHECK_SPAN(strbuf_span(&out), cases[i].want);
        strbuf_done(&out);
    }
}

TEST(accept_keys_match_the_example_of_the_rfc)
{
    char accept[WS_ACCEPT_BYTES + 1];
    CHECK(ws_accept_key(SPAN("dGhlIHNhbXBsZSBub25jZQ=="), accept));
    CHECK_SPAN(span_cstr(accept), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    CHECK(!ws_accept_key(SPAN(""), accept));
    CHECK(!ws_accept_key(SPAN("dGhlIHNhbXBsZSBub25jZQ="), accept));
    CHECK(!ws_accept_key(SPAN("dGhlIHNhbXBsZSBub25jZQAA"), accept));
    CHECK(!ws_accept_key(SPAN("dGhl*HNhbXBsZSBub25jZQ=="), accept));
}
