/* TLS as an env_stream over another env_stream.
 *
 *     inner bytes -> s->in -> SSL -> plain buffer -> user's on_read
 *     user's write -> SSL -> context's out buffer -> one write on the inner stream
 *
 * The two buffers belong to the context (one a server or client), are borrowed for the length of
 * one call, and so cost nothing a connection. Ciphertext that cannot be used yet (the user has
 * paused) is kept in s->held. Any callback may close the stream: `busy` counts our frames on the
 * stack, the last one frees. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "env/stream_impl.h"
#include "http/tls.h"
#include "http/tls_priv.h"

enum {
    PLAIN_BYTES = 16384,       /* one record */
    WRITE_STEP_BYTES = 262144, /* large writes are encrypted and passed on in steps of this */
    OUT_KEEP_BYTES = 65536,    /* a larger out buffer is not kept */
    BIO_TYPE_STREAM = 100 | BIO_TYPE_SOURCE_SINK
};

struct tls_context {
    SSL_CTX *ctx;
    BIO_METHOD *bio;
    struct strbuf out; /* ciphertext of the call in progress */
    char *plain;       /* PLAIN_BYTES; NULL while borrowed */
    int refs;          /* the owner and each stream */
};
struct tls_server {
    struct tls_context c;
};
struct tls_client {
    struct tls_context c;
};

struct tls_stream {
    struct env_stream base;
    struct tls_context *c;
    struct env_stream *inner; /* NULL once closed */
    SSL *ssl;
    struct span in;     /* ciphertext at hand, not yet taken by SSL */
    struct strbuf held; /* what was left of it when the last call returned */
    struct strbuf name, orgs;
    char print[TLS_FINGERPRINT_BYTES]; /* when there is a name */
    env_connect_fn *on_ready;
    void *ready_data;
    struct env_timer timer; /* handshake */
    struct env_task task;   /* resume, or tell of a failed write */
    int busy;
    int end_code;
    bool is_ready, reading, has_failed, has_ended, end_told;
};

/* ---- context ---- */

static void context_unref(struct tls_context *c)
{
    assert(c->refs > 0);
    if (--c->refs == 0) {
        SSL_CTX_free(c->ctx);
        BIO_meth_free(c->bio);
        strbuf_done(&c->out);
        free(c->plain);
        free(c);
    }
}

static int bio_write(BIO *b, const char *p, size_t n, size_t *written)
{
    struct tls_stream *s = BIO_get_data(b);
    strbuf_put(&s->c->out, span_of(p, n));
    *written = n;
    return 1;
}

static int bio_read(BIO *b, char *p, size_t n, size_t *got)
{
    struct tls_stream *s = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (s->in.n == 0) {
        BIO_set_retry_read(b);
        *got = 0;
        return 0;
    }
    size_t take = n < s->in.n ? n : s->in.n;
    memcpy(p, s->in.p, take);
    s->in = span_from(s->in, take);
    *got = take;
    return 1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    (void)b, (void)num, (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                       const unsigned char *in, unsigned in_n, void *data)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    (void)ssl, (void)data;
    int r = SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_n, ours, sizeof ours - 1,
                                  in, in_n);
    return r == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* A certificate that does not verify is no error here: its holder is nobody (see learn_peer). */
static int verify_client(int ok, X509_STORE_CTX *ctx)
{
    (void)ok, (void)ctx;
    return 1;
}

static void context_init(struct tls_context *c, const SSL_METHOD *method)
{
    c->refs = 1;
    c->ctx = SSL_CTX_new(method);
    c->bio = BIO_meth_new(BIO_TYPE_STREAM, "env_stream");
    assert(c->ctx);
    assert(c->bio);
    BIO_meth_set_write_ex(c->bio, bio_write);
    BIO_meth_set_read_ex(c->bio, bio_read);
    BIO_meth_set_ctrl(c->bio, bio_ctrl);
    SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(c->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(c->ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF); /* tickets carry the state */
}

static int fail(struct arena *a, struct span *ret_detail, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    const char *why = e ? ERR_reason_error_string(e) : NULL;
    *ret_detail = why ? arena_printf(a, "%s: %s", what, why) : arena_printf(a, "%s", what);
    ERR_clear_error();
    return -EINVAL;
}

static bool use_chain(SSL_CTX *ctx, struct span pem)
{
    BIO *b = tls_pem_bio(pem);
    X509 *cert = PEM_read_bio_X509(b, NULL, NULL, NULL);
    bool ok = cert && SSL_CTX_use_certificate(ctx, cert) == 1;
    X509_free(cert);
    while (ok && (cert = PEM_read_bio_X509(b, NULL, NULL, NULL))) {
        ok = SSL_CTX_add0_chain_cert(ctx, cert) == 1;
    }
    BIO_free(b);
    if (ok) {
        ERR_clear_error(); /* the end of the PEM counts as an error */
    }
    return ok;
}

static bool use_key(SSL_CTX *ctx, struct span pem)
{
    BIO *b = tls_pem_bio(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
    bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(key);
    BIO_free(b);
    return ok;
}

/* Trusts the certificates of pem; tells clients of them when is_server. */
static bool use_ca(SSL_CTX *ctx, struct span pem, bool is_server)
{
    BIO *b = tls_pem_bio(pem);
    size_t n = 0;
    bool ok = true;
    for (X509 *cert; ok && (cert = PEM_read_bio_X509(b, NULL, NULL, NULL)); n++) {
        ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) == 1 &&
             (!is_server || SSL_CTX_add_client_CA(ctx, cert) == 1);
        X509_free(cert);
    }
    BIO_free(b);
    if (ok && n > 0) {
        ERR_clear_error();
    }
    return ok && n > 0;
}

int tls_server_new(struct span cert_chain_pem, struct span key_pem, struct span client_ca_pem,
                   struct arena *a, struct tls_server **ret, struct span *ret_detail)
{
    static const unsigned char id[] = "berth";
    assert(a);
    assert(ret);
    assert(ret_detail);
    struct tls_server *s = MEM_NEW(struct tls_server);
    context_init(&s->c, TLS_server_method());
    const char *wrong = NULL;
    if (!use_chain(s->c.ctx, cert_chain_pem)) {
        wrong = "server certificate";
    } else if (!use_key(s->c.ctx, key_pem)) {
        wrong = "server key";
    } else if (client_ca_pem.n && !use_ca(s->c.ctx, client_ca_pem, true)) {
        wrong = "client CA";
    }
    if (wrong) {
        int r = fail(a, ret_detail, wrong);
        tls_server_free(s);
        return r;
    }
    SSL_CTX_set_session_id_context(s->c.ctx, id, sizeof id - 1);
    SSL_CTX_set_num_tickets(s->c.ctx, 1);
    SSL_CTX_set_alpn_select_cb(s->c.ctx, select_alpn, NULL);
    if (client_ca_pem.n) {
        SSL_CTX_set_verify(s->c.ctx, SSL_VERIFY_PEER, verify_client);
    }
    *ret = s;
    return 0;
}

void tls_server_free(struct tls_server *s)
{
    if (s) {
        context_unref(&s->c);
    }
}

int tls_client_new(struct span ca_pem, struct span cert_pem, struct span key_pem, struct arena *a,
                   struct tls_client **ret, struct span *ret_detail)
{
    assert(a);
    assert(ret);
    assert(ret_detail);
    struct tls_client *c = MEM_NEW(struct tls_client);
    context_init(&c->c, TLS_client_method());
    const char *wrong = NULL;
    if (!use_ca(c->c.ctx, ca_pem, false)) {
        wrong = "server CA";
    } else if (cert_pem.n && !use_chain(c->c.ctx, cert_pem)) {
        wrong = "client certificate";
    } else if (cert_pem.n && !use_key(c->c.ctx, key_pem)) {
        wrong = "client key";
    }
    if (wrong) {
        int r = fail(a, ret_detail, wrong);
        tls_client_free(c);
        return r;
    }
    SSL_CTX_set_verify(c->c.ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_alpn_protos(c->c.ctx, (const unsigned char *)"\x08http/1.1", 9);
    *ret = c;
    return 0;
}

struct tls_client *tls_client_new_unverified(void)
{
    struct tls_client *c = MEM_NEW(struct tls_client);
    context_init(&c->c, TLS_client_method());
    SSL_CTX_set_verify(c->c.ctx, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_alpn_protos(c->c.ctx, (const unsigned char *)"\x08http/1.1", 9);
    return c;
}

void tls_client_offer_http2(struct tls_client *c)
{
    assert(c);
    SSL_CTX_set_alpn_protos(c->c.ctx, (const unsigned char *)"\x02h2\x08http/1.1", 12);
}

void tls_client_free(struct tls_client *c)
{
    if (c) {
        context_unref(&c->c);
    }
}

/* ---- stream ---- */

static const struct env_stream_ops tls_ops;

static void stream_free(struct tls_stream *s)
{
    assert(!s->inner);
    assert(s->busy == 0);
    env_timer_stop(s->base.env, &s->timer);
    env_post_cancel(s->base.env, &s->task);
    SSL_free(s->ssl);
    strbuf_done(&s->held);
    strbuf_done(&s->name);
    strbuf_done(&s->orgs);
    context_unref(s->c);
    free(s);
}

static void enter(struct tls_stream *s)
{
    s->busy++;
}

/* False when the stream is no more. */
static bool leave(struct tls_stream *s)
{
    assert(s->busy > 0);
    if (--s->busy == 0 && !s->inner) {
        stream_free(s);
        return false;
    }
    return s->inner != NULL;
}

/* Passes on what SSL has put out. */
static void flush(struct tls_stream *s)
{
    struct strbuf *out = &s->c->out;
    if (out->n) {
        if (s->inner) {
            env_stream_write(s->inner, strbuf_span(out));
        }
        strbuf_clear(out);
        if (out->cap > OUT_KEEP_BYTES) {
            strbuf_done(out);
        }
    }
}

static void drop_inner(struct tls_stream *s, bool flushing)
{
    struct env_stream *inner = TAKE_PTR(s->inner);
    env_timer_stop(s->base.env, &s->timer);
    env_post_cancel(s->base.env, &s->task);
    if (flushing) {
        env_stream_close_flush(inner);
    } else {
        env_stream_close(inner);
    }
}

static void tell_end(struct tls_stream *s)
{
    if (s->inner && !s->end_told) {
        s->end_told = true;
        env_stream_read(s->inner, false);
        s->base.handler.on_end(s->base.data, s->end_code);
    }
}

static void learn_peer(struct tls_stream *s)
{
    X509 *cert = SSL_get1_peer_certificate(s->ssl);
    if (cert && SSL_get_verify_result(s->ssl) == X509_V_OK) {
        tls_subject(cert, &s->name, &s->orgs);
        tls_fingerprint(cert, s->print);
    }
    X509_free(cert);
}

/* Callers are inside enter/leave. */
static void handshake_failed(struct tls_stream *s, int code)
{
    assert(!s->is_ready);
    assert(code < 0);
    env_connect_fn *fn = s->on_ready;
    drop_inner(s, true); /* the alert may still leave */
    fn(s->ready_data, code, NULL);
}

static bool handshake(struct tls_stream *s)
{
    ERR_clear_error();
    int r = SSL_do_handshake(s->ssl);
    int e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(s->ssl, r);
    flush(s);
    if (r == 1) {
        env_timer_stop(s->base.env, &s->timer);
        learn_peer(s);
        s->is_ready = true;
        s->reading = false;
        s->on_ready(s->ready_data, 0, &s->base);
        if (s->inner && !s->reading) {
            env_stream_read(s->inner, false);
        }
        return s->inner != NULL;
    }
    if (e != SSL_ERROR_WANT_READ) {
        bool untrusted = SSL_get_verify_result(s->ssl) != X509_V_OK;
        handshake_failed(s, untrusted ? -EKEYREJECTED : -EPROTO);
    }
    return false;
}

/* Hands decrypted bytes up until the input is used or the user pauses, closes or has enough. */
static void deliver(struct tls_stream *s)
{
    char *plain = TAKE_PTR(s->c->plain);
    if (!plain) {
        plain = mem_new(PLAIN_BYTES);
    }
    while (s->inner && s->reading && !s->end_told) {
        size_t n = 0;
        ERR_clear_error();
        int r = SSL_read_ex(s->ssl, plain, PLAIN_BYTES, &n);
        int e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(s->ssl, r);
        flush(s);
        if (r == 1) {
            s->base.handler.on_read(s->base.data, span_of(plain, n));
            if (s->inner && s->in.n == 0 && SSL_pending(s->ssl) == 0) {
                break;
            }
        } else if (e == SSL_ERROR_WANT_READ) {
            break;
        } else {
            s->has_failed = s->has_failed || e != SSL_ERROR_ZERO_RETURN;
            s->end_code = e == SSL_ERROR_ZERO_RETURN ? 0 : -EPROTO;
            tell_end(s);
        }
    }
    if (s->c->plain) {
        free(plain);
    } else {
        s->c->plain = plain;
    }
}

/* Uses the ciphertext at hand; keeps what is left. */
static void advance(struct tls_stream *s)
{
    if (s->is_ready || handshake(s)) {
        deliver(s);
    }
    if (s->inner && s->in.n && !s->end_told) {
        struct strbuf rest = STRBUF_INIT;
        strbuf_put(&rest, s->in);
        strbuf_done(&s->held);
        s->held = rest;
    } else {
        strbuf_done(&s->held);
    }
    s->in = SPAN_NULL;
    if (s->inner && s->has_ended && s->reading && s->held.n == 0) {
        tell_end(s);
    }
}

static void on_inner_read(void *data, struct span bytes)
{
    struct tls_stream *s = data;
    enter(s);
    if (s->held.n) {
        strbuf_put(&s->held, bytes);
        s->in = strbuf_span(&s->held);
    } else {
        s->in = bytes;
    }
    advance(s);
    leave(s);
}

static void on_inner_end(void *data, int code)
{
    struct tls_stream *s = data;
    enter(s);
    if (!s->is_ready) {
        handshake_failed(s, code < 0 ? code : -ECONNRESET);
    } else if (!s->has_ended) {
        s->has_ended = true;
        /* An end without the peer's close alert may be a cut connection. */
        bool clean = (SSL_get_shutdown(s->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
        s->end_code = code < 0 ? code : clean ? 0 : -ECONNRESET;
        if (code < 0 || (s->reading && s->held.n == 0)) {
            tell_end(s);
        }
    }
    leave(s);
}

static void on_inner_drain(void *data)
{
    struct tls_stream *s = data;
    if (s->is_ready && !s->end_told && s->base.handler.on_drain) {
        enter(s);
        s->base.handler.on_drain(s->base.data);
        leave(s);
    }
}

static const struct env_stream_handler inner_handler = {on_inner_read, on_inner_end,
                                                        on_inner_drain};

static void on_task(struct env_task *task)
{
    struct tls_stream *s = CONTAINER_OF(task, struct tls_stream, task);
    enter(s);
    if (s->has_failed) {
        tell_end(s);
    } else {
        s->in = strbuf_span(&s->held);
        advance(s);
    }
    leave(s);
}

static void on_timer(struct env_timer *timer)
{
    struct tls_stream *s = CONTAINER_OF(timer, struct tls_stream, timer);
    enter(s);
    handshake_failed(s, -ETIMEDOUT);
    leave(s);
}

static struct env_stream *stream_new(struct tls_context *c, struct env_stream *inner,
                                     env_connect_fn *on_ready, void *data)
{
    assert(c);
    assert(inner);
    assert(on_ready);
    struct tls_stream *s = MEM_NEW(struct tls_stream);
    s->base = (struct env_stream){.ops = &tls_ops, .env = inner->env};
    s->c = c;
    c->refs++;
    s->inner = inner;
    s->on_ready = on_ready;
    s->ready_data = data;
    s->reading = true;
    s->ssl = SSL_new(c->ctx);
    BIO *b = BIO_new(c->bio);
    assert(s->ssl);
    assert(b);
    BIO_set_data(b, s);
    BIO_set_init(b, 1);
    SSL_set_bio(s->ssl, b, b);
    env_stream_set(inner, &inner_handler, s);
    env_stream_read(inner, true);
    env_timer_start(s->base.env, &s->timer, LIMIT_TLS_HANDSHAKE_MS, on_timer);
    return &s->base;
}

struct env_stream *tls_accept(struct tls_server *server, struct env_stream *inner,
                              env_connect_fn *on_ready, void *data)
{
    assert(inner);
    assert(on_ready);
    struct env_stream *st = stream_new(&server->c, inner, on_ready, data);
    SSL_set_accept_state(((struct tls_stream *)st)->ssl);
    return st;
}

static bool is_ip(const char *name)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

struct env_stream *tls_connect(struct tls_client *client, struct env_stream *inner,
                               const char *server_name, env_connect_fn *on_ready, void *data)
{
    assert(server_name);
    assert(server_name[0]);
    struct env_stream *st = stream_new(&client->c, inner, on_ready, data);
    struct tls_stream *s = (struct tls_stream *)st;
    if (is_ip(server_name)) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl), server_name);
    } else {
        SSL_set1_host(s->ssl, server_name);
        SSL_set_tlsext_host_name(s->ssl, server_name);
    }
    SSL_set_connect_state(s->ssl);
    ERR_clear_error();
    (void)SSL_do_handshake(s->ssl); /* the first flight; it cannot end here */
    flush(s);
    return st;
}

static void tls_read(struct env_stream *st, bool on)
{
    struct tls_stream *s = (struct tls_stream *)st;
    assert(s->inner);
    assert(s->is_ready);
    if (s->reading == on) {
        return;
    }
    s->reading = on;
    if (!s->has_ended) {
        env_stream_read(s->inner, on);
    }
    /* Inside our own loop it goes on by itself. */
    if (on && s->busy == 0 && (s->held.n || SSL_pending(s->ssl) || s->has_ended)) {
        env_post(st->env, &s->task, on_task);
    }
}

static void tls_write(struct env_stream *st, struct span bytes)
{
    struct tls_stream *s = (struct tls_stream *)st;
    assert(s->inner);
    assert(s->is_ready);
    while (bytes.n && !s->has_failed && !s->has_ended) {
        struct span step = span_first(bytes, WRITE_STEP_BYTES);
        size_t n = 0;
        ERR_clear_error();
        if (SSL_write_ex(s->ssl, step.p, step.n, &n) != 1) {
            s->has_failed = true;
            s->end_code = -EPIPE;
            env_post(st->env, &s->task, on_task);
        }
        flush(s);
        bytes = span_from(bytes, n);
    }
}

static size_t tls_queued(const struct env_stream *st)
{
    const struct tls_stream *s = (const struct tls_stream *)st;
    return s->inner ? env_stream_queued(s->inner) : 0;
}

static void close_alert(struct tls_stream *s)
{
    if (s->is_ready && !s->has_failed) {
        ERR_clear_error();
        (void)SSL_shutdown(s->ssl);
        ERR_clear_error();
        flush(s);
    }
}

static void tls_shutdown(struct env_stream *st)
{
    struct tls_stream *s = (struct tls_stream *)st;
    assert(s->inner);
    assert(s->is_ready);
    close_alert(s);
    env_stream_shutdown(s->inner);
}

static void tls_close(struct env_stream *st, bool flushing)
{
    struct tls_stream *s = (struct tls_stream *)st;
    assert(s->inner);
    if (flushing) {
        close_alert(s);
    }
    enter(s);
    drop_inner(s, flushing);
    leave(s);
}

static const char *tls_peer(const struct env_stream *st)
{
    const struct tls_stream *s = (const struct tls_stream *)st;
    return env_stream_peer(s->inner);
}

static const struct env_stream_ops tls_ops = {
    .read = tls_read,
    .write = tls_write,
    .queued = tls_queued,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .peer = tls_peer,
};

bool tls_is_http2(const struct env_stream *st)
{
    const struct tls_stream *s = (const struct tls_stream *)st;
    const unsigned char *name = NULL;
    unsigned n = 0;
    if (st->ops == &tls_ops && s->ssl) {
        SSL_get0_alpn_selected(s->ssl, &name, &n);
    }
    return span_eq(span_of((const char *)name, n), SPAN("h2"));
}

struct span tls_peer_name(const struct env_stream *st)
{
    const struct tls_stream *s = (const struct tls_stream *)st;
    return st->ops == &tls_ops ? strbuf_span(&s->name) : SPAN_NULL;
}

struct span tls_peer_fingerprint(const struct env_stream *st)
{
    const struct tls_stream *s = (const struct tls_stream *)st;
    bool known = st->ops == &tls_ops && s->name.n > 0;
    return known ? span_of(s->print, TLS_FINGERPRINT_BYTES) : SPAN_NULL;
}

struct span tls_peer_orgs(const struct env_stream *st)
{
    const struct tls_stream *s = (const struct tls_stream *)st;
    return st->ops == &tls_ops ? strbuf_span(&s->orgs) : SPAN_NULL;
}
