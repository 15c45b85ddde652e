/* Certificates, and TLS streams against an independent OpenSSL client and against each other. */
#include "http/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "env/env_uv.h"
#include "http/http.h"
#include "kit/kit.h"

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

struct pki {
    struct arena *a;
    struct tls_pair ca, server, client, other_ca, stranger;
};

static const struct span dns_names[] = {{"localhost", 9}, {"kubernetes.default.svc", 22}};
static const struct span ip_names[] = {{"127.0.0.1", 9}, {"::1", 3}};
static const struct span org_names[] = {{"system:masters", 14}, {"more", 4}};
static const struct tls_leaf server_leaf = {.common_name = {"berth", 5},
                                            .dns = dns_names,
                                            .dns_count = 2,
                                            .ips = ip_names,
                                            .ip_count = 2,
                                            .is_server = true,
                                            .valid_days = 365};
static const struct tls_leaf client_leaf = {
    .common_name = {"admin", 5}, .orgs = org_names, .org_count = 2, .valid_days = 365};

static void pki_init(struct pki *p)
{
    p->a = arena_new();
    CHECK_EQ(tls_make_ca(p->a, SPAN("berth-ca"), now_ms(), &p->ca), 0);
    CHECK_EQ(tls_make_ca(p->a, SPAN("berth-ca"), now_ms(), &p->other_ca), 0);
    CHECK_EQ(tls_make_leaf(p->a, &p->ca, &server_leaf, now_ms(), &p->server), 0);
    CHECK_EQ(tls_make_leaf(p->a, &p->ca, &client_leaf, now_ms(), &p->client), 0);
    CHECK_EQ(tls_make_leaf(p->a, &p->other_ca, &client_leaf, now_ms(), &p->stranger), 0);
}

TEST(certificates_are_made_in_milliseconds_and_fit_what_they_were_made_for)
{
    struct pki p;
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    pki_init(&p);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    kit_note("5 certificates in %ld us",
             (t1.tv_sec - t0.tv_sec) * 1000000 + (t1.tv_nsec - t0.tv_nsec) / 1000);
    int64_t now = now_ms(), day = 86400000;
    CHECK(tls_leaf_fits(p.a, &p.ca, &p.server, &server_leaf, now, 30));
    CHECK(tls_leaf_fits(p.a, &p.ca, &p.client, &client_leaf, now, 364));
    CHECK(!tls_leaf_fits(p.a, &p.ca, &p.client, &client_leaf, now, 366));
    CHECK(!tls_leaf_fits(p.a, &p.ca, &p.client, &client_leaf, now + 366 * day, 0));
    CHECK(!tls_leaf_fits(p.a, &p.ca, &p.client, &client_leaf, now - day, 0));
    CHECK(!tls_leaf_fits(p.a, &p.other_ca, &p.server, &server_leaf, now, 30));
    CHECK(!tls_leaf_fits(p.a, &p.ca, &p.client, &server_leaf, now, 30));
    struct tls_leaf more = server_leaf;
    const struct span ips[] = {{"10.43.0.1", 9}};
    more.ips = ips;
    more.ip_count = 1;
    CHECK(!tls_leaf_fits(p.a, &p.ca, &p.server, &more, now, 30));
    struct tls_pair mixed = {p.server.cert_pem, p.client.key_pem};
    CHECK(!tls_leaf_fits(p.a, &p.ca, &mixed, &server_leaf, now, 30));
    struct tls_pair broken = {SPAN("-----BEGIN nothing"), SPAN("")};
    CHECK(!tls_leaf_fits(p.a, &p.ca, &broken, &server_leaf, now, 30));
    const struct span wrong_ip[] = {{"999.1.1.1", 9}};
    more.ips = wrong_ip;
    CHECK_EQ(tls_make_leaf(p.a, &p.ca, &more, now, &mixed), -EINVAL);
    arena_free(p.a);
}

TEST(wrong_pem_is_told_apart)
{
    struct pki p;
    struct tls_server *s = NULL;
    struct span detail;
    pki_init(&p);
    CHECK_EQ(tls_server_new(SPAN("x"), p.server.key_pem, p.ca.cert_pem, p.a, &s, &detail), -EINVAL);
    CHECK(span_starts(detail, SPAN("server certificate")));
    CHECK_EQ(tls_server_new(p.server.cert_pem, p.client.key_pem, p.ca.cert_pem, p.a, &s, &detail),
             -EINVAL);
    CHECK(span_starts(detail, SPAN("server key")));
    CHECK_EQ(tls_server_new(p.server.cert_pem, p.server.key_pem, SPAN("x"), p.a, &s, &detail),
             -EINVAL);
    CHECK(span_starts(detail, SPAN("client CA")));
    arena_free(p.a);
}

/* ---- a server ---- */

struct world {
    struct pki p;
    struct env *env;
    struct http_server *server;
    struct tls_server *tls;
    uint16_t port;
    struct env_wakeup *done;
    void (*script)(struct world *w);
    struct tls_client *client;
    struct env_stream *stream;
    struct strbuf got;
    int code;
    bool ready, ended;
};

static void on_request(void *data, struct http_exchange *x)
{
    (void)data;
    if (span_eq_cstr(http_path(x), "/who")) {
        http_reply(x, 200, "text/plain",
                   arena_printf(http_arena(x), "%.*s|%.*s|%zu", SPAN_ARG(http_client_name(x)),
                                SPAN_ARG(http_client_orgs(x)), http_client_fingerprint(x).n));
    } else {
        http_reply(x, 200, "text/plain", http_body(x));
    }
}

static void world_init(struct world *w)
{
    static const struct http_handler handler = {on_request};
    struct span detail;
    *w = (struct world){.env = env_uv_new()};
    signal(SIGPIPE, SIG_IGN);
    pki_init(&w->p);
    CHECK_EQ(tls_server_new(w->p.server.cert_pem, w->p.server.key_pem, w->p.ca.cert_pem, w->p.a,
                            &w->tls, &detail),
             0);
    w->server = http_server_new(w->env, &handler, w);
    CHECK_EQ(http_server_listen_tcp(w->server, "127.0.0.1", 0, w->tls, &w->port), 0);
}

static void world_done(struct world *w)
{
    http_server_close(w->server);
    http_server_free(w->server);
    tls_server_free(w->tls);
    env_uv_free(w->env);
    strbuf_done(&w->got);
    arena_free(w->p.a);
}

static void stop(void *data)
{
    env_uv_stop(((struct world *)data)->env);
}

static void *thread_main(void *data)
{
    struct world *w = data;
    w->script(w);
    env_wakeup_send(w->done);
    return NULL;
}

static void serve(void (*script)(struct world *w))
{
    struct world w;
    pthread_t t;
    world_init(&w);
    w.script = script;
    w.done = env_wakeup_new(w.env, stop, &w);
    CHECK_EQ(pthread_create(&t, NULL, thread_main, &w), 0);
    env_uv_run(w.env);
    pthread_join(t, NULL);
    env_wakeup_free(w.done);
    world_done(&w);
}

/* ---- a plain OpenSSL client ---- */

static SSL_CTX *client_ctx(struct world *w, const struct tls_pair *pair, int max_version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    BIO *b = BIO_new_mem_buf(w->p.ca.cert_pem.p, (int)w->p.ca.cert_pem.n);
    X509 *ca = PEM_read_bio_X509(b, NULL, NULL, NULL);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca);
    X509_free(ca);
    BIO_free(b);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_max_proto_version(ctx, max_version);
    if (pair) {
        b = BIO_new_mem_buf(pair->cert_pem.p, (int)pair->cert_pem.n);
        X509 *cert = PEM_read_bio_X509(b, NULL, NULL, NULL);
        BIO_free(b);
        b = BIO_new_mem_buf(pair->key_pem.p, (int)pair->key_pem.n);
        EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
        BIO_free(b);
        CHECK_EQ(SSL_CTX_use_certificate(ctx, cert), 1);
        CHECK_EQ(SSL_CTX_use_PrivateKey(ctx, key), 1);
        X509_free(cert);
        EVP_PKEY_free(key);
    }
    return ctx;
}

static SSL *handshake(SSL_CTX *ctx, int fd, SSL_SESSION *session)
{
    SSL *ssl = SSL_new(ctx);
    SSL_set1_host(ssl, "localhost");
    SSL_set_fd(ssl, fd);
    if (session) {
        SSL_set_session(ssl, session);
    }
    CHECK_EQ(SSL_connect(ssl), 1);
    return ssl;
}

static void ask(SSL *ssl, const char *text, const char *want_body)
{
    char got[4096] = {0};
    CHECK_EQ(SSL_write(ssl, text, (int)strlen(text)), (int)strlen(text));
    int n = SSL_read(ssl, got, sizeof got - 1);
    CHECK(n > 0);
    char *body = strstr(got, "\r\n\r\n");
    CHECK(body);
    CHECK_SPAN(span_cstr(body + 4), want_body);
}

static void end(SSL *ssl, int fd)
{
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

static void script_identity(struct world *w)
{
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (int i = 0; i < 2; i++) {
        SSL_CTX *ctx = client_ctx(w, &w->p.client, versions[i]);
        int fd = kit_dial(w->port);
        SSL *ssl = handshake(ctx, fd, NULL);
        ask(ssl, "GET /who HTTP/1.1\r\n\r\n", "admin|system:masters\nmore|32");
        ask(ssl, "GET /who HTTP/1.1\r\n\r\n", "admin|system:masters\nmore|32");
        SSL_SESSION *session = SSL_get1_session(ssl);
        end(ssl, fd);
        fd = kit_dial(w->port);
        ssl = handshake(ctx, fd, session);
        CHECK(SSL_session_reused(ssl));
        ask(ssl, "GET /who HTTP/1.1\r\n\r\n", "admin|system:masters\nmore|32");
        SSL_SESSION_free(session);
        end(ssl, fd);
        SSL_CTX_free(ctx);
        const struct tls_pair *nobody[] = {NULL, &w->p.stranger};
        for (int k = 0; k < 2; k++) {
            ctx = client_ctx(w, nobody[k], versions[i]);
            fd = kit_dial(w->port);
            ssl = handshake(ctx, fd, NULL);
            ask(ssl, "GET /who HTTP/1.1\r\n\r\n", "||0");
            end(ssl, fd);
            SSL_CTX_free(ctx);
        }
    }
}
TEST(only_a_verified_certificate_gives_a_name_also_when_a_session_resumes)
{
    serve(script_identity);
}

static void script_refused(struct world *w)
{
    SSL_CTX *ctx = client_ctx(w, NULL, TLS1_1_VERSION);
    SSL_CTX_set_security_level(ctx, 0);
    int fd = kit_dial(w->port);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    CHECK(SSL_connect(ssl) != 1);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
    fd = kit_dial(w->port);
    CHECK_EQ(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
    char got[100];
    while (read(fd, got, sizeof got) > 0) {
    }
    close(fd);
    close(kit_dial(w->port));
    usleep(20000);
}
TEST(old_versions_plain_text_and_silence_are_refused)
{
    serve(script_refused);
}

static void script_large(struct world *w)
{
    enum { N = 2 * 1024 * 1024 };
    SSL_CTX *ctx = client_ctx(w, NULL, TLS1_3_VERSION);
    int fd = kit_dial(w->port);
    SSL *ssl = handshake(ctx, fd, NULL);
    char head[100], *body = mem_new(N), *got = mem_new(N + 1000);
    for (size_t i = 0; i < N; i++) {
        body[i] = (char)(i * 31 + i / 1000);
    }
    int n = snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nContent-Length: %d\r\n\r\n", N);
    CHECK_EQ(SSL_write(ssl, head, n), n);
    CHECK_EQ(SSL_write(ssl, body, N), N);
    size_t at = 0;
    const char *reply = NULL;
    while (!reply || at < (size_t)(reply - got) + N) {
        int r = SSL_read(ssl, got + at, (int)(N + 1000 - at));
        CHECK(r > 0);
        at += (size_t)r;
        if (!reply && (reply = strstr(got, "\r\n\r\n"))) {
            reply += 4;
        }
    }
    CHECK(memcmp(reply, body, N) == 0);
    free(body);
    free(got);
    end(ssl, fd);
    SSL_CTX_free(ctx);
}
TEST(large_bodies_pass_in_both_directions_unchanged)
{
    serve(script_large);
}

/* ---- our own client ---- */

static void cl_read(void *data, struct span bytes)
{
    struct world *w = data;
    strbuf_put(&w->got, bytes);
    env_stream_read(w->stream, false); /* every read pauses: nothing may get lost */
    env_stream_read(w->stream, true);
}

static void cl_end(void *data, int code)
{
    struct world *w = data;
    w->code = code;
    w->ended = true;
    env_stream_close(w->stream);
    stop(w);
}

static const struct env_stream_handler cl_handler = {cl_read, cl_end, NULL};

static void cl_ready(void *data, int code, struct env_stream *stream)
{
    struct world *w = data;
    w->code = code;
    w->ready = true;
    if (code < 0) {
        stop(w);
        return;
    }
    w->stream = stream;
    env_stream_set(stream, &cl_handler, w);
    env_stream_read(stream, true);
    env_stream_write(
        stream, SPAN("GET /who HTTP/1.1\r\n\r\nGET /who HTTP/1.1\r\nConnection: close\r\n\r\n"));
}

static const char *cl_name;

static void cl_connected(void *data, int code, struct env_stream *stream)
{
    struct world *w = data;
    CHECK_EQ(code, 0);
    (void)tls_connect(w->client, stream, cl_name, cl_ready, w);
}

static void cl_run(const struct tls_pair *who, bool right_ca, const char *name, struct world *w)
{
    struct span detail;
    world_init(w);
    cl_name = name;
    CHECK_EQ(tls_client_new(right_ca ? w->p.ca.cert_pem : w->p.other_ca.cert_pem,
                            who ? w->p.client.cert_pem : SPAN_NULL,
                            who ? w->p.client.key_pem : SPAN_NULL, w->p.a, &w->client, &detail),
             0);
    CHECK_EQ(env_connect_tcp(w->env, "127.0.0.1", w->port, cl_connected, w), 0);
    env_uv_run(w->env);
    tls_client_free(w->client);
}

TEST(our_client_talks_to_our_server_by_name_and_by_address)
{
    const char *names[] = {"127.0.0.1", "localhost", "kubernetes.default.svc"};
    for (int i = 0; i < 3; i++) {
        struct world w;
        cl_run(&w.p.client, true, names[i], &w);
        CHECK_EQ(w.code, 0);
        CHECK(w.ended);
        CHECK_SPAN(span_from(strbuf_span(&w.got), w.got.n - 28), "admin|system:masters\nmore|32");
        CHECK(w.got.n > 150);
        world_done(&w);
    }
}

TEST(our_client_refuses_a_wrong_name_and_a_wrong_ca)
{
    for (int i = 0; i < 2; i++) {
        struct world w;
        cl_run(NULL, i == 0, i == 0 ? "elsewhere" : "localhost", &w);
        CHECK(w.ready);
        CHECK_EQ(w.code, -EKEYREJECTED);
        world_done(&w);
    }
}
