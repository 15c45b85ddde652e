/* kubelet/kubelet_check.c: one run of a probe or a lifecycle hook: exec in the container, HTTP GET,
 * TCP connect, sleep. */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/strbuf.h"
#include "codec/grpc_health.h"
#include "kubelet/kubelet_check.h"
#include "kubelet/kubelet_check_priv.h"
#include "kubelet/kubelet_priv.h"

enum { OUTPUT_MAX_BYTES = 10 * 1024, HEAD_MAX_BYTES = 8 * 1024 };
enum net_kind { NET_TCP, NET_HTTP, NET_GRPC };

struct kubelet_check {
    struct kubelet *k; /* not after the end */
    struct env *env;
    struct arena *arena;
    kubelet_check_fn *done; /* NULL: cancelled, waits for the last callback */
    void *data;
    struct env_timer timer;
    struct runtime_session *session;
    struct env_stream *stream;
    bool waits;      /* a callback that cannot be taken back is still to come */
    bool connecting; /* and it is the connection's, not the runtime's */
    enum net_kind kind;
    bool tls;
    struct grpc_health *grpc;
    struct span command, request, url; /* for messages; the HTTP request */
    struct span host;                  /* ends in a NUL */
    enum kubelet_check_result result;  /* of an immediate end */
    struct strbuf out;
    int64_t timeout_ms;
};

static void check_free(struct kubelet_check *c)
{
    env_timer_stop(c->env, &c->timer);
    strbuf_done(&c->out);
    grpc_health_free(c->grpc);
    arena_free(c->arena);
    free(c);
}

/* c is gone afterwards, unless something still has to come back to it. */
static void let_go(struct kubelet_check *c)
{
    assert(!c->done);
    if (c->stream) {
        env_stream_close(TAKE_PTR(c->stream));
    }
    if (c->session) {
        c->k->runtime->ops->session_abort(TAKE_PTR(c->session));
    }
    env_timer_stop(c->env, &c->timer);
    if (!c->waits) {
        check_free(c);
    }
}

/* Tells the result, once, and lets go. */
static void finish(struct kubelet_check *c, enum kubelet_check_result result, struct span output)
{
    assert(c->done); /* told once */
    kubelet_check_fn *done = c->done;
    void *data = c->data;
    struct arena *keep cleanup_arena = arena_new();
    output = arena_dup(keep, span_first(output, OUTPUT_MAX_BYTES));
    c->done = NULL;
    let_go(c);
    done(data, result, output);
}

void kubelet_check_cancel(struct kubelet_check *c)
{
    if (!c) {
        return;
    }
    assert(c->done != NULL);
    c->done = NULL;
    if (c->k->closing) {
        c->session = NULL; /* the runtime is gone, and its callbacks with it */
        c->waits = c->connecting;
    }
    let_go(c);
}

static void on_timeout(struct env_timer *timer)
{
    struct kubelet_check *c = CONTAINER_OF(timer, struct kubelet_check, timer);
    struct span text = SPAN_NULL;
    if (c->url.n > 0) {
        text = arena_printf(c->arena, "%.*s: context deadline exceeded", SPAN_ARG(c->url));
    } else {
        text = arena_printf(c->arena, "command timed out: \"%.*s\" timed out after %llds",
                            SPAN_ARG(c->command), (long long)((c->timeout_ms + 999) / 1000));
    }
    finish(c, KUBELET_CHECK_FAILED, text);
}

static void on_now(struct env_timer *timer)
{
    struct kubelet_check *c = CONTAINER_OF(timer, struct kubelet_check, timer);
    finish(c, c->result, c->command);
}

/* Ends in the next turn. */
static void end_soon(struct kubelet_check *c, enum kubelet_check_result result, struct span text,
                     int64_t delay_ms)
{
    assert(!c->session);
    assert(!c->stream);
    assert(!env_timer_armed(&c->timer));
    c->result = result;
    c->command = text;
    env_timer_start(c->env, &c->timer, delay_ms, on_now);
}

/* ---- exec ---- */

static void exec_output(void *data, int fd, struct span bytes)
{
    struct kubelet_check *c = data;
    assert(c->out.n <= OUTPUT_MAX_BYTES);
    (void)fd;
    if (c->out.n < OUTPUT_MAX_BYTES) {
        strbuf_put(&c->out, span_first(bytes, OUTPUT_MAX_BYTES - c->out.n));
    }
}

static void exec_end(void *data, int exit_code, struct span detail)
{
    struct kubelet_check *c = data;
    c->session = NULL;
    c->waits = false;
    if (!c->done) {
        check_free(c);
        return;
    }
    if (exit_code < 0) {
        finish(c, KUBELET_CHECK_ERROR, detail);
        return;
    }
    finish(c, exit_code == 0 ? KUBELET_CHECK_OK : KUBELET_CHECK_FAILED, strbuf_span(&c->out));
}

static void start_exec(struct kubelet_check *c, struct kubelet_container *container,
                       const yyjson_val *exec)
{
    static const struct runtime_session_handler handler = {.on_output = exec_output,
                                                           .on_end = exec_end};
    const yyjson_val *command = json_get(exec, "command");
    struct span *args = ARENA_ARRAY(c->arena, struct span, json_len(command) + 1);
    size_t n = 0;
    JSON_EACH(it, command)
    {
        args[n] = arena_dup(c->arena, json_str(it.val));
        c->command =
            n ? arena_printf(c->arena, "%.*s %.*s", SPAN_ARG(c->command), SPAN_ARG(args[n]))
              : args[n];
        n++;
    }
    if (n == 0) {
        end_soon(c, KUBELET_CHECK_ERROR, SPAN("exec without a command"), 0);
        return;
    }
    struct runtime *rt = c->k->runtime;
    struct runtime_exec_spec spec = {
        .container_id = kubelet_container_id(c->arena, container, container->v->attempt),
        .args = args,
        .arg_count = n,
        .with_stdout = true,
        .with_stderr = true,
    };
    c->waits = true;
    c->session = rt->ops->exec(rt, &spec, &handler, c);
    /* A session can be aborted; without one the last callback must be awaited. */
    c->waits = c->session == NULL;
}

/* ---- HTTP and TCP ---- */

int kubelet_check_http_status(struct span head)
{
    struct span line = span_first(head, span_find(head, '\n'));
    uint64_t code = 0;
    if (!span_starts(line, SPAN("HTTP/1.")) || line.n < 12 || line.p[8] != ' ' ||
        !span_to_u64(span_first(span_from(line, 9), 3), &code) ||
        (line.n > 12 && line.p[12] != ' ' && line.p[12] != '\r')) {
        return -1;
    }
    return code >= 100 && code <= 599 ? (int)code : -1;
}

static void http_answer(struct kubelet_check *c)
{
    int status = kubelet_check_http_status(strbuf_span(&c->out));
    if (status < 0) {
        finish(c, KUBELET_CHECK_FAILED,
               arena_printf(c->arena, "%.*s: malformed HTTP response", SPAN_ARG(c->url)));
    } else if (status >= 200 && status < 400) {
        finish(c, KUBELET_CHECK_OK, SPAN_NULL);
    } else {
        finish(c, KUBELET_CHECK_FAILED,
               arena_printf(c->arena, "HTTP probe failed with statuscode: %d", status));
    }
}

static void http_read(void *data, struct span bytes)
{
    struct kubelet_check *c = data;
    assert(c->kind == NET_HTTP);
    assert(c->out.n < HEAD_MAX_BYTES);
    strbuf_put(&c->out, span_first(bytes, HEAD_MAX_BYTES - c->out.n));
    struct span have = strbuf_span(&c->out);
    if (span_find(have, '\n') < have.n || have.n == HEAD_MAX_BYTES) {
        http_answer(c);
    }
}

static void http_end(void *data, int code)
{
    struct kubelet_check *c = data;
    finish(c, KUBELET_CHECK_FAILED,
           arena_printf(c->arena, "%.*s: %s", SPAN_ARG(c->url), code ? code_text(code) : "EOF"));
}

/* ---- gRPC ---- */

static void grpc_write(struct kubelet_check *c)
{
    assert(c->stream);
    assert(c->grpc);
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    grpc_health_send(c->grpc, &b);
    if (b.n > 0) {
        env_stream_write(c->stream, strbuf_span(&b));
    }
}

static void grpc_answer(struct kubelet_check *c)
{
    struct span text = SPAN_NULL;
    bool serving = grpc_health_result(c->grpc, c->arena, &text);
    finish(c, serving ? KUBELET_CHECK_OK : KUBELET_CHECK_FAILED, text);
}

static void grpc_read(void *data, struct span bytes)
{
    struct kubelet_check *c = data;
    if (grpc_health_recv(c->grpc, bytes)) {
        grpc_answer(c);
    } else {
        grpc_write(c);
    }
}

static void grpc_end(void *data, int code)
{
    (void)code; /* without an answer */
    grpc_answer(data);
}

/* ---- the connection ---- */

static void talk(struct kubelet_check *c)
{
    static const struct env_stream_handler http = {.on_read = http_read, .on_end = http_end};
    static const struct env_stream_handler grpc = {.on_read = grpc_read, .on_end = grpc_end};
    assert(c->stream);
    assert(c->done);
    switch (c->kind) {
    case NET_TCP:
        finish(c, KUBELET_CHECK_OK, SPAN_NULL);
        break;
    case NET_HTTP:
        env_stream_set(c->stream, &http, c);
        env_stream_read(c->stream, true);
        env_stream_write(c->stream, c->request);
        break;
    case NET_GRPC:
        env_stream_set(c->stream, &grpc, c);
        env_stream_read(c->stream, true);
        grpc_write(c);
        break;
    }
}

/* Closing the stream before keeps this from coming. */
static void on_tls(void *data, int code, struct env_stream *stream)
{
    struct kubelet_check *c = data;
    assert(c->done != NULL);
    c->stream = stream;
    if (code < 0) {
        finish(
            c, KUBELET_CHECK_FAILED,
            arena_printf(c->arena, "%.*s: TLS handshake: %s", SPAN_ARG(c->url), code_text(code)));
        return;
    }
    talk(c);
}

static void on_connected(void *data, int code, struct env_stream *stream)
{
    struct kubelet_check *c = data;
    assert(c->connecting);
    assert(!c->stream);
    c->waits = c->connecting = false;
    if (!c->done) {
        if (stream) {
            env_stream_close(stream);
        }
        check_free(c);
        return;
    }
    if (code < 0) {
        finish(c, KUBELET_CHECK_FAILED,
               arena_printf(c->arena, "%.*s: %s", SPAN_ARG(c->url), code_text(code)));
        return;
    }
    c->stream = stream;
    if (c->tls) {
        c->stream = c->k->options.tls_connect(c->k->options.tls_data, stream, c->host.p, on_tls, c);
        return;
    }
    talk(c);
}

/* A number, or the name of one of the container's ports; 0 when there is none. */
static uint16_t port_of(const struct kubelet_container *container, const yyjson_val *port)
{
    int64_t number = json_int(port, 0);
    JSON_EACH(it, number ? NULL : json_get(kubelet_container_spec(container), "ports"))
    {
        if (span_eq(json_get_str(it.val, "name"), json_str(port))) {
            number = json_get_int(it.val, "containerPort", 0);
        }
    }
    return number > 0 && number < 65536 ? (uint16_t)number : 0;
}

/* Where a network check goes: its own host, or the pod. */
static struct span host_of(const struct kubelet_container *container, const yyjson_val *what)
{
    const struct pod_view *v = &container->pod->view;
    struct span host = json_get_str(what, "host");
    return host.n > 0 ? host : v->host_network ? v->host_ip : v->pod_ip;
}

/* "8080"; the name when no port has it. */
static struct span port_text(struct arena *a, const struct kubelet_container *container,
                             const yyjson_val *port)
{
    uint16_t number = port_of(container, port);
    return number ? arena_printf(a, "%u", number) : json_str(port);
}

struct span kubelet_check_question(struct arena *a, const struct kubelet_container *container,
                                   const yyjson_val *handler)
{
    assert(a);
    const yyjson_val *what = json_get(handler, "exec");
    struct span text = SPAN_NULL;
    JSON_EACH(it, json_get(what, "command"))
    {
        text = text.n ? arena_printf(a, "%.*s %.*s", SPAN_ARG(text), SPAN_ARG(json_str(it.val)))
                      : json_str(it.val);
    }
    if ((what = json_get(handler, "httpGet")) != NULL) {
        struct span path = json_get_str(what, "path");
        bool tls = span_eq_cstr(json_get_str(what, "scheme"), "HTTPS");
        text = arena_printf(a, "%s://%.*s:%.*s%s%.*s", tls ? "https" : "http",
                            SPAN_ARG(host_of(container, what)),
                            SPAN_ARG(port_text(a, container, json_get(what, "port"))),
                            path.n && path.p[0] == '/' ? "" : "/", SPAN_ARG(path));
    } else if ((what = json_get(handler, "tcpSocket")) != NULL) {
        text = arena_printf(a, "tcp %.*s:%.*s", SPAN_ARG(host_of(container, what)),
                            SPAN_ARG(port_text(a, container, json_get(what, "port"))));
    } else if ((what = json_get(handler, "grpc")) != NULL) {
        struct span service = json_get_str(what, "service");
        text = arena_printf(a, "grpc %.*s:%.*s%s%.*s", SPAN_ARG(host_of(container, what)),
                            SPAN_ARG(port_text(a, container, json_get(what, "port"))),
                            service.n ? "/" : "", SPAN_ARG(service));
    }
    return text;
}

static void write_request(struct kubelet_check *c, const yyjson_val *get, struct span host,
                          uint16_t port)
{
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    struct span path = json_get_str(get, "path");
    bool has_host = false, has_agent = false;
    strbuf_printf(&b, "GET %s%.*s HTTP/1.1\r\n", path.n && path.p[0] == '/' ? "" : "/",
                  SPAN_ARG(path));
    JSON_EACH(it, json_get(get, "httpHeaders"))
    {
        struct span name = json_get_str(it.val, "name"), value = json_get_str(it.val, "value");
        has_host |= span_eq_nocase(name, SPAN("Host"));
        has_agent |= span_eq_nocase(name, SPAN("User-Agent"));
        if (span_find(value, '\n') == value.n && span_find(name, '\n') == name.n) {
            strbuf_printf(&b, "%.*s: %.*s\r\n", SPAN_ARG(name), SPAN_ARG(value));
        }
    }
    if (!has_host) {
        strbuf_printf(&b, "Host: %.*s:%u\r\n", SPAN_ARG(host), port);
    }
    if (!has_agent) {
        strbuf_puts(&b, "User-Agent: kube-probe/1.32\r\n");
    }
    strbuf_puts(&b, "Accept: */*\r\nConnection: close\r\n\r\n");
    c->request = arena_dup(c->arena, strbuf_span(&b));
    c->url =
        arena_printf(c->arena, "Get \"%s://%.*s:%u%s%.*s\"", c->tls ? "https" : "http",
                     SPAN_ARG(host), port, path.n && path.p[0] == '/' ? "" : "/", SPAN_ARG(path));
}

static void start_net(struct kubelet_check *c, struct kubelet_container *container,
                      const yyjson_val *what, enum net_kind kind)
{
    uint16_t port = port_of(container, json_get(what, "port"));
    struct span host = arena_dup(c->arena, host_of(container, what));
    if (c->k->options.no_files) {
        end_soon(c, KUBELET_CHECK_OK, SPAN_NULL, 0); /* a fake runtime: nobody listens */
        return;
    }
    if (port == 0 || host.n == 0) {
        end_soon(c, KUBELET_CHECK_ERROR,
                 host.n == 0 ? SPAN("the pod's address is not known")
                             : arena_printf(c->arena, "no port of the container is named \"%.*s\"",
                                            SPAN_ARG(json_str(json_get(what, "port")))),
                 0);
        return;
    }
    c->kind = kind;
    c->host = host;
    c->tls = kind == NET_HTTP && span_eq_cstr(json_get_str(what, "scheme"), "HTTPS");
    if (c->tls && !c->k->options.tls_connect) {
        end_soon(c, KUBELET_CHECK_ERROR, SPAN("this node agent was started without TLS"), 0);
        return;
    }
    c->url = arena_printf(c->arena, "dial tcp %.*s:%u", SPAN_ARG(host), port);
    if (kind == NET_HTTP) {
        write_request(c, what, host, port);
    } else if (kind == NET_GRPC) {
        c->grpc = grpc_health_new(arena_printf(c->arena, "%.*s:%u", SPAN_ARG(host), port),
                                  json_get_str(what, "service"));
    }
    int code = env_connect_tcp(c->env, host.p, port, on_connected, c);
    if (code < 0) {
        end_soon(c, KUBELET_CHECK_FAILED,
                 arena_printf(c->arena, "%.*s: %s", SPAN_ARG(c->url), code_text(code)), 0);
        return;
    }
    c->waits = c->connecting = true;
}

struct kubelet_check *kubelet_check_new(struct kubelet_container *container,
                                        const yyjson_val *handler, int64_t timeout_ms,
                                        kubelet_check_fn *done, void *data)
{
    assert(done != NULL);
    struct kubelet_check *c = MEM_NEW(struct kubelet_check);
    c->k = container->pod->k;
    c->env = c->k->env;
    c->arena = arena_new();
    c->done = done;
    c->data = data;
    c->timeout_ms = timeout_ms;
    const yyjson_val *what = NULL;
    if ((what = json_get(handler, "exec")) != NULL) {
        start_exec(c, container, what);
    } else if ((what = json_get(handler, "httpGet")) != NULL) {
        start_net(c, container, what, NET_HTTP);
    } else if ((what = json_get(handler, "tcpSocket")) != NULL) {
        start_net(c, container, what, NET_TCP);
    } else if ((what = json_get(handler, "grpc")) != NULL) {
        start_net(c, container, what, NET_GRPC);
    } else if ((what = json_get(handler, "sleep")) != NULL) {
        end_soon(c, KUBELET_CHECK_OK, SPAN_NULL, json_get_int(what, "seconds", 0) * 1000);
    } else {
        end_soon(c, KUBELET_CHECK_ERROR, SPAN("unknown kind of probe or hook"), 0);
    }
    if (timeout_ms > 0 && !env_timer_armed(&c->timer)) {
        env_timer_start(c->env, &c->timer, timeout_ms, on_timeout);
    }
    return c;
}
