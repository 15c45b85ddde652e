#include "test/kit/api_kit.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "store/store_priv.h"
#include "token/token.h"

struct conn {
    struct api_kit *k;
    struct env_stream *stream;
    struct strbuf in;
    bool connected, ended, failed;
};

struct api_watch {
    struct conn c;
    size_t head_n, raw_at; /* raw_at: how much of c.in is de-chunked */
    struct strbuf lines;
    size_t line_at;
};

static struct arena *kit_arena(void)
{
    static struct arena *a;
    if (!a) {
        a = arena_new();
    }
    return a;
}

/* ---- the loop ---- */

struct alarm {
    struct env_timer timer;
    struct api_kit *k;
    bool rang;
};

static void on_alarm(struct env_timer *timer)
{
    struct alarm *al = CONTAINER_OF(timer, struct alarm, timer);
    al->rang = true;
    env_uv_stop(al->k->env);
}

static bool run_for(struct api_kit *k, bool (*done)(void *data), void *data, int64_t ms)
{
    struct alarm al = {.k = k};
    env_timer_start(k->env, &al.timer, ms, on_alarm);
    while (!done(data) && !al.rang) {
        env_uv_run(k->env);
    }
    env_timer_stop(k->env, &al.timer);
    return done(data);
}

static bool flag_is_set(void *data)
{
    return *(const bool *)data;
}

struct flag_poll {
    struct env_hook hook;
    struct api_kit *k;
    const bool *flag;
};

static void on_turn(struct env_hook *hook)
{
    struct flag_poll *p = CONTAINER_OF(hook, struct flag_poll, hook);
    if (*p->flag) {
        env_uv_stop(p->k->env);
    }
}

void api_run_until(struct api_kit *k, const bool *flag)
{
    struct flag_poll p = {.k = k, .flag = flag};
    env_turn_end_add(k->env, &p.hook, on_turn);
    bool ok = run_for(k, flag_is_set, (void *)(uintptr_t)flag, 5000);
    env_turn_end_remove(k->env, &p.hook);
    if (!ok) {
        kit_fail(__FILE__, __LINE__, "nothing happened for 5 s");
    }
}

static bool never_done(void *data)
{
    (void)data;
    return false;
}

void api_run_ms(struct api_kit *k, int64_t ms)
{
    (void)run_for(k, never_done, NULL, ms);
}

/* ---- start and stop ---- */

const struct apiserver_options api_kit_options = {
    .service_cidr = SPAN("10.43.0.0/16"),
    .cluster_dns = SPAN("10.43.0.10"),
    .server_address = SPAN("10.42.0.1:6443"),
    .git_version = SPAN("v1.34.0+berth"),
    .platform = SPAN("linux/amd64"),
    .public_url = SPAN("https://127.0.0.1:6443"),
    .root_ca = SPAN("CA"),
    .token_issuer = SPAN("https://kubernetes.default.svc.cluster.local"),
};

static void on_ready(void *data)
{
    *(bool *)data = true;
}

static void open_server(struct api_kit *k)
{
    k->store = store_memory_open(k->env, k->disk, k->store_options);
    if (k->history_limit) {
        k->store->history_limit = k->history_limit;
    }
    k->hub = watch_hub_new(k->env, k->store);
    struct apiserver_options o = api_kit_options;
    o.token_key = k->token_key;
    o.node = k->node;
    k->server = apiserver_new(k->env, k->store, k->hub, &o);
    k->client = apiserver_local_client(k->server);
    k->front = front_end_new(k->server, k->node);
    k->http = http_server_new(k->env, front_end_http(), k->front);
    CHECK_EQ(http_server_listen_unix(k->http, k->socket, 0600), 0);
    bool ready = false;
    apiserver_on_ready(k->server, on_ready, &ready);
    api_run_until(k, &ready);
}

static void close_server(struct api_kit *k)
{
    client_free(k->client);
    http_server_free(k->http);
    api_run_ms(k, 20);
    front_end_free(k->front);
    apiserver_free(k->server);
    watch_hub_free(k->hub);
    store_free(k->store);
    api_run_ms(k, 20);
}

static void start(struct api_kit *k, struct node_api *node,
                  const struct store_memory_options *store, struct span token_key)
{
    *k = (struct api_kit){.node = node, .store_options = store, .token_key = token_key};
    k->env = env_uv_new();
    k->disk = store_memory_disk_new();
    k->socket = arena_cstr(kit_arena(), arena_printf(kit_arena(), "%s/s", kit_tmpdir()));
    open_server(k);
}

void api_kit_start(struct api_kit *k, struct node_api *node)
{
    start(k, node, NULL, SPAN_NULL);
}

void api_kit_start_tokens(struct api_kit *k)
{
    struct span pem = SPAN_NULL;
    CHECK_EQ(token_key_make(kit_arena(), &pem), 0);
    start(k, NULL, NULL, pem);
}

void api_kit_by_tcp(struct api_kit *k, bool on)
{
    k->port = 0;
    if (on) {
        CHECK_EQ(http_server_listen_tcp(k->http, "127.0.0.1", 0, NULL, &k->port), 0);
    }
}

void api_kit_start_on(struct api_kit *k, const struct store_memory_options *store)
{
    start(k, NULL, store, SPAN_NULL);
}

void api_kit_restart(struct api_kit *k)
{
    close_server(k);
    (void)unlink(k->socket);
    open_server(k);
}

void api_kit_stop(struct api_kit *k)
{
    close_server(k);
    store_memory_disk_free(k->disk);
    env_uv_free(k->env);
}

/* ---- a connection ---- */

static void on_read(void *data, struct span bytes)
{
    struct conn *c = data;
    strbuf_put(&c->in, bytes);
    env_uv_stop(c->k->env);
}

static void on_end(void *data, int code)
{
    struct conn *c = data;
    (void)code;
    c->ended = true;
    env_uv_stop(c->k->env);
}

static void on_connect(void *data, int code, struct env_stream *stream)
{
    static const struct env_stream_handler handler = {.on_read = on_read, .on_end = on_end};
    struct conn *c = data;
    c->failed = code != 0;
    c->connected = true;
    if (stream) {
        c->stream = stream;
        env_stream_set(stream, &handler, c);
        env_stream_read(stream, true);
    }
    env_uv_stop(c->k->env);
}

static bool is_connected(void *data)
{
    return ((struct conn *)data)->connected;
}

static bool has_ended(void *data)
{
    return ((struct conn *)data)->ended;
}

static void conn_open(struct conn *c, struct api_kit *k, const char *method, const char *path,
                      const char *headers, const char *body)
{
    *c = (struct conn){.k = k};
    CHECK_EQ(k->port ? env_connect_tcp(k->env, "127.0.0.1", k->port, on_connect, c)
                     : env_connect_unix(k->env, k->socket, on_connect, c),
             0);
    CHECK(run_for(k, is_connected, c, 5000) && !c->failed);
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    strbuf_printf(&out, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s", method, path,
                  headers);
    if (body) {
        if (!strstr(headers, "Content-Type:")) {
            strbuf_puts(&out, "Content-Type: application/json\r\n");
        }
        strbuf_printf(&out, "Content-Length: %zu\r\n", strlen(body));
    }
    strbuf_puts(&out, "\r\n");
    strbuf_puts(&out, body ? body : "");
    env_stream_write(c->stream, strbuf_span(&out));
}

static size_t head_length(struct span in)
{
    const char *end = memmem(in.p, in.n, "\r\n\r\n", 4);
    return end ? (size_t)(end - in.p) + 4 : 0;
}

static struct span header_of(struct span head, const char *name)
{
    struct span rest = head;
    while (rest.n) {
        struct span line = span_trim(span_cut(&rest, '\n')), value = line;
        struct span key = span_cut(&value, ':');
        if (span_eq_nocase(key, span_cstr(name))) {
            return span_trim(value);
        }
    }
    return SPAN_NULL;
}

/* Appends the chunks that are complete; returns how much was used up. *end: the last one was seen.
 */
static size_t dechunk(struct span in, struct strbuf *out, bool *end)
{
    size_t used = 0;
    for (;;) {
        struct span rest = span_from(in, used);
        const char *eol = memmem(rest.p, rest.n, "\r\n", 2);
        if (!eol) {
            return used;
        }
        size_t n = 0, line = (size_t)(eol - rest.p);
        for (size_t i = 0; i < line; i++) {
            char c = rest.p[i];
            n = n * 16 + (size_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        }
        if (rest.n < line + 2 + n + 2) {
            return used;
        }
        strbuf_put(out, span_of(rest.p + line + 2, n));
        used += line + 2 + n + 2;
        if (n == 0) {
            *end = true;
            return used;
        }
    }
}

static int status_of(struct span head)
{
    uint64_t status = 0;
    return head.n > 12 && span_to_u64(span_of(head.p + 9, 3), &status) ? (int)status : 0;
}

struct api_reply api_call(struct api_kit *k, const char *method, const char *path,
                          const char *headers, const char *body)
{
    struct conn c;
    struct api_reply r = {0};
    struct arena *a = kit_arena();
    conn_open(&c, k, method, path, headers, body);
    if (!run_for(k, has_ended, &c, 5000)) {
        kit_fail(__FILE__, __LINE__, "%s %s: no complete reply within 5 s; so far: %.*s", method,
                 path, SPAN_ARG(strbuf_span(&c.in)));
    }
    struct span in = arena_dup(a, strbuf_span(&c.in));
    size_t n = head_length(in);
    r.head = span_first(in, n);
    r.body = span_from(in, n);
    r.status = status_of(r.head);
    if (span_eq(header_of(r.head, "transfer-encoding"), SPAN("chunked"))) {
        struct strbuf out cleanup_strbuf = STRBUF_INIT;
        bool end = false;
        (void)dechunk(r.body, &out, &end);
        r.body = arena_dup(a, strbuf_span(&out));
    }
    yyjson_doc *doc = NULL;
    if (json_parse(a, r.body, &doc, NULL) == 0) {
        r.json = yyjson_doc_get_root(doc);
    }
    env_stream_close(c.stream);
    strbuf_done(&c.in);
    return r;
}

struct api_reply api_expect(struct api_kit *k, int status, const char *method, const char *path,
                            const char *headers, const char *body)
{
    struct api_reply r = api_call(k, method, path, headers, body);
    if (r.status != status) {
        kit_fail(__FILE__, __LINE__, "%s %s: got %d, wanted %d: %.*s", method, path, r.status,
                 status, SPAN_ARG(span_first(r.body, 800)));
    }
    return r;
}

struct api_reply api_get(struct api_kit *k, const char *path)
{
    return api_call(k, "GET", path, "", NULL);
}

struct api_reply api_post(struct api_kit *k, const char *path, const char *body)
{
    return api_call(k, "POST", path, "", body);
}

struct arena *api_arena(void)
{
    return kit_arena();
}

const char *api_text(struct span s)
{
    return arena_cstr(kit_arena(), s);
}

struct span api_header(const struct api_reply *r, const char *name)
{
    return header_of(r->head, name);
}

const yyjson_val *api_at(const yyjson_val *v, const char *path)
{
    struct span rest = span_cstr(path);
    while (rest.n && v) {
        struct span key = span_cut(&rest, '.');
        uint64_t i;
        yyjson_val *u = (yyjson_val *)(uintptr_t)v;
        v = yyjson_is_arr(u) ? (span_to_u64(key, &i) ? yyjson_arr_get(u, i) : NULL)
                             : yyjson_obj_getn(u, key.p, key.n);
    }
    return v;
}

struct span api_str(const struct api_reply *r, const char *path)
{
    return json_str(api_at(r->json, path));
}

/* ---- watches ---- */

static void feed(struct api_watch *w)
{
    struct span in = strbuf_span(&w->c.in);
    if (!w->head_n) {
        w->head_n = w->raw_at = head_length(in);
    }
    if (w->head_n) {
        bool end = false;
        w->raw_at += dechunk(span_from(in, w->raw_at), &w->lines, &end);
    }
}

static bool has_line(void *data)
{
    struct api_watch *w = data;
    feed(w);
    struct span rest = span_from(strbuf_span(&w->lines), w->line_at);
    return w->c.ended || span_find(rest, '\n') < rest.n;
}

static bool has_head(void *data)
{
    struct api_watch *w = data;
    feed(w);
    return w->head_n || w->c.ended;
}

struct api_watch *api_watch_open(struct api_kit *k, const char *path, const char *headers)
{
    struct api_watch *w = MEM_NEW(struct api_watch);
    conn_open(&w->c, k, "GET", path, headers, NULL);
    if (!run_for(k, has_head, w, 5000)) {
        kit_fail(__FILE__, __LINE__, "GET %s: no head of a reply within 5 s", path);
    }
    return w;
}

int api_watch_status(struct api_watch *w)
{
    return status_of(span_first(strbuf_span(&w->c.in), w->head_n));
}

const yyjson_val *api_watch_next(struct api_watch *w)
{
    if (!run_for(w->c.k, has_line, w, 5000)) {
        kit_fail(__FILE__, __LINE__, "no event within 5 s");
    }
    struct span rest = span_from(strbuf_span(&w->lines), w->line_at);
    size_t n = span_find(rest, '\n');
    if (n == rest.n) {
        return NULL;
    }
    w->line_at += n + 1;
    yyjson_doc *doc = NULL;
    struct span line = arena_dup(kit_arena(), span_first(rest, n));
    if (json_parse(kit_arena(), line, &doc, NULL)) {
        kit_fail(__FILE__, __LINE__, "not JSON: %.*s", SPAN_ARG(line));
    }
    return yyjson_doc_get_root(doc);
}

bool api_watch_quiet(struct api_watch *w, int64_t ms)
{
    return !run_for(w->c.k, has_line, w, ms);
}

void api_watch_close(struct api_watch *w)
{
    if (w->c.stream) {
        env_stream_close(w->c.stream);
    }
    strbuf_done(&w->c.in);
    strbuf_done(&w->lines);
    free(w);
}

struct dialled {
    struct env_stream *stream;
    bool done;
};

static void on_dialled(void *data, int code, struct env_stream *stream)
{
    struct dialled *d = data;
    CHECK_EQ(code, 0);
    *d = (struct dialled){stream, true};
}

struct env_stream *api_dial_ws(struct api_kit *k, const char *path, const char *protocols,
                               const struct env_stream_handler *handler, void *data)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    struct dialled d = {0};
    CHECK_EQ(env_connect_unix(k->env, k->socket, on_dialled, &d), 0);
    api_run_until(k, &d.done);
    env_stream_set(d.stream, handler, data);
    env_stream_read(d.stream, true);
    strbuf_printf(&out,
                  "GET %s HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  "Sec-WebSocket-Protocol: %s\r\n\r\n",
                  path, protocols);
    env_stream_write(d.stream, strbuf_span(&out));
    return d.stream;
}
