/* POST /berth/stop on the control socket: the pods end in order, then network, mounts and the
 * process go. One line of text for each step, and for what is waited for, so that the waiting
 * `berth stop` can show it. Whoever asks may go away, and ask again. */
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/vec.h"
#include "kubelet/kubelet.h"
#include "main/control.h"
#include "main/server.h"
#include "net/net_guard.h"
#include "net/proxy.h"

struct stop {
    struct server *s;
    VEC(struct http_exchange *) askers; /* those that are still there: without one it goes on */
    struct env_work work;
    struct env_timer exit_timer, tell_timer;
    struct arena *arena;
    int64_t began_ms, told_ms; /* monotonic */
    size_t told_count;
    int code;
    struct span detail;
};

enum {
    EXIT_DELAY_MS = 50,         /* so that the last line leaves */
    QUICK_MS = 2000,            /* what takes no longer than that is not worth a word */
    TELL_MS = 2000,             /* progress is looked at that often, */
    TELL_ANYWAY_MS = 10 * 1000, /* and told at least that often */
    NAMES_MAX = 8               /* pods in one line */
};

static void say(struct stop *st, struct span line)
{
    for (size_t i = 0; i < st->askers.n; i++) {
        http_stream_write(st->askers.at[i], line);
    }
}

static int64_t mono_ms(const struct stop *st)
{
    return env_mono_ns(st->s->env) / 1000000;
}

static long long seconds(int64_t ms)
{
    return (ms + 999) / 1000;
}

/* Those that end now, the longest first, then those whose turn comes later; by name. */
static int compare_left(const void *a, const void *b)
{
    const struct kubelet_stop_pod *x = a, *y = b;
    if (x->waits != y->waits) {
        return x->waits ? 1 : -1;
    }
    if (x->left_ms != y->left_ms) {
        return x->left_ms < y->left_ms ? 1 : -1;
    }
    return span_cmp(x->name, y->name);
}

static struct span names_of(struct arena *a, const struct kubelet_stop_left *left)
{
    struct strbuf text cleanup_strbuf = STRBUF_INIT;
    for (size_t i = 0; i < left->count && i < NAMES_MAX; i++) {
        const struct kubelet_stop_pod *pod = &left->pods[i];
        strbuf_printf(&text, "%s%.*s (%s%lld s)", i ? ", " : "", SPAN_ARG(pod->name),
                      pod->waits ? "its turn comes later, " : "", seconds(pod->left_ms));
    }
    if (left->count > NAMES_MAX) {
        strbuf_printf(&text, " and %zu more", left->count - NAMES_MAX);
    }
    return arena_dup(a, strbuf_span(&text));
}

/* What is waited for, and for how long at most; nothing when that is over soon. */
static void tell(struct stop *st, bool first)
{
    struct kubelet_stop_left left;
    struct arena *a cleanup_arena = arena_new();
    kubelet_stop_left(st->s->kubelet, a, &left);
    int64_t now_ms = mono_ms(st);
    st->told_ms = now_ms;
    st->told_count = left.count;
    if (left.count == 0 || (first && left.at_most_ms <= QUICK_MS)) {
        return;
    }
    qsort(left.pods, left.count, sizeof *left.pods, compare_left);
    struct span names = names_of(a, &left);
    if (first) {
        say(st, arena_printf(a,
                             "waiting up to %lld s, the grace periods of %.*s; to shorten that: "
                             "berth stop --grace-period SECONDS, here after Ctrl-C (which ends "
                             "the waiting only) or elsewhere\n",
                             seconds(left.at_most_ms), SPAN_ARG(names)));
    } else {
        say(st, arena_printf(a, "after %lld s: %zu pod%s left, up to %lld s more: %.*s\n",
                             seconds(now_ms - st->began_ms), left.count, left.count == 1 ? "" : "s",
                             seconds(left.at_most_ms), SPAN_ARG(names)));
    }
}

static void on_tell_timer(struct env_timer *timer)
{
    struct stop *st = CONTAINER_OF(timer, struct stop, tell_timer);
    if (kubelet_pod_count(st->s->kubelet) != st->told_count ||
        mono_ms(st) - st->told_ms >= TELL_ANYWAY_MS) {
        tell(st, false);
    }
    env_timer_start(st->s->env, timer, TELL_MS, on_tell_timer);
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
    st->code = server_node_purge(st->arena, &st->s->options, true, &st->detail);
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
    for (size_t i = 0; i < st->askers.n; i++) {
        http_stream_end(st->askers.at[i]);
    }
    st->askers.n = 0;
    env_timer_start(st->s->env, &st->exit_timer, EXIT_DELAY_MS, on_exit_timer);
}

static void on_pods_ended(void *data)
{
    struct stop *st = data;
    env_timer_stop(st->s->env, &st->tell_timer);
    say(st, SPAN("all pods have ended\n"));
    if (st->s->fake) {
        st->code = 0;
        on_purged(&st->work);
        return;
    }
    if (st->s->guard) {
        net_guard_stop(st->s->guard);
    }
    if (st->s->proxy) {
        proxy_stop(st->s->proxy);
    }
    env_work_start(st->s->env, &st->work, run_purge, on_purged);
}

/* ---- who asks ---- */

struct asker {
    struct stop *st;
    struct http_exchange *x;
};

static void on_drain(void *data)
{
    (void)data;
}

static void on_abort(void *data)
{
    struct asker *asker = data;
    struct stop *st = asker->st;
    for (size_t i = 0; i < st->askers.n; i++) {
        if (st->askers.at[i] == asker->x) {
            VEC_REMOVE(&st->askers, i);
            break;
        }
    }
}

static void listen_to(struct stop *st, struct http_exchange *x)
{
    static const struct http_stream_handler handler = {on_drain, on_abort};
    struct asker *asker = ARENA_NEW(st->arena, struct asker);
    *asker = (struct asker){st, x};
    VEC_PUSH(&st->askers, x);
    http_stream_begin(x, 200, "text/plain", &handler, asker);
}

static void begin(struct server *s, struct http_exchange *x, int64_t grace_ms)
{
    struct stop *st = MEM_NEW(struct stop);
    *st = (struct stop){.s = s, .arena = arena_new()};
    s->stop = st;
    st->began_ms = mono_ms(st);
    log_event(LOG_INFO, "server_stop_asked");
    server_notify(s, "STOPPING=1");
    listen_to(st, x);
    say(st, arena_printf(st->arena, "ending %zu pods\n",
                         s->kubelet ? kubelet_pod_count(s->kubelet) : 0));
    if (!s->kubelet) {
        on_pods_ended(st);
        return;
    }
    kubelet_stop_pods(s->kubelet, on_pods_ended, st);
    if (grace_ms) {
        kubelet_stop_hurry(s->kubelet, grace_ms);
    }
    tell(st, true);
    env_timer_start(s->env, &st->tell_timer, TELL_MS, on_tell_timer);
}

/* A second `berth stop` watches the same stop, and may shorten it. */
static void join(struct stop *st, struct http_exchange *x, int64_t grace_ms)
{
    listen_to(st, x);
    say(st, SPAN("the server is stopping already\n"));
    if (!st->s->kubelet) {
        return;
    }
    if (grace_ms) {
        kubelet_stop_hurry(st->s->kubelet, grace_ms);
    }
    tell(st, false);
}

/* False: not a number that the option allows. 0: not given. */
static bool grace_of(struct http_exchange *x, int64_t *ret_ms)
{
    struct span text;
    int64_t grace_s = 0;
    *ret_ms = 0;
    if (!http_query_get(x, CONTROL_STOP_GRACE, &text)) {
        return true;
    }
    if (!span_to_i64(text, &grace_s) || grace_s < 1 || grace_s > LIMIT_GRACE_S) {
        return false;
    }
    *ret_ms = grace_s * 1000;
    return true;
}

bool server_control(void *data, struct http_exchange *x)
{
    assert(data);
    assert(x);
    struct server *s = data;
    int64_t grace_ms;
    if (!span_eq(http_path(x), SPAN(CONTROL_STOP))) {
        return false;
    }
    if (!span_eq(http_method(x), SPAN("POST"))) {
        http_reply(x, 405, "text/plain", SPAN("use POST\n"));
    } else if (!grace_of(x, &grace_ms)) {
        http_reply(x, 400, "text/plain", SPAN("the grace period is no number of seconds from 1\n"));
    } else if (s->stop) {
        join(s->stop, x, grace_ms);
    } else {
        begin(s, x, grace_ms);
    }
    return true;
}
