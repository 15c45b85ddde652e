/* kubelet/kubelet_dial.c: CONNECTING -> OPEN -> gone. What is written while it connects waits in
 * `early`. Freed while it connects, the memory stays until the worker thread has returned. */
#include "kubelet/kubelet_dial.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "os/os_ns.h"
#include "os/os_socket.h"

struct kubelet_dial {
    struct env *env;
    const struct kubelet_dial_handler *handler;
    void *data;
    struct env_work work;
    char *netns; /* owned; NULL: our own */
    uint16_t port;
    int fd; /* what the worker thread got, or a negative errno */
    bool connecting, released, paused, is_shut;
    struct strbuf early;
    struct env_stream *stream; /* NULL while it connects */
};

static void dial_free(struct kubelet_dial *d)
{
    assert(!d->stream);
    assert(!d->connecting);
    strbuf_done(&d->early);
    free(d->netns);
    free(d);
}

static void end(struct kubelet_dial *d, int code)
{
    void (*fn)(void *, int) = d->handler->on_end;
    void *data = d->data;
    assert(!d->released);
    if (d->stream) {
        env_stream_close(TAKE_PTR(d->stream));
    }
    dial_free(d);
    fn(data, code);
}

static void on_read(void *data, struct span bytes)
{
    struct kubelet_dial *d = data;
    d->handler->on_output(d->data, bytes); /* may free the connection: nothing after */
}

/* How an open connection ended does not matter: a reset is no error of the forwarding. */
static void on_end(void *data, int code)
{
    (void)code;
    end(data, 0);
}

static void on_drain(void *data)
{
    struct kubelet_dial *d = data;
    d->handler->on_drain(d->data);
}

static const struct env_stream_handler stream_handler = {on_read, on_end, on_drain};

/* [worker thread] */
static void dial_run(struct env_work *work)
{
    struct kubelet_dial *d = CONTAINER_OF(work, struct kubelet_dial, work);
    cleanup_close int nsfd = d->netns ? os_ns_open(d->netns) : -1;
    d->fd = d->netns && nsfd < 0
                ? nsfd
                : os_socket_connect_loopback(nsfd, d->port, LIMIT_FORWARD_CONNECT_MS);
}

static void dial_done(struct env_work *work)
{
    struct kubelet_dial *d = CONTAINER_OF(work, struct kubelet_dial, work);
    assert(d->connecting);
    assert(!d->stream);
    d->connecting = false;
    if (d->released) {
        if (d->fd >= 0) {
            (void)close(d->fd);
        }
        dial_free(d);
        return;
    }
    int code = d->fd < 0 ? d->fd : env_stream_open_fd(d->env, d->fd, &d->stream);
    if (code < 0) {
        if (d->fd >= 0) {
            (void)close(d->fd);
        }
        end(d, code);
        return;
    }
    env_stream_set(d->stream, &stream_handler, d);
    env_stream_read(d->stream, !d->paused);
    if (d->early.n) {
        env_stream_write(d->stream, strbuf_span(&d->early));
        strbuf_done(&d->early);
    }
    if (d->is_shut) {
        env_stream_shutdown(d->stream);
    }
    if (env_stream_queued(d->stream) == 0) {
        d->handler->on_drain(d->data);
    }
}

struct kubelet_dial *kubelet_dial_new(struct env *env, const char *netns, uint16_t port,
                                      const struct kubelet_dial_handler *handler, void *data)
{
    assert(port > 0);
    assert(handler);
    struct kubelet_dial *d = MEM_NEW(struct kubelet_dial);
    d->env = env;
    d->handler = handler;
    d->data = data;
    d->port = port;
    d->connecting = true;
    if (netns) {
        size_t n = strlen(netns) + 1;
        d->netns = mem_new(n);
        memcpy(d->netns, netns, n);
    }
    env_work_start(env, &d->work, dial_run, dial_done);
    return d;
}

void kubelet_dial_free(struct kubelet_dial *d)
{
    if (!d) {
        return;
    }
    assert(!d->released);
    d->released = true;
    if (d->stream) {
        env_stream_close(TAKE_PTR(d->stream));
    }
    if (!d->connecting) {
        dial_free(d);
    }
}

void kubelet_dial_write(struct kubelet_dial *d, struct span bytes)
{
    assert(!d->is_shut);
    if (d->stream) {
        env_stream_write(d->stream, bytes);
    } else {
        strbuf_put(&d->early, bytes);
    }
}

size_t kubelet_dial_queued(const struct kubelet_dial *d)
{
    assert(d);
    return d->stream ? env_stream_queued(d->stream) : d->early.n;
}

void kubelet_dial_shutdown(struct kubelet_dial *d)
{
    assert(d);
    if (d->is_shut) {
        return;
    }
    d->is_shut = true;
    if (d->stream) {
        env_stream_shutdown(d->stream);
    }
}

void kubelet_dial_pause(struct kubelet_dial *d, bool paused)
{
    assert(d);
    d->paused = paused;
    if (d->stream) {
        env_stream_read(d->stream, !paused);
    }
}
