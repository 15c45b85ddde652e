/* codec/grpc_health.c: libnghttp2 does HTTP/2; here are the request and what its answer means. */
#include "codec/grpc_health.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "codec/json.h"

enum {
    RECEIVED_MAX = 64 * 1024,
    MESSAGE_MAX = 4096,
    PREFIX = 5, /* of a gRPC message: compressed?, length */
    SERVICE_MAX = 1024,
    TEXT_MAX = 512,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_UNIMPLEMENTED = 12,
};

struct grpc_health {
    nghttp2_session *session;
    struct strbuf request; /* the message with its prefix */
    size_t sent;
    struct strbuf message; /* of the answer, with its prefix */
    struct strbuf status_text;
    struct strbuf pending; /* to be sent */
    size_t received;
    int64_t http_status, grpc_status; /* -1: not told */
    bool done, failed;
    const char *wrong; /* failed: what the peer did */
};

static void give_up(struct grpc_health *h, const char *wrong)
{
    h->failed = h->done = true;
    h->wrong = h->wrong ? h->wrong : wrong;
}

/* ---- the answer's parts ---- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *data)
{
    (void)session, (void)frame, (void)flags;
    struct grpc_health *h = data;
    struct span key = span_of((const char *)name, name_n);
    struct span text = span_of((const char *)value, value_n);
    int64_t number = 0;
    if (span_eq(key, SPAN(":status")) && span_to_i64(text, &number)) {
        h->http_status = number;
    } else if (span_eq(key, SPAN("grpc-status"))) {
        h->grpc_status = span_to_i64(text, &number) && number >= 0 ? number : 2; /* unknown */
    } else if (span_eq(key, SPAN("grpc-message")) && h->status_text.n == 0) {
        strbuf_put(&h->status_text, span_first(text, TEXT_MAX));
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t n, void *data)
{
    (void)session, (void)flags, (void)stream;
    struct grpc_health *h = data;
    if (h->message.n + n > MESSAGE_MAX) {
        give_up(h, "the answer is too long");
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    strbuf_put(&h->message, span_of((const char *)bytes, n));
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *data)
{
    (void)session, (void)stream;
    struct grpc_health *h = data;
    if (code != NGHTTP2_NO_ERROR) {
        give_up(h, nghttp2_http2_strerror(code));
    }
    h->done = true;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *data)
{
    (void)session;
    struct grpc_health *h = data;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
        give_up(h, nghttp2_http2_strerror(frame->goaway.error_code));
    }
    return 0;
}

/* ---- the request ---- */

static ssize_t read_request(nghttp2_session *session, int32_t stream, uint8_t *buffer, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *data)
{
    (void)session, (void)stream, (void)source;
    struct grpc_health *h = data;
    struct span rest = span_from(strbuf_span(&h->request), h->sent);
    size_t n = rest.n < room ? rest.n : room;
    if (n > 0) {
        memcpy(buffer, rest.p, n);
    }
    h->sent += n;
    if (h->sent == h->request.n) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)n;
}

/* HealthCheckRequest{service = 1} behind the prefix of a gRPC message. */
static void write_message(struct strbuf *out, struct span service)
{
    char head[3];
    size_t head_n = 0;
    if (service.n > 0) {
        head[head_n++] = 0x0a;
        if (service.n >= 0x80) {
            head[head_n++] = (char)(0x80 | (service.n & 0x7f));
        }
        head[head_n++] = (char)(service.n >= 0x80 ? service.n >> 7 : service.n);
    }
    size_t n = head_n + service.n;
    const char prefix[PREFIX] = {0, 0, 0, (char)(n >> 8), (char)n};
    strbuf_put(out, span_of(prefix, PREFIX));
    strbuf_put(out, span_of(head, head_n));
    strbuf_put(out, service);
}

static nghttp2_nv pair(struct span name, struct span value)
{
    /* Copied by the library, which does not write to them. */
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name.p, (uint8_t *)(uintptr_t)value.p, name.n,
                        value.n, NGHTTP2_NV_FLAG_NONE};
}

struct grpc_health *grpc_health_new(struct span authority, struct span service)
{
    assert(authority.n > 0);
    struct grpc_health *h = MEM_NEW(struct grpc_health);
    h->http_status = h->grpc_status = -1;
    write_message(&h->request, span_first(service, SERVICE_MAX));
    nghttp2_session_callbacks *callbacks = NULL;
    int code = nghttp2_session_callbacks_new(&callbacks);
    assert(code == 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    code = nghttp2_session_client_new(&h->session, callbacks, h);
    assert(code == 0);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry none = {NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    code = nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, &none, 1);
    assert(code == 0);
    const nghttp2_nv headers[] = {
        pair(SPAN(":method"), SPAN("POST")),
        pair(SPAN(":scheme"), SPAN("http")),
        pair(SPAN(":path"), SPAN("/grpc.health.v1.Health/Check")),
        pair(SPAN(":authority"), authority),
        pair(SPAN("content-type"), SPAN("application/grpc")),
        pair(SPAN("te"), SPAN("trailers")),
        pair(SPAN("user-agent"), SPAN("kube-probe/1.32")),
    };
    const nghttp2_data_provider body = {.read_callback = read_request};
    int32_t stream = nghttp2_submit_request(h->session, NULL, headers,
                                            sizeof headers / sizeof *headers, &body, NULL);
    assert(stream > 0);
    return h;
}

void grpc_health_free(struct grpc_health *h)
{
    if (h) {
        nghttp2_session_del(h->session);
        strbuf_done(&h->request);
        strbuf_done(&h->message);
        strbuf_done(&h->status_text);
        strbuf_done(&h->pending);
        free(h);
    }
}

static void drain(struct grpc_health *h)
{
    const uint8_t *bytes = NULL;
    ssize_t n = 0;
    while (!h->failed && (n = nghttp2_session_mem_send(h->session, &bytes)) > 0) {
        strbuf_put(&h->pending, span_of((const char *)bytes, (size_t)n));
    }
    if (n < 0) {
        give_up(h, nghttp2_strerror((int)n));
    }
}

void grpc_health_send(struct grpc_health *h, struct strbuf *out)
{
    assert(out);
    assert(h->session);
    drain(h);
    strbuf_put(out, strbuf_span(&h->pending));
    h->pending.n = 0;
}

bool grpc_health_recv(struct grpc_health *h, struct span bytes)
{
    assert(h->session);
    h->received += bytes.n;
    if (h->received > RECEIVED_MAX) {
        give_up(h, "the answer is too long");
    }
    if (!h->done && bytes.n > 0) {
        ssize_t n = nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes.p, bytes.n);
        if (n < 0) {
            give_up(h, nghttp2_strerror((int)n));
        }
        drain(h);
        if (!h->done && !nghttp2_session_want_read(h->session)) {
            give_up(h, "the peer does not speak HTTP/2"); /* our GOAWAY was the last frame */
        }
    }
    return h->done;
}

/* ---- what it means ---- */

/* The varint in field 1 of HealthCheckResponse; 0 (UNKNOWN) when absent, -1 when malformed. Other
 * fields are not defined, and not looked at. */
static int serving_status(struct span m)
{
    if (m.n < PREFIX || m.p[0] != 0) {
        return -1;
    }
    size_t n = 0;
    for (size_t i = 1; i < PREFIX; i++) {
        n = n << 8 | (unsigned char)m.p[i];
    }
    m = span_from(m, PREFIX);
    if (n != m.n || (n > 0 && (n < 2 || m.p[0] != 0x08 || (unsigned char)m.p[1] >= 0x80))) {
        return -1;
    }
    return n > 0 ? m.p[1] : 0;
}

bool grpc_health_result(const struct grpc_health *h, struct arena *a, struct span *ret_text)
{
    assert(a);
    assert(ret_text);
    static const char *const words[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
    struct span text = json_clean_text(a, strbuf_span(&h->status_text), TEXT_MAX);
    int status = serving_status(strbuf_span(&h->message));
    if (h->failed || (h->grpc_status < 0 && h->http_status < 0)) {
        *ret_text = arena_printf(a, "error: health rpc probe failed: %s",
                                 h->wrong ? h->wrong : "the connection ended without an answer");
    } else if (h->http_status != 200) {
        *ret_text = arena_printf(a, "error: health rpc probe failed: HTTP status %lld",
                                 (long long)h->http_status);
    } else if (h->grpc_status == GRPC_UNIMPLEMENTED) {
        *ret_text = arena_printf(a,
                                 "error: this server does not implement the grpc health protocol "
                                 "(grpc.health.v1.Health): %.*s",
                                 SPAN_ARG(text));
    } else if (h->grpc_status == GRPC_DEADLINE_EXCEEDED) {
        *ret_text = SPAN("timeout: health rpc did not complete in time");
    } else if (h->grpc_status != 0) {
        *ret_text = arena_printf(a, "error: health rpc probe failed: grpc status %lld: %.*s",
                                 (long long)h->grpc_status, SPAN_ARG(text));
    } else if (status < 0) {
        *ret_text = SPAN("error: health rpc probe failed: malformed answer");
    } else if (status == 1) {
        *ret_text = SPAN("service healthy");
        return true;
    } else {
        const char *word = status < 4 ? words[status] : "UNKNOWN";
        *ret_text = arena_printf(a, "service unhealthy (responded with \"%s\")", word);
    }
    return false;
}
