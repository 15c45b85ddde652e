/* exec, attach and logs with real kubectl programs against a TLS server and a made-up node. */
#include <openssl/evp.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "codec/websocket.h"
#include "env/env_uv.h"
#include "front/reply.h"
#include "http/http.h"
#include "kit/https_kit.h"
#include "kit/kit.h"
#include "remote/remote.h"

/* No container starts at once, and kubectl drops what comes before it listens (kubernetes 1.32). */
enum { START_MS = 50 };

/* ---- a made-up node. The command's first word says what it does: see tick() ---- */

struct world;
struct node_session {
    struct world *w;
    const struct node_session_handler *h;
    void *data;
    struct span command[4];
    size_t command_count;
    struct strbuf in;   /* stdin not yet taken */
    size_t taken, left; /* bytes of stdin taken; bytes still to be put out */
    bool is_log, follow, tty, in_ended, paused, started;
    uint16_t width, height;
    struct env_timer timer;
};

struct world {
    struct env *env;
    struct arena *a;
    struct tls_server *tls;
    struct https_pki pki;
    struct http_server *http;
    struct remote_hub *hub;
    struct node_api node;
    uint16_t port;
    const char *dir;
    int sessions, ended, aborts, pauses, stdin_ends;
    size_t queued_max, out_max, sunk, mark_at;
    int exit_code;
    struct strbuf out;
    struct env_stream *stream;
    struct env_timer timer;
    struct strbuf raw, frames;
    struct ws_decoder decoder;
    const char *raw_request;
    bool closed;
};

static void session_free(struct node_session *s)
{
    env_timer_stop(s->w->env, &s->timer);
    strbuf_done(&s->in);
    s->w->ended++;
    free(s);
}

/* Tells the shell line, which waits for that file. */
static void mark(struct world *w)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/mark", w->dir);
    FILE *f = fopen(path, "w");
    CHECK(f);
    fclose(f);
}

static void end_session(struct node_session *s, int code, const struct err *err)
{
    s->h->on_end(s->data, code, err);
    session_free(s);
}

static bool is(const struct node_session *s, const char *word)
{
    return s->command_count > 0 && span_eq_cstr(s->command[0], word);
}

static void tick(struct env_timer *t);

static void later(struct node_session *s, int64_t ms)
{
    env_timer_start(s->w->env, &s->timer, ms, tick);
}

static void put_bytes(struct node_session *s)
{
    static char block[30000];
    memset(block, 'b', sizeof block);
    while (s->left && !s->paused) {
        struct span b = span_first(span_of(block, sizeof block), s->left);
        s->left -= b.n;
        s->h->on_output(s->data, 1, b);
    }
    if (!s->left) {
        end_session(s, 0, NULL);
    }
}

/* It begins when much waits, so that the queue is seen full however slow the client is. */
static void take_stdin(struct node_session *s)
{
    if (s->taken == 0 && s->in.n < LIMIT_REMOTE_QUEUE_BYTES && !s->in_ended) {
        later(s, 1);
        return;
    }
    size_t n = s->in.n < 20000 ? s->in.n : 20000;
    strbuf_consume(&s->in, n);
    s->taken += n;
    if (s->in.n == 0 && s->h->on_drain && n) {
        s->h->on_drain(s->data);
    }
    if (s->in.n == 0 && s->in_ended) {
        char text[40];
        int len = snprintf(text, sizeof text, "%zu\n", s->taken);
        s->w->sunk = s->taken;
        s->h->on_output(s->data, 1, span_of(text, (size_t)len));
        end_session(s, 0, NULL);
    } else {
        later(s, 1);
    }
}

static void tick(struct env_timer *t)
{
    struct node_session *s = CONTAINER_OF(t, struct node_session, timer);
    int64_t n = 0;
    if (s->command_count > 1) {
        (void)span_to_i64(s->command[1], &n);
    }
    if (is(s, "exit")) {
        end_session(s, (int)n, NULL);
    } else if (is(s, "both")) {
        s->h->on_output(s->data, 1, SPAN("to out\n"));
        s->h->on_output(s->data, 2, SPAN("to err\n"));
        end_session(s, 0, NULL);
    } else if (is(s, "bytes")) {
        if (!s->started) {
            s->started = true;
            s->left = (size_t)n;
        }
        put_bytes(s);
    } else if (is(s, "sink")) {
        take_stdin(s);
    } else if (is(s, "fail")) {
        struct err err;
        err_set(s->w->a, &err, ERR_INTERNAL, "no such program: fail");
        end_session(s, 0, &err);
    } else if (is(s, "size") && s->width) {
        char text[40];
        int len = snprintf(text, sizeof text, "%ux%u\r\n", s->width, s->height);
        s->h->on_output(s->data, 1, span_of(text, (size_t)len));
        end_session(s, 0, NULL);
    } else if (is(s, "cat") || s->command_count == 0) {
        if (s->in.n) {
            s->h->on_output(s->data, 1, strbuf_span(&s->in));
            strbuf_clear(&s->in);
            if (s->h->on_drain) {
                s->h->on_drain(s->data);
            }
        }
        if (s->in_ended) {
            end_session(s, 0, NULL);
        }
    }
}

static struct node_session *session_new(struct node_api *n, const struct node_session_handler *h,
                                        void *data)
{
    struct world *w = CONTAINER_OF(n, struct world, node);
    struct node_session *s = MEM_NEW(struct node_session);
    s->w = w;
    s->h = h;
    s->data = data;
    w->sessions++;
    if (w->mark_at == 0) {
        mark(w);
    }
    return s;
}

static struct node_session *node_exec(struct node_api *n, const struct node_exec_request *q,
                                      const struct node_session_handler *h, void *data)
{
    struct node_session *s = session_new(n, h, data);
    s->tty = q->tty;
    for (; s->command_count < q->command_count && s->command_count < 4; s->command_count++) {
        s->command[s->command_count] = q->command[s->command_count];
    }
    later(s, START_MS);
    return s;
}

static void log_tick(struct env_timer *t)
{
    struct node_session *s = CONTAINER_OF(t, struct node_session, timer);
    if (s->left > 1) {
        put_bytes(s);
        return;
    }
    if (!s->started) {
        s->started = true;
        s->h->on_output(s->data, 1, SPAN("one\ntwo\n"));
        env_timer_start(s->w->env, &s->timer, s->follow ? 300 : 0, log_tick);
        return;
    }
    if (s->follow) {
        s->h->on_output(s->data, 1, SPAN("three\n"));
    }
    end_session(s, 0, NULL);
}

static void log_refuse(struct env_timer *t)
{
    struct node_session *s = CONTAINER_OF(t, struct node_session, timer);
    struct err err;
    err_set(s->w->a, &err, ERR_BAD_REQUEST,
            "container \"c\" in pod \"p\" is waiting to start: ContainerCreating");
    end_session(s, 0, &err);
}

static struct node_session *node_logs(struct node_api *n, const struct node_log_request *q,
                                      const struct node_session_handler *h, void *data)
{
    struct node_session *s = session_new(n, h, data);
    s->is_log = true;
    s->follow = q->follow;
    s->left = q->limit_bytes > 1 ? (size_t)q->limit_bytes : 0;
    s->started = q->since_ms > 0; /* nothing new since then: quiet */
    if (q->previous) {
        env_timer_start(s->w->env, &s->timer, 1, log_refuse);
    } else if (!s->started) {
        env_timer_start(s->w->env, &s->timer, 1, log_tick);
    }
    return s;
}

static void node_write(struct node_session *s, struct span bytes)
{
    strbuf_put(&s->in, bytes);
    if (s->in.n > s->w->queued_max) {
        s->w->queued_max = s->in.n;
    }
    if (s->w->mark_at && s->taken + s->in.n >= s->w->mark_at) {
        mark(s->w);
    }
    if (!env_timer_armed(&s->timer)) {
        later(s, 0);
    }
}

static size_t node_queued(const struct node_session *s)
{
    return s->in.n;
}

static void node_close_stdin(struct node_session *s)
{
    s->in_ended = true;
    s->w->stdin_ends++;
    if (!env_timer_armed(&s->timer)) {
        later(s, 0);
    }
}

static void node_resize(struct node_session *s, uint16_t width, uint16_t height)
{
    s->width = width;
    s->height = height;
    later(s, 0);
}

static void node_pause(struct node_session *s, bool paused)
{
    s->paused = paused;
    s->w->pauses += paused;
    if (!paused) {
        env_timer_start(s->w->env, &s->timer, 0, s->is_log ? log_tick : tick);
    }
}

static void node_abort(struct node_session *s)
{
    s->w->aborts++;
    session_free(s);
}

static const struct node_api_ops node_ops = {node_logs,        node_exec,   node_write, node_queued,
                                             node_close_stdin, node_resize, node_pause, node_abort};

/* ---- a server with one pod ---- */

static void reply_with(struct http_exchange *x, struct span json)
{
    http_reply(x, 200, "application/json", json);
}

static void on_request(void *data, struct http_exchange *x)
{
    struct world *w = data;
    struct span path = http_path(x);
    struct err err = {0};
    CHECK_SPAN(http_client_name(x), "admin");
    if (span_ends(path, SPAN("/exec")) || span_ends(path, SPAN("/attach"))) {
        struct node_exec_request q;
        if (remote_exec_parse(x, span_ends(path, SPAN("/exec")), &q, &err) < 0) {
            reply_err(x, &err);
        } else {
            remote_exec(w->hub, x, &q);
        }
    } else if (span_ends(path, SPAN("/log"))) {
        struct node_log_request q = {0};
        if (remote_logs_parse(w->env, x, &q, &err) < 0) {
            reply_err(x, &err);
        } else {
            remote_logs(w->hub, x, &q);
        }
    } else if (span_eq_cstr(path, "/api")) {
        reply_with(x, SPAN("{\"kind\":\"APIVersions\",\"versions\":[\"v1\"]}"));
    } else if (span_eq_cstr(path, "/apis")) {
        reply_with(x, SPAN("{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[]}"));
    } else if (span_eq_cstr(path, "/api/v1")) {
        reply_with(x, SPAN("{\"kind\":\"APIResourceList\",\"groupVersion\":\"v1\",\"resources\":["
                           "{\"name\":\"pods\",\"namespaced\":true,\"kind\":\"Pod\",\"shortNames\":"
                           "[\"po\"],\"verbs\":[\"get\",\"list\"]}]}"));
    } else if (span_ends(path, SPAN("/pods/p"))) {
        reply_with(x,
                   SPAN("{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"p\","
                        "\"namespace\":\"default\"},\"spec\":{\"containers\":[{\"name\":\"c\","
                        "\"image\":\"i\",\"stdin\":true}]},\"status\":{\"phase\":\"Running\"}}"));
    } else {
        err_set(http_arena(x), &err, ERR_NOT_FOUND,
                "the server could not find the requested resource");
        reply_err(x, &err);
    }
}

static const struct http_handler handler = {on_request};

static void world_init(struct world *w)
{
    struct span detail;
    *w = (struct world){.env = env_uv_new(), .a = arena_new(), .node = {&node_ops}};
    signal(SIGPIPE, SIG_IGN);
    w->dir = kit_tmpdir();
    https_pki_make(&w->pki, w->a, env_now_ms(w->env));
    CHECK_EQ(tls_server_new(w->pki.server.cert_pem, w->pki.server.key_pem, w->pki.ca.cert_pem, w->a,
                            &w->tls, &detail),
             0);
    w->hub = remote_hub_new(w->env, &w->node, reply_err);
    w->http = http_server_new(w->env, &handler, w);
    CHECK_EQ(http_server_listen_tcp(w->http, "127.0.0.1", 0, w->tls, &w->port), 0);
}

static void world_done(struct world *w)
{
    http_server_close(w->http);
    remote_hub_free(w->hub);
    http_server_free(w->http);
    tls_server_free(w->tls);
    env_timer_stop(w->env, &w->timer);
    CHECK_EQ(w->sessions, w->ended);
    env_uv_free(w->env);
    strbuf_done(&w->out);
    strbuf_done(&w->raw);
    strbuf_done(&w->frames);
    ws_decoder_done(&w->decoder);
    arena_free(w->a);
}

/* ---- kubectl ---- */

static struct span base64(struct arena *a, struct span in)
{
    unsigned char *p = arena_alloc(a, in.n * 2 + 8);
    return span_of(p, (size_t)EVP_EncodeBlock(p, (const unsigned char *)in.p, (int)in.n));
}

static void write_kubeconfig(struct world *w)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/kubeconfig", w->dir);
    FILE *f = fopen(path, "w");
    CHECK(f);
    fprintf(f,
            "apiVersion: v1\nkind: Config\ncurrent-context: b\n"
            "clusters: [{name: b, cluster: {server: \"https://127.0.0.1:%u\", "
            "certificate-authority-data: %.*s}}]\n"
            "users: [{name: b, user: {client-certificate-data: %.*s, client-key-data: %.*s}}]\n"
            "contexts: [{name: b, context: {cluster: b, user: b}}]\n",
            w->port, SPAN_ARG(base64(w->a, w->pki.ca.cert_pem)),
            SPAN_ARG(base64(w->a, w->pki.client.cert_pem)),
            SPAN_ARG(base64(w->a, w->pki.client.key_pem)));
    fclose(f);
}

static void on_exit_code(void *data, int code, int sig)
{
    struct world *w = data;
    w->exit_code = sig ? 128 + sig : code;
    env_uv_stop(w->env);
}

static void on_moment(struct env_timer *t)
{
    env_uv_stop(CONTAINER_OF(t, struct world, timer)->env);
}

/* What a client's end brings about; the test's own limit ends a wait that is in vain. */
static void run_until(struct world *w, const int *count, int is)
{
    while (*count != is) {
        env_timer_start(w->env, &w->timer, 2, on_moment);
        env_uv_run(w->env);
    }
}

/* Runs a shell line, $K is kubectl with its kubeconfig, $UP waits until a session has begun (or has
 * got w->mark_at bytes); what it prints (both outputs) is in w->out. */
static void shell(struct world *w, const char *kubectl, const char *line)
{
    char text[2000], path[200];
    (void)snprintf(
        text, sizeof text,
        "cd %s && export HOME=%s; exec >out 2>&1 </dev/null; rm -f mark; "
        "UP='until test -e mark; do sleep 0.01; done'; K='%s --kubeconfig=kubeconfig'; %s",
        w->dir, w->dir, kubectl, line);
    const char *argv[] = {"sh", "-c", text, NULL};
    const int fds[] = {-1, -1, 2};
    CHECK_EQ(
        env_spawn(w->env,
                  &(struct env_spawn){
                      .argv = argv, .fds = fds, .fd_count = 3, .on_exit = on_exit_code, .data = w},
                  NULL),
        0);
    env_uv_run(w->env);
    (void)snprintf(path, sizeof path, "%s/out", w->dir);
    FILE *f = fopen(path, "r");
    CHECK(f);
    strbuf_clear(&w->out);
    size_t n;
    while ((n = fread(strbuf_room(&w->out, 65536), 1, 65536, f)) > 0) {
        strbuf_added(&w->out, n);
    }
    fclose(f);
}

/* The programs to try: kubectl on the PATH and what KUBECTLS (environment, colon separated) names.
 */
static void each_kubectl(void (*fn)(struct world *w, const char *kubectl))
{
    const char *env = getenv("KUBECTLS");
    struct span rest = span_cstr(env);
    int tried = 0;
    for (struct span name = SPAN("kubectl"); name.n; name = span_cut(&rest, ':')) {
        struct world w;
        world_init(&w);
        write_kubeconfig(&w);
        const char *kubectl = arena_cstr(w.a, name);
        shell(&w, kubectl, "command -v $K | head -1");
        if (w.out.n > 1) {
            tried++;
            kit_note("with %s", kubectl);
            fn(&w, kubectl);
        }
        world_done(&w);
    }
    if (!tried) {
        SKIP("no kubectl");
    }
}

static void expect(struct world *w, const char *kubectl, const char *line, int code,
                   const char *out)
{
    shell(w, kubectl, line);
    if (out) {
        CHECK_SPAN(strbuf_span(&w->out), out);
    }
    CHECK_EQ(w->exit_code, code);
}

static void script_exec(struct world *w, const char *k)
{
    expect(w, k, "$K exec p -- exit 0", 0, "");
    expect(w, k, "$K exec p -- exit 3", 3, "command terminated with exit code 3\n");
    expect(w, k, "$K exec p -- both 2>/dev/null", 0, "to out\n");
    expect(w, k, "$K exec p -- both >/dev/null", 0, "to err\n");
    expect(w, k, "printf 'hello\\nworld' | $K exec -i p -- cat", 0, "hello\nworld");
    shell(w, k, "$K exec p -- fail");
    CHECK_EQ(w->exit_code, 1);
    CHECK(strstr(w->out.p, "no such program: fail"));
}
TEST_T(kubectl_exec_passes_streams_and_exit_codes, 60)
{
    each_kubectl(script_exec);
}

static void script_bulk(struct world *w, const char *k)
{
    expect(w, k, "$K exec p -- bytes 5000000 | wc -c", 0, "5000000\n");
    expect(w, k, "head -c 3000000 /dev/zero | $K exec -i p -- sink", 0, "3000000\n");
    CHECK(w->queued_max > LIMIT_REMOTE_QUEUE_BYTES / 2);
    CHECK(w->queued_max < LIMIT_REMOTE_QUEUE_BYTES * 4);
    w->pauses = 0;
    expect(w, k, "$K exec p -- bytes 5000000 | (sleep 1; wc -c)", 0, "5000000\n");
    expect(w, k, "head -c 1000000 /dev/zero | $K exec -i p -- cat | wc -c", 0, "1000000\n");
}
TEST_T(bulk_data_passes_in_both_directions_with_bounded_queues, 60)
{
    each_kubectl(script_bulk);
}

static void script_attach(struct world *w, const char *k)
{
    shell(w, k, "echo hello | $K attach -i p");
    CHECK(strstr(w->out.p, "hello\n"));
    CHECK_EQ(w->exit_code, 0);
    shell(w, k, "script -qec 'stty rows 33 cols 77; '\"$K\"' exec -it p -- size' log");
    CHECK(strstr(w->out.p, "77x33"));
    CHECK_EQ(w->exit_code, 0);
    /* A client that is killed leaves no session behind. */
    shell(w, k, "$K exec p -- hang & eval \"$UP\"; kill -9 $!");
    run_until(w, &w->aborts, 1);
    CHECK_EQ(remote_hub_open(w->hub), 0);
    /* But what it sent is read to its end. */
    int ended = w->ended;
    w->mark_at = 300000;
    shell(w, k,
          "mkfifo held; (head -c 300000 /dev/zero; cat held) | $K exec -i p -- sink & "
          "eval \"$UP\"; kill -9 $!; : >held");
    run_until(w, &w->ended, ended + 1);
    CHECK_EQ(w->sunk, 300000);
    CHECK_EQ(w->aborts, 1);
    CHECK_EQ(remote_hub_open(w->hub), 0);
    w->mark_at = w->stdin_ends = 0;
    shell(w, k, "cat held | $K exec -i p -- hang & eval \"$UP\"; kill -9 $!; : >held");
    run_until(w, &w->stdin_ends, 1);
    CHECK_EQ(remote_hub_open(w->hub), 1); /* the server's end is its end, too */
}
TEST_T(attach_terminals_and_killed_clients, 60)
{
    each_kubectl(script_attach);
}

static void script_logs(struct world *w, const char *k)
{
    expect(w, k, "$K logs p", 0, "one\ntwo\n");
    expect(w, k, "$K logs -f p", 0, "one\ntwo\nthree\n");
    expect(w, k, "$K logs --limit-bytes=3000000 p | (sleep 0.5; wc -c)", 0, "3000000\n");
    expect(w, k, "$K logs --previous p", 1,
           "Error from server (BadRequest): container \"c\" in pod \"p\" is waiting to start: "
           "ContainerCreating\n");
    shell(w, k, "$K logs -f --since=5s p & eval \"$UP\"; kill $!");
    run_until(w, &w->aborts, 1);
    CHECK_EQ(remote_hub_open(w->hub), 0);
}
TEST_T(kubectl_logs_follows_pauses_and_goes_away, 60)
{
    each_kubectl(script_logs);
}
