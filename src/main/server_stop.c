/* POST /berth/stop on the control socket: the pods end in order, then network, mounts and the
 * process go. One line of text for each step, so that the waiting `berth stop` can show it. */
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "kubelet/kubelet.h"
#include "main/control.h"
#include "main/server.h"
#include "net/proxy.h"

struct stop {
    struct server *s;
    struct http_exchange *x; /* NULL once the asker is gone: stopping goes on */
    struct env_work work;
    struct env_timer exit_timer;
    struct arena *arena;
    int code;
    struct span detail;
};

enum { EXIT_DELAY_MS = 50 }; /* so that the last line leaves */

static void say(struct stop *st, struct span line)
{
    if (st->x) {
        http_stream_write(st->x, line);
    }
}

static void on_exit_timer(struct env_timer *timer)
{
    struct stop *st = CONTAINER_OF(timer, struct stop, exit_timer);
    struct server *s = st->s;
    store_free(s->store);
    (void)unlink(arena_printf(s->arena, "%.*s/" CONTROL_SOCKET, SPAN_ARG(s->options.data_dir)).p);
    _exit(st->code < 0 ? 1 : 0);
}

static void run_purge(struct env_work *work)
{
    struct stop *st = CONTAINER_OF(work, struct stop, work);
    st->code = server_node_purge(st->arena, &st->s->options, &st->detail);
}

static void on_purged(struct env_work *work)
{
    struct stop *st = CONTAINER_OF(work, struct stop, work);
    if (st->code < 0) {
        say(st, arena_printf(st->arena, "not everything could be removed: %.*s\n",
                             SPAN_ARG(st->detail.n ? st->detail : span_cstr(code_text(st->code)))));
    } else {
        say(st, SPAN("network, mounts and namespaces are removed\nstopped\n"));
    }
    if (st->x) {
        http_stream_end(st->x);
        st->x = NULL;
    }
    env_timer_start(st->s->env, &st->exit_timer, EXIT_DELAY_MS, on_exit_timer);
}

static void on_pods_ended(void *data)
{
    struct stop *st = data;
    say(st, SPAN("all pods have ended\n"));
    if (st->s->fake) {
        st->code = 0;
        on_purged(&st->work);
        return;
    }
    if (st->s->proxy) {
        proxy_stop(st->s->proxy);
    }
    env_work_start(st->s->env, &st->work, run_purge, on_purged);
}

static void on_drain(void *data)
{
    (void)data;
}

static void on_abort(void *data)
{
    struct stop *st = data;
    st->x = NULL;
}

static void begin(struct server *s, struct http_exchange *x)
{
    static const struct http_stream_handler handler = {on_drain, on_abort};
    struct stop *st = MEM_NEW(struct stop);
    *st = (struct stop){.s = s, .x = x, .arena = arena_new()};
    s->stopping = true;
    log_event(LOG_INFO, "server_stop_asked");
    http_stream_begin(x, 200, "text/plain", &handler, st);
    say(st, arena_printf(st->arena, "ending %zu pods\n",
                         s->kubelet ? kubelet_pod_count(s->kubelet) : 0));
    if (s->kubelet) {
        kubelet_stop_pods(s->kubelet, on_pods_ended, st);
    } else {
        on_pods_ended(st);
    }
}

bool server_control(void *data, struct http_exchange *x)
{
    assert(data);
    assert(x);
    struct server *s = data;
    if (!span_eq(http_path(x), SPAN("/berth/stop"))) {
        return false;
    }
    if (!span_eq(http_method(x), SPAN("POST"))) {
        http_reply(x, 405, "text/plain", SPAN("use POST\n"));
    } else if (s->stopping) {
        http_reply(x, 409, "text/plain", SPAN("the server is stopping already\n"));
    } else {
        begin(s, x);
    }
    return true;
}
