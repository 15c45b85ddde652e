/* Byte streams on libuv: TCP, Unix sockets, pipes. Writes go to the kernel at once where it takes
 * them; the rest waits in `pending` while one uv_write with `inflight` is under way. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "env/env_uv_priv.h"

enum { FLUSH_MS = 5000 };

struct stream_uv {
    struct env_stream s; /* first */
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
        uv_handle_t handle;
    } h;
    uv_write_t write_req;
    uv_shutdown_t shutdown_req;
    uv_connect_t connect_req;
    struct strbuf inflight, pending;
    struct env_task fail_task; /* tells a write error outside the writer's call */
    struct env_timer flush_timer;
    int fail_code;
    bool writing, ended, closed, want_shutdown, flushing;
    env_connect_fn *on_connect;
    void *connect_data;
    char peer[64];
};

static struct stream_uv *of(struct env_stream *s)
{
    return CONTAINER_OF(s, struct stream_uv, s);
}

static void start_write(struct stream_uv *u);

/* ---- end and close ---- */

static void on_closed(uv_handle_t *handle)
{
    struct stream_uv *u = handle->data;
    strbuf_done(&u->inflight);
    strbuf_done(&u->pending);
    free(u);
}

static void close_now(struct stream_uv *u)
{
    if (u->closed) {
        return;
    }
    u->closed = true;
    env_post_cancel(u->s.env, &u->fail_task);
    env_timer_stop(u->s.env, &u->flush_timer);
    uv_close(&u->h.handle, on_closed);
}

static void on_flush_late(struct env_timer *timer)
{
    close_now(CONTAINER_OF(timer, struct stream_uv, flush_timer));
}

static void op_close(struct env_stream *s, bool flush)
{
    struct stream_uv *u = of(s);
    assert(!u->closed);
    assert(!u->flushing);
    if (flush && !u->fail_code && env_stream_queued(s) > 0) {
        u->flushing = true;
        (void)uv_read_stop(&u->h.stream);
        env_timer_start(s->env, &u->flush_timer, FLUSH_MS, on_flush_late);
        return;
    }
    close_now(u);
}

static void end_once(struct stream_uv *u, int code)
{
    if (u->flushing) {
        close_now(u);
        return;
    }
    if (!u->ended && !u->closed) {
        u->ended = true;
        (void)uv_read_stop(&u->h.stream);
        if (u->s.handler.on_end) {
            u->s.handler.on_end(u->s.data, code);
        }
    }
}

static void on_fail(struct env_task *task)
{
    struct stream_uv *u = CONTAINER_OF(task, struct stream_uv, fail_task);
    end_once(u, u->fail_code);
}

static void fail_later(struct stream_uv *u, int code)
{
    u->fail_code = code;
    env_post(u->s.env, &u->fail_task, on_fail);
}

/* ---- writing ---- */

static void on_shutdown(uv_shutdown_t *req, int status)
{
    (void)req;
    (void)status;
}

static void after_drain(struct stream_uv *u)
{
    if (u->want_shutdown) {
        u->want_shutdown = false;
        (void)uv_shutdown(&u->shutdown_req, &u->h.stream, on_shutdown);
    }
    if (u->flushing) {
        close_now(u);
    } else if (u->s.handler.on_drain) {
        u->s.handler.on_drain(u->s.data);
    }
}

static void on_written(uv_write_t *req, int status)
{
    struct stream_uv *u = CONTAINER_OF(req, struct stream_uv, write_req);
    u->writing = false;
    strbuf_clear(&u->inflight);
    if (u->closed) {
        return;
    }
    if (status < 0) {
        u->fail_code = status;
        strbuf_clear(&u->pending);
        end_once(u, status);
    } else if (u->pending.n) {
        start_write(u);
    } else {
        after_drain(u);
    }
}

static void start_write(struct stream_uv *u)
{
    assert(!u->writing);
    assert(u->inflight.n == 0);
    struct strbuf swap = u->inflight;
    u->inflight = u->pending;
    u->pending = swap;
    uv_buf_t buf = uv_buf_init(u->inflight.p, (unsigned)u->inflight.n);
    int code = uv_write(&u->write_req, &u->h.stream, &buf, 1, on_written);
    if (code < 0) {
        strbuf_clear(&u->inflight);
        fail_later(u, code);
    } else {
        u->writing = true;
    }
}

static void op_write(struct env_stream *s, struct span bytes)
{
    struct stream_uv *u = of(s);
    assert(!u->closed);
    assert(!u->flushing);
    if (u->fail_code) {
        return;
    }
    if (!u->writing && u->pending.n == 0) {
        uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes.p, (unsigned)bytes.n);
        int took = uv_try_write(&u->h.stream, &buf, 1);
        if (took >= 0) {
            bytes = span_from(bytes, (size_t)took);
        } else if (took != UV_EAGAIN) {
            fail_later(u, took);
            return;
        }
    }
    if (bytes.n) {
        strbuf_put(&u->pending, bytes);
        if (!u->writing) {
            start_write(u);
        }
    }
}

static size_t op_queued(const struct env_stream *s)
{
    const struct stream_uv *u = of((struct env_stream *)(uintptr_t)s);
    return u->inflight.n + u->pending.n;
}

static void op_shutdown(struct env_stream *s)
{
    struct stream_uv *u = of(s);
    if (op_queued(s) > 0) {
        u->want_shutdown = true;
    } else {
        (void)uv_shutdown(&u->shutdown_req, &u->h.stream, on_shutdown);
    }
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct stream_uv *u = handle->data;
    *buf = uv_buf_init(env_uv_of(u->s.env)->read_buf, ENV_UV_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct stream_uv *u = stream->data;
    if (u->closed) {
        return;
    }
    if (n > 0) {
        u->s.handler.on_read(u->s.data, span_of(buf->base, (size_t)n));
    } else if (n < 0) {
        end_once(u, n == UV_EOF ? 0 : (int)n);
    }
}

static void op_read(struct env_stream *s, bool on)
{
    struct stream_uv *u = of(s);
    if (u->ended || u->closed) {
        return;
    }
    if (on) {
        int code = uv_read_start(&u->h.stream, on_alloc, on_read);
        if (code < 0 && code != UV_EALREADY) {
            fail_later(u, code);
        }
    } else {
        (void)uv_read_stop(&u->h.stream);
    }
}

static const char *op_peer(const struct env_stream *s)
{
    return of((struct env_stream *)(uintptr_t)s)->peer;
}

const struct env_stream_ops env_uv_stream_ops = {
    .read = op_read,
    .write = op_write,
    .queued = op_queued,
    .shutdown = op_shutdown,
    .close = op_close,
    .peer = op_peer,
};

/* ---- making streams ---- */

static struct stream_uv *stream_new(struct env *env, bool tcp)
{
    struct stream_uv *u = MEM_NEW(struct stream_uv);
    u->s.ops = &env_uv_stream_ops;
    u->s.env = env;
    struct env_uv *e = env_uv_of(env);
    int code = tcp ? uv_tcp_init(&e->loop, &u->h.tcp) : uv_pipe_init(&e->loop, &u->h.pipe, 0);
    assert(code == 0);
    u->h.handle.data = u;
    (void)snprintf(u->peer, sizeof u->peer, "unix");
    return u;
}

static void tcp_ready(struct stream_uv *u)
{
    struct sockaddr_storage ss;
    int n = sizeof ss;
    (void)uv_tcp_nodelay(&u->h.tcp, 1);
    if (uv_tcp_getpeername(&u->h.tcp, (struct sockaddr *)&ss, &n) != 0) {
        return;
    }
    char ip[48] = "?";
    if (ss.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&ss;
        (void)uv_ip4_name(in, ip, sizeof ip);
        (void)snprintf(u->peer, sizeof u->peer, "%s:%u", ip, ntohs(in->sin_port));
    } else if (ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&ss;
        (void)uv_ip6_name(in6, ip, sizeof ip);
        (void)snprintf(u->peer, sizeof u->peer, "[%s]:%u", ip, ntohs(in6->sin6_port));
    }
}

int env_uv_open_fd(struct env *env, int fd, struct env_stream **ret)
{
    struct stream_uv *u = stream_new(env, false);
    int code = uv_pipe_open(&u->h.pipe, fd);
    if (code < 0) {
        close_now(u);
        return code;
    }
    *ret = &u->s;
    return 0;
}

/* ---- listeners ---- */

struct listener_uv {
    struct env_listener l; /* first */
    struct env *env;
    bool tcp;
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
        uv_handle_t handle;
    } h;
};

static void on_connection(uv_stream_t *server, int status)
{
    struct listener_uv *l = server->data;
    if (status < 0) {
        return;
    }
    struct stream_uv *u = stream_new(l->env, l->tcp);
    if (uv_accept(server, &u->h.stream) < 0) {
        close_now(u);
        return;
    }
    if (l->tcp) {
        tcp_ready(u);
    }
    l->l.handler.on_accept(l->l.data, &u->s);
}

static void on_listener_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void listener_close(struct env_listener *l)
{
    struct listener_uv *u = CONTAINER_OF(l, struct listener_uv, l);
    uv_close(&u->h.handle, on_listener_closed);
}

static struct listener_uv *listener_new(struct env *env, bool tcp,
                                        const struct env_listener_handler *handler, void *data)
{
    assert(handler);
    assert(handler->on_accept);
    struct listener_uv *l = MEM_NEW(struct listener_uv);
    *l = (struct listener_uv){.env = env, .tcp = tcp};
    l->l = (struct env_listener){.close = listener_close, .handler = *handler, .data = data};
    struct env_uv *e = env_uv_of(env);
    int code = tcp ? uv_tcp_init(&e->loop, &l->h.tcp) : uv_pipe_init(&e->loop, &l->h.pipe, 0);
    assert(code == 0);
    l->h.handle.data = l;
    return l;
}

static int parse_address(const char *addr, uint16_t port, struct sockaddr_storage *ret)
{
    if (uv_ip4_addr(addr, port, (struct sockaddr_in *)ret) == 0) {
        return 0;
    }
    return uv_ip6_addr(addr, port, (struct sockaddr_in6 *)ret);
}

enum { BACKLOG = 512 };

int env_uv_listen_tcp(struct env *env, const char *addr, uint16_t port,
                      const struct env_listener_handler *handler, void *data,
                      struct env_listener **ret)
{
    struct sockaddr_storage ss = {0};
    int code = parse_address(addr, port, &ss);
    if (code < 0) {
        return code;
    }
    struct listener_uv *l = listener_new(env, true, handler, data);
    code = uv_tcp_bind(&l->h.tcp, (const struct sockaddr *)&ss, 0);
    if (code == 0) {
        code = uv_listen(&l->h.stream, BACKLOG, on_connection);
    }
    int n = sizeof ss;
    if (code == 0) {
        code = uv_tcp_getsockname(&l->h.tcp, (struct sockaddr *)&ss, &n);
    }
    if (code < 0) {
        listener_close(&l->l);
        return code;
    }
    l->l.port = ntohs(ss.ss_family == AF_INET ? ((struct sockaddr_in *)&ss)->sin_port
                                              : ((struct sockaddr_in6 *)&ss)->sin6_port);
    *ret = &l->l;
    return 0;
}

static bool path_fits(const char *path)
{
    return strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path);
}

int env_uv_listen_unix(struct env *env, const char *path, mode_t mode,
                       const struct env_listener_handler *handler, void *data,
                       struct env_listener **ret)
{
    if (!path_fits(path)) {
        return -ENAMETOOLONG;
    }
    struct listener_uv *l = listener_new(env, false, handler, data);
    int code = uv_pipe_bind(&l->h.pipe, path);
    if (code == 0 && chmod(path, mode) != 0) {
        code = -errno;
    }
    if (code == 0) {
        code = uv_listen(&l->h.stream, BACKLOG, on_connection);
    }
    if (code < 0) {
        listener_close(&l->l);
        return code;
    }
    *ret = &l->l;
    return 0;
}

/* ---- connecting ---- */

static void on_connected(uv_connect_t *req, int status)
{
    struct stream_uv *u = CONTAINER_OF(req, struct stream_uv, connect_req);
    env_connect_fn *fn = u->on_connect;
    void *data = u->connect_data;
    if (status < 0) {
        close_now(u);
        fn(data, status, NULL);
        return;
    }
    if (u->h.handle.type == UV_TCP) {
        tcp_ready(u);
    }
    fn(data, 0, &u->s);
}

int env_uv_connect_tcp(struct env *env, const char *addr, uint16_t port, env_connect_fn *on_done,
                       void *data)
{
    struct sockaddr_storage ss = {0};
    int code = parse_address(addr, port, &ss);
    if (code < 0) {
        return code;
    }
    struct stream_uv *u = stream_new(env, true);
    u->on_connect = on_done;
    u->connect_data = data;
    code = uv_tcp_connect(&u->connect_req, &u->h.tcp, (const struct sockaddr *)&ss, on_connected);
    if (code < 0) {
        close_now(u);
    }
    return code;
}

int env_uv_connect_unix(struct env *env, const char *path, env_connect_fn *on_done, void *data)
{
    if (!path_fits(path)) {
        return -ENAMETOOLONG;
    }
    struct stream_uv *u = stream_new(env, false);
    u->on_connect = on_done;
    u->connect_data = data;
    uv_pipe_connect(&u->connect_req, &u->h.pipe, path, on_connected);
    return 0;
}
