/* Simulated streams. Of each direction, a byte is in one of these places, in order:
 *
 *     sender.out        written, "the kernel" had no room
 *     receiver.wire     taken by the kernel, on its way (its room is shared with `in`)
 *     receiver.in       arrived, not yet read
 *
 * An end (shutdown, close, reset) travels behind the bytes as receiver.wire_end, end_code. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sim/env_sim_priv.h"

enum {
    KERNEL_BYTES = 64 * 1024, /* room of wire and in together */
    FLUSH_US = 5000000,
    ADDRESS_BYTES = 128,
};

struct sim_listener {
    struct env_listener l; /* first */
    struct sim_env *env;
    char address[ADDRESS_BYTES]; /* numeric, or a path */
    bool is_unix;
    struct list link; /* world->listeners */
};

struct sim_stream {
    struct env_stream s; /* first */
    struct sim_env *env;
    struct list link;              /* env->streams */
    struct sim_stream *peer;       /* NULL: released */
    struct sim_listener *listener; /* until accepted */
    struct strbuf out, wire, in;
    struct sim_event arrive, deliver, pump, fail, accept, late;
    bool is_reading, is_shut, want_shutdown, is_flushing;
    bool is_ended;  /* on_end was called; after an orderly end writing goes on */
    bool is_failed; /* nothing can be written any more */
    bool wire_end, in_end;
    int end_code;
    char peer_text[ADDRESS_BYTES + 8];
};

struct sim_connect {
    struct sim_event event;
    struct sim_env *env;
    char address[ADDRESS_BYTES];
    uint16_t port;
    bool is_unix;
    env_connect_fn *on_done;
    void *data;
    struct list link; /* env->connects */
};

static struct sim_stream *of(const struct env_stream *s)
{
    return CONTAINER_OF((struct env_stream *)(uintptr_t)s, struct sim_stream, s);
}

static void net_delay(struct sim_stream *s, struct sim_event *event, void (*fn)(struct sim_event *))
{
    if (!heap_has(&event->node)) {
        bool is_slow = sim_choose(s->env->world, 64) == 0;
        sim_schedule(s->env->world, event, 20, is_slow ? 20000 : 500, fn);
    }
}

/* ---- ends ---- */

static void on_arrive(struct sim_event *event);
static void on_fail(struct sim_event *event);

/* The end of what we send goes behind the bytes that the peer already has coming. */
static void send_end(struct sim_stream *s, int code)
{
    struct sim_stream *p = s->peer;
    if (p && !p->wire_end) {
        p->wire_end = true;
        p->end_code = code;
        net_delay(p, &p->arrive, on_arrive);
    }
}

/* Releases s; the peer sees an end, or a reset when bytes were lost or unread. */
static void release(struct sim_stream *s, bool is_reset)
{
    struct sim_world *world = s->env->world;
    struct sim_stream *p = s->peer;
    is_reset = is_reset || s->in.n || s->wire.n;
    send_end(s, is_reset ? -ECONNRESET : 0);
    if (p) {
        p->peer = NULL;
        if (p->out.n || p->is_flushing) {
            net_delay(p, &p->fail, on_fail);
        }
    }
    struct sim_event *const events[] = {&s->arrive, &s->deliver, &s->pump,
                                        &s->fail,   &s->accept,  &s->late};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        sim_cancel(world, events[i]);
    }
    list_remove(&s->link);
    strbuf_done(&s->out);
    strbuf_done(&s->wire);
    strbuf_done(&s->in);
    free(s);
}

static void tell_end(struct sim_stream *s, int code)
{
    s->is_failed = s->is_failed || code < 0;
    if (s->is_flushing) {
        release(s, true);
    } else if (!s->is_ended) {
        s->is_ended = true;
        s->is_reading = false;
        s->s.handler.on_end(s->s.data, code);
    }
}

static void on_fail(struct sim_event *event)
{
    struct sim_stream *s = CONTAINER_OF(event, struct sim_stream, fail);
    tell_end(s, -ECONNRESET);
}

static void on_late(struct sim_event *event)
{
    release(CONTAINER_OF(event, struct sim_stream, late), true);
}

/* ---- receiving ---- */

static void on_pump(struct sim_event *event);

static void on_deliver(struct sim_event *event)
{
    struct sim_stream *s = CONTAINER_OF(event, struct sim_stream, deliver);
    if (!s->is_reading) {
        return;
    }
    if (s->in.n == 0) {
        if (s->in_end) {
            tell_end(s, s->end_code);
        }
        return;
    }
    size_t n = s->in.n;
    if (sim_choose(s->env->world, 4) == 0) {
        n = 1 + sim_choose(s->env->world, n); /* reads may be cut anywhere */
    }
    cleanup_strbuf struct strbuf bytes = STRBUF_INIT;
    strbuf_put(&bytes, span_of(s->in.p, n));
    strbuf_consume(&s->in, n);
    if (s->peer && s->peer->out.n) {
        net_delay(s->peer, &s->peer->pump, on_pump);
    }
    if (s->in.n || s->in_end) {
        net_delay(s, &s->deliver, on_deliver);
    }
    s->s.handler.on_read(s->s.data, strbuf_span(&bytes)); /* s may be gone now */
}

static void deliver_later(struct sim_stream *s)
{
    if (s->is_reading && (s->in.n || s->in_end)) {
        net_delay(s, &s->deliver, on_deliver);
    }
}

static void on_arrive(struct sim_event *event)
{
    struct sim_stream *s = CONTAINER_OF(event, struct sim_stream, arrive);
    size_t n = s->wire.n;
    if (n > 1 && sim_choose(s->env->world, 4) == 0) {
        n = 1 + sim_choose(s->env->world, n);
    }
    if (n) {
        strbuf_put(&s->in, span_of(s->wire.p, n));
        strbuf_consume(&s->wire, n);
    }
    if (s->wire.n) {
        net_delay(s, &s->arrive, on_arrive);
    } else if (s->wire_end) {
        s->in_end = true;
    }
    deliver_later(s);
}

static void op_read(struct env_stream *stream, bool on)
{
    struct sim_stream *s = of(stream);
    if (!s->is_ended) {
        s->is_reading = on;
        deliver_later(s);
    }
}

/* ---- sending ---- */

/* Returns how much of the bytes the kernel took. */
static size_t send_some(struct sim_stream *s, struct span bytes)
{
    struct sim_stream *p = s->peer;
    size_t used = p->wire.n + p->in.n;
    size_t room = used < KERNEL_BYTES ? KERNEL_BYTES - used : 0;
    size_t n = bytes.n < room ? bytes.n : room;
    if (n && sim_choose(s->env->world, 8) == 0) {
        n = sim_choose(s->env->world, n); /* sometimes it is short of memory */
    }
    if (n) {
        strbuf_put(&p->wire, span_first(bytes, n));
        net_delay(p, &p->arrive, on_arrive);
    }
    return n;
}

static void after_drain(struct sim_stream *s)
{
    if (s->want_shutdown) {
        s->want_shutdown = false;
        send_end(s, 0);
    }
    if (s->is_flushing) {
        release(s, false);
    } else if (s->s.handler.on_drain) {
        s->s.handler.on_drain(s->s.data);
    }
}

static void on_pump(struct sim_event *event)
{
    struct sim_stream *s = CONTAINER_OF(event, struct sim_stream, pump);
    if (!s->peer) {
        return; /* on_fail tells */
    }
    size_t n = send_some(s, strbuf_span(&s->out));
    strbuf_consume(&s->out, n);
    if (s->out.n == 0) {
        after_drain(s);
    } else if (s->peer->wire.n + s->peer->in.n < KERNEL_BYTES) {
        net_delay(s, &s->pump, on_pump);
    } /* else the peer's reading goes on with it */
}

static void op_write(struct env_stream *stream, struct span bytes)
{
    struct sim_stream *s = of(stream);
    assert(!s->is_flushing && !s->is_shut);
    if (s->is_failed) {
        return;
    }
    if (!s->peer) {
        net_delay(s, &s->fail, on_fail);
        return;
    }
    if (s->out.n == 0) {
        bytes = span_from(bytes, send_some(s, bytes));
    }
    if (bytes.n) {
        strbuf_put(&s->out, bytes);
        net_delay(s, &s->pump, on_pump);
    }
}

static size_t op_queued(const struct env_stream *stream)
{
    return of(stream)->out.n;
}

static void op_shutdown(struct env_stream *stream)
{
    struct sim_stream *s = of(stream);
    s->is_shut = true;
    if (s->out.n) {
        s->want_shutdown = true;
    } else {
        send_end(s, 0);
    }
}

static void op_close(struct env_stream *stream, bool flush)
{
    struct sim_stream *s = of(stream);
    assert(!s->is_flushing);
    if (flush && s->out.n && s->peer && !s->is_failed) {
        s->is_flushing = true;
        s->is_reading = false;
        sim_schedule(s->env->world, &s->late, FLUSH_US, FLUSH_US, on_late);
        return;
    }
    release(s, false);
}

static const char *op_peer(const struct env_stream *stream)
{
    return of(stream)->peer_text;
}

static const struct env_stream_ops stream_ops = {.read = op_read,
                                                 .write = op_write,
                                                 .queued = op_queued,
                                                 .shutdown = op_shutdown,
                                                 .close = op_close,
                                                 .peer = op_peer};

static struct sim_stream *stream_new(struct sim_env *env)
{
    struct sim_stream *s = MEM_NEW(struct sim_stream);
    s->s.ops = &stream_ops;
    s->s.env = &env->env;
    s->env = env;
    list_push_back(&env->streams, &s->link);
    return s;
}

/* ---- listeners ---- */

static void listener_close(struct env_listener *listener)
{
    struct sim_listener *l = CONTAINER_OF(listener, struct sim_listener, l);
    LIST_EACH(link, &l->env->streams)
    {
        struct sim_stream *s = CONTAINER_OF(link, struct sim_stream, link);
        if (s->listener == l) {
            release(s, true); /* connected, never accepted */
        }
    }
    list_remove(&l->link);
    free(l);
}

static bool is_any(const char *address)
{
    return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

static struct sim_listener *find_listener(struct sim_world *world, const char *address,
                                          uint16_t port, bool is_unix, bool for_bind)
{
    LIST_EACH(link, &world->listeners)
    {
        struct sim_listener *l = CONTAINER_OF(link, struct sim_listener, link);
        if (l->is_unix == is_unix && l->l.port == port &&
            (strcmp(l->address, address) == 0 || is_any(l->address) ||
             (for_bind && is_any(address)))) {
            return l;
        }
    }
    return NULL;
}

static bool is_numeric(const char *addr)
{
    struct in6_addr buf;
    return inet_pton(AF_INET, addr, &buf) == 1 || inet_pton(AF_INET6, addr, &buf) == 1;
}

static int listen_at(struct env *env, const char *address, uint16_t port, bool is_unix,
                     const struct env_listener_handler *handler, void *data,
                     struct env_listener **ret)
{
    assert(handler && handler->on_accept);
    struct sim_world *world = sim_env_of(env)->world;
    while (!is_unix && port == 0) {
        uint16_t next = world->next_port++;
        port = find_listener(world, address, next, false, true) ? 0 : next;
    }
    if (find_listener(world, address, port, is_unix, true)) {
        return -EADDRINUSE;
    }
    struct sim_listener *l = MEM_NEW(struct sim_listener);
    l->l = (struct env_listener){
        .close = listener_close, .port = port, .handler = *handler, .data = data};
    l->env = sim_env_of(env);
    l->is_unix = is_unix;
    (void)snprintf(l->address, sizeof l->address, "%s", address);
    list_push_back(&world->listeners, &l->link);
    *ret = &l->l;
    return 0;
}

int sim_listen_tcp(struct env *env, const char *addr, uint16_t port,
                   const struct env_listener_handler *handler, void *data,
                   struct env_listener **ret)
{
    return is_numeric(addr) ? listen_at(env, addr, port, false, handler, data, ret) : -EINVAL;
}

int sim_listen_unix(struct env *env, const char *path, mode_t mode,
                    const struct env_listener_handler *handler, void *data,
                    struct env_listener **ret)
{
    (void)mode;
    return strlen(path) < 108 ? listen_at(env, path, 0, true, handler, data, ret) : -ENAMETOOLONG;
}

/* ---- connecting ---- */

static void on_accept(struct sim_event *event)
{
    struct sim_stream *s = CONTAINER_OF(event, struct sim_stream, accept);
    struct sim_listener *l = s->listener;
    s->listener = NULL;
    l->l.handler.on_accept(l->l.data, &s->s);
}

static struct sim_stream *make_pair(struct sim_connect *c, struct sim_listener *l)
{
    struct sim_stream *client = stream_new(c->env), *server = stream_new(l->env);
    client->peer = server;
    server->peer = client;
    server->listener = l;
    if (c->is_unix) {
        (void)snprintf(client->peer_text, sizeof client->peer_text, "unix");
        (void)snprintf(server->peer_text, sizeof server->peer_text, "unix");
    } else {
        bool is_6 = strchr(c->address, ':') != NULL;
        (void)snprintf(client->peer_text, sizeof client->peer_text, is_6 ? "[%s]:%u" : "%s:%u",
                       c->address, c->port);
        (void)snprintf(server->peer_text, sizeof server->peer_text, is_6 ? "[%s]:%u" : "%s:%u",
                       c->address, 40000 + (unsigned)sim_choose(c->env->world, 20000));
    }
    net_delay(server, &server->accept, on_accept);
    return client;
}

static void on_connect(struct sim_event *event)
{
    struct sim_connect *c = CONTAINER_OF(event, struct sim_connect, event);
    struct sim_listener *l = find_listener(c->env->world, c->address, c->port, c->is_unix, false);
    struct sim_stream *s = l ? make_pair(c, l) : NULL;
    env_connect_fn *on_done = c->on_done;
    void *data = c->data;
    int code = l ? 0 : c->is_unix ? -ENOENT : -ECONNREFUSED;
    list_remove(&c->link);
    free(c);
    on_done(data, code, s ? &s->s : NULL);
}

static int connect_to(struct env *env, const char *address, uint16_t port, bool is_unix,
                      env_connect_fn *on_done, void *data)
{
    struct sim_connect *c = MEM_NEW(struct sim_connect);
    *c = (struct sim_connect){
        .env = sim_env_of(env), .port = port, .is_unix = is_unix, .on_done = on_done, .data = data};
    (void)snprintf(c->address, sizeof c->address, "%s", address);
    list_push_back(&c->env->connects, &c->link);
    sim_schedule(c->env->world, &c->event, 20, 500, on_connect);
    return 0;
}

int sim_connect_tcp(struct env *env, const char *addr, uint16_t port, env_connect_fn *on_done,
                    void *data)
{
    return is_numeric(addr) ? connect_to(env, addr, port, false, on_done, data) : -EINVAL;
}

int sim_connect_unix(struct env *env, const char *path, env_connect_fn *on_done, void *data)
{
    return strlen(path) < 108 ? connect_to(env, path, 0, true, on_done, data) : -ENAMETOOLONG;
}

/* ---- the end of an environment ---- */

size_t sim_listener_count(const struct sim_env *env)
{
    size_t n = 0;
    LIST_EACH(link, &env->world->listeners)
    {
        n += CONTAINER_OF(link, struct sim_listener, link)->env == env;
    }
    return n;
}

void sim_net_crash(struct sim_env *env)
{
    LIST_EACH(link, &env->world->listeners)
    {
        struct sim_listener *l = CONTAINER_OF(link, struct sim_listener, link);
        if (l->env == env) {
            listener_close(&l->l);
        }
    }
    struct list *link;
    while (!list_is_empty(&env->streams)) {
        link = env->streams.next; /* a peer may be in this list too, and stays until its turn */
        release(CONTAINER_OF(link, struct sim_stream, link), true);
    }
    while ((link = list_pop_front(&env->connects)) != NULL) {
        struct sim_connect *c = CONTAINER_OF(link, struct sim_connect, link);
        sim_cancel(env->world, &c->event);
        free(c);
    }
}
