#include "test/kit/https_kit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "os/os_fs.h"

enum { PEM_BYTES_MAX = 64 * 1024 };

enum part { PART_HEAD, PART_BODY, PART_CHUNK_SIZE, PART_CHUNK, PART_CHUNK_END, PART_TRAILER };

struct https_conn {
    const struct https_kit *kit;
    const struct https_handler *handler;
    void *data;
    struct env_stream *stream;
    struct strbuf in, body, out;
    const char *accept;
    enum part part;
    int status;
    size_t left; /* bytes of the body or chunk still to come */
    bool busy, dead, freed, inside;
};

void https_pki_make(struct https_pki *p, struct arena *a, int64_t now_ms)
{
    static const struct span ip = SPAN("127.0.0.1"), org = SPAN("system:masters");
    const struct tls_leaf server = {.common_name = SPAN("berth"),
                                    .ips = &ip,
                                    .ip_count = 1,
                                    .is_server = true,
                                    .valid_days = 1};
    const struct tls_leaf client = {
        .common_name = SPAN("admin"), .orgs = &org, .org_count = 1, .valid_days = 1};
    int bad = tls_make_ca(a, SPAN("ca"), now_ms, &p->ca) |
              tls_make_leaf(a, &p->ca, &server, now_ms, &p->server) |
              tls_make_leaf(a, &p->ca, &client, now_ms, &p->client);
    assert(!bad);
}

static struct span pem(struct arena *a, const char *data_dir, const char *name)
{
    struct span text;
    const char *path = arena_printf(a, "%s/tls/%s", data_dir, name).p;
    int code = os_fs_read(a, -100 /* AT_FDCWD */, path, PEM_BYTES_MAX, &text);
    if (code < 0) {
        fprintf(stderr, "cannot read %s: %s\n", path, strerror(-code));
        exit(1);
    }
    return text;
}

void https_kit_init(struct https_kit *k, struct env *env, struct arena *a, const char *data_dir,
                    uint16_t port)
{
    struct span detail;
    *k = (struct https_kit){.env = env, .port = port};
    if (tls_client_new(pem(a, data_dir, "ca.crt"), pem(a, data_dir, "admin.crt"),
                       pem(a, data_dir, "admin.key"), a, &k->tls, &detail) < 0) {
        fprintf(stderr, "%.*s\n", SPAN_ARG(detail));
        exit(1);
    }
}

/* ---- replies ---- */

static void release(struct https_conn *c)
{
    strbuf_done(&c->in);
    strbuf_done(&c->body);
    strbuf_done(&c->out);
    free(c);
}

static void reply(struct https_conn *c)
{
    struct strbuf body = c->body;
    c->body = STRBUF_INIT;
    c->part = PART_HEAD;
    c->busy = false;
    c->handler->on_reply(c->data, c->status, strbuf_span(&body));
    if (c->body.p) {
        strbuf_done(&body);
    } else {
        strbuf_clear(&body);
        c->body = body;
    }
}

static void take(struct https_conn *c, struct span bytes)
{
    strbuf_put(&c->body, bytes);
    if (!c->handler->on_line) {
        return;
    }
    struct span rest = strbuf_span(&c->body);
    size_t used = 0;
    for (size_t n; (n = span_find(rest, '\n')) < rest.n && !c->freed;) {
        c->handler->on_line(c->data, span_first(rest, n));
        rest = span_from(rest, n + 1);
        used += n + 1;
    }
    strbuf_consume(&c->body, used);
}

/* Returns bytes used, 0: more are needed. */
static size_t take_head(struct https_conn *c, struct span in)
{
    const char *end = memmem(in.p, in.n, "\r\n\r\n", 4);
    uint64_t n = 0;
    if (!end) {
        return 0;
    }
    struct span head = span_of(in.p, (size_t)(end + 2 - in.p));
    struct span status = span_first(span_from(head, 9), 3);
    assert(span_starts(head, SPAN("HTTP/1.1 ")) && span_to_u64(status, &n));
    c->status = (int)n;
    c->part = PART_CHUNK_SIZE;
    for (struct span rest = head; rest.n;) {
        struct span value = span_cut(&rest, '\n');
        struct span name = span_cut(&value, ':');
        if (span_eq_nocase(name, SPAN("content-length")) && span_to_u64(span_trim(value), &n)) {
            c->left = n;
            c->part = PART_BODY;
        }
    }
    return head.n + 2;
}

static size_t take_line(struct https_conn *c, struct span in)
{
    size_t n = span_find(in, '\n');
    if (n == in.n) {
        return 0;
    }
    struct span line = span_trim(span_first(in, n));
    if (c->part == PART_CHUNK_SIZE) {
        c->left = 0;
        for (size_t i = 0; i < line.n && line.p[i] != ';'; i++) {
            char d = line.p[i];
            c->left = c->left * 16 + (size_t)(d <= '9' ? d - '0' : (d | 32) - 'a' + 10);
        }
        c->part = c->left ? PART_CHUNK : PART_TRAILER;
    } else if (c->part == PART_CHUNK_END) {
        c->part = PART_CHUNK_SIZE;
    } else {
        reply(c);
    }
    return n + 1;
}

static size_t step(struct https_conn *c, struct span in)
{
    if (c->part == PART_HEAD) {
        return in.n && c->busy ? take_head(c, in) : 0;
    }
    if (c->part != PART_BODY && c->part != PART_CHUNK) {
        return take_line(c, in);
    }
    struct span part = span_first(in, c->left);
    take(c, part);
    c->left -= part.n;
    if (c->left == 0 && c->part == PART_BODY) {
        reply(c);
    } else if (c->left == 0) {
        c->part = PART_CHUNK_END;
    }
    return part.n;
}

static void on_read(void *data, struct span bytes)
{
    struct https_conn *c = data;
    bool kept = c->in.n > 0;
    if (kept) {
        strbuf_put(&c->in, bytes);
        bytes = strbuf_span(&c->in);
    }
    size_t used = 0;
    c->inside = true;
    for (size_t n; !c->freed && (n = step(c, span_from(bytes, used))) > 0;) {
        used += n;
    }
    c->inside = false;
    if (c->freed) {
        release(c);
    } else if (kept) {
        strbuf_consume(&c->in, used);
    } else {
        strbuf_put(&c->in, span_from(bytes, used));
    }
}

static void fail(struct https_conn *c, int code)
{
    c->dead = true;
    if (c->stream) {
        env_stream_close(c->stream);
        c->stream = NULL;
    }
    c->handler->on_fail(c->data, code);
}

static void on_end(void *data, int code)
{
    fail(data, code);
}

static const struct env_stream_handler stream_handler = {on_read, on_end, NULL};

/* ---- connecting ---- */

static void on_stream(void *data, int code, struct env_stream *stream)
{
    struct https_conn *c = data;
    c->stream = stream;
    if (c->freed) {
        if (stream) {
            env_stream_close(stream);
        }
        release(c);
        return;
    }
    if (code < 0) {
        fail(c, code);
        return;
    }
    env_stream_set(stream, &stream_handler, c);
    env_stream_read(stream, true);
    c->handler->on_ready(c->data);
}

static void on_connected(void *data, int code, struct env_stream *stream)
{
    struct https_conn *c = data;
    if (code == 0 && c->kit->tls && !c->freed) {
        (void)tls_connect(c->kit->tls, stream, "127.0.0.1", on_stream, c);
    } else {
        on_stream(c, code, stream);
    }
}

struct https_conn *https_conn_new(const struct https_kit *k, const struct https_handler *handler,
                                  void *data)
{
    struct https_conn *c = MEM_NEW(struct https_conn);
    *c = (struct https_conn){
        .kit = k, .handler = handler, .data = data, .accept = "application/json"};
    int code = k->socket ? env_connect_unix(k->env, k->socket, on_connected, c)
                         : env_connect_tcp(k->env, "127.0.0.1", k->port, on_connected, c);
    assert(code == 0);
    return c;
}

void https_conn_free(struct https_conn *c)
{
    if (!c) {
        return;
    }
    bool connecting = !c->stream && !c->dead;
    if (c->stream) {
        env_stream_close(c->stream);
        c->stream = NULL;
    }
    c->freed = true;
    if (!c->inside && !connecting) {
        release(c);
    }
}

void https_conn_accept(struct https_conn *c, const char *accept)
{
    c->accept = accept;
}

void https_conn_send(struct https_conn *c, const char *method, const char *path,
                     const char *content_type, struct span body)
{
    assert(c->stream && !c->busy);
    c->busy = true;
    strbuf_clear(&c->out);
    strbuf_printf(&c->out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: %s\r\n", method, path,
                  c->accept);
    if (content_type) {
        strbuf_printf(&c->out, "Content-Type: %s\r\nContent-Length: %zu\r\n", content_type, body.n);
    }
    strbuf_puts(&c->out, "\r\n");
    if (content_type) {
        strbuf_put(&c->out, body);
    }
    env_stream_write(c->stream, strbuf_span(&c->out));
}
