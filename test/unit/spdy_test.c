#include "codec/spdy.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/limits.h"
#include "kit/kit.h"

TEST(the_dictionary_is_the_published_one)
{
    struct span d = spdy_dictionary();
    CHECK_EQ(d.n, 1423);
    CHECK_EQ(adler32(1, (const Bytef *)d.p, (uInt)d.n), 0xe3c6a7c2);
}

static void show(struct strbuf *out, const struct spdy_event *e)
{
    strbuf_printf(out, "%d:%u:%u%s", (int)e->type, e->stream, e->value, e->fin ? "!" : "");
    for (size_t i = 0; i < e->header_count; i++) {
        strbuf_printf(out, " %.*s=%.*s", SPAN_ARG(e->headers[i].name),
                      SPAN_ARG(e->headers[i].value));
    }
    strbuf_printf(out, "[%.*s]\n", SPAN_ARG(e->bytes));
}

static void run(struct span in, size_t step, struct strbuf *out)
{
    struct spdy_decoder *d = spdy_decoder_new();
    struct spdy_event e;
    for (size_t at = 0; at < in.n; at += step) {
        struct span piece = span_first(span_from(in, at), step);
        while (spdy_next(d, &piece, &e)) {
            show(out, &e);
        }
        CHECK_EQ(piece.n, 0);
    }
    spdy_decoder_free(d);
}

static void sample(struct strbuf *in)
{
    struct spdy_encoder *e = spdy_encoder_new();
    const struct spdy_header error[] = {{SPAN("streamtype"), SPAN("error")}};
    const struct spdy_header out[] = {{SPAN("streamtype"), SPAN("stdout")},
                                      {SPAN("port"), SPAN("")}};
    spdy_put_headers(e, in, SPDY_SYN_STREAM, 1, false, error, 1);
    spdy_put_headers(e, in, SPDY_SYN_STREAM, 3, true, out, 2);
    spdy_put_headers(e, in, SPDY_SYN_REPLY, 1, false, NULL, 0);
    spdy_put_data(in, 1, false, SPAN("hello"));
    spdy_put_data(in, 1, true, SPAN(""));
    spdy_put_ping(in, 7);
    spdy_put_rst(in, 3, SPDY_RST_CANCEL);
    spdy_put_window(in, 1, 65536);
    spdy_put_headers(e, in, SPDY_HEADERS, 1, true, error, 1);
    spdy_put_goaway(in, 3, 2);
    spdy_encoder_free(e);
}

TEST(every_frame_goes_round)
{
    struct strbuf in = STRBUF_INIT, out = STRBUF_INIT;
    sample(&in);
    run(strbuf_span(&in), in.n, &out);
    CHECK_SPAN(strbuf_span(&out), "1:1:0 streamtype=error[]\n"
                                  "1:3:0! streamtype=stdout port=[]\n"
                                  "2:1:0[]\n"
                                  "0:1:0[hello]\n"
                                  "0:1:0![]\n"
                                  "6:0:7[]\n"
                                  "3:3:5[]\n"
                                  "9:1:65536[]\n"
                                  "8:1:0! streamtype=error[]\n"
                                  "7:0:2[]\n");
    strbuf_clear(&out);
    run(strbuf_span(&in), 1, &out);
    CHECK(strstr(out.p, "1:3:0! streamtype=stdout port=[]\n2:1:0[]\n0:1:0[h]\n0:1:0[e]\n"));
    strbuf_done(&in);
    strbuf_done(&out);
}

TEST(broken_frames_end_in_one_error)
{
    static const struct {
        struct span in;
        const char *want;
    } cases[] = {
        {SPAN("\x80\x02\0\1\0\0\0\0"), "not SPDY version 3"},
        {SPAN("\x80\x03\0\5\0\0\0\0"), "unknown control frame"},
        {SPAN("\x80\x03\1\1\0\0\0\0"), "unknown control frame"},
        {SPAN("\x80\x03\0\1\0\0\0\x9"
              "123456789"),
         "control frame is too short"},
        {SPAN("\x80\x03\0\1\0\1\0\0"), "control frame is too large"},
        {SPAN("\0\0\0\0\0\0\0\1x"), "data on stream 0"},
        {SPAN("\x80\x03\0\2\0\0\0\x8\0\0\0\1abcd"), "malformed header compression"},
        {SPAN("\x80\x03\0\2\0\0\0\x4\0\0\0\1"), "malformed headers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strbuf out = STRBUF_INIT, want = STRBUF_INIT;
        run(cases[i].in, 100, &out);
        run(cases[i].in, 1, &want);
        CHECK(span_eq(strbuf_span(&out), strbuf_span(&want)));
        strbuf_clear(&want);
        strbuf_printf(&want, "100:0:0[%s]\n", cases[i].want);
        CHECK_SPAN(strbuf_span(&out), want.p);
        strbuf_done(&out);
        strbuf_done(&want);
    }
}

TEST(header_blocks_are_bounded_once_unpacked)
{
    static char zeros[LIMIT_SPDY_CONTROL_BYTES];
    for (int over = 0; over < 2; over++) {
        struct strbuf in = STRBUF_INIT, out = STRBUF_INIT;
        struct spdy_encoder *e = spdy_encoder_new();
        const struct spdy_header h = {SPAN("a"),
                                      span_of(zeros, LIMIT_SPDY_CONTROL_BYTES - 13 + (size_t)over)};
        spdy_put_headers(e, &in, SPDY_SYN_STREAM, 1, false, &h, 1);
        spdy_encoder_free(e);
        run(strbuf_span(&in), in.n, &out);
        CHECK_EQ(span_eq_cstr(strbuf_span(&out), "100:0:0[headers are too large]\n"), over);
        strbuf_done(&in);
        strbuf_done(&out);
    }
}
