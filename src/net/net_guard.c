#include "net/net_guard.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "os/os_nft.h"
#include "os/os_nft_service.h"

struct net_guard {
    struct env *env;
    struct net_pod *net;
    struct proxy *proxy;
    struct os_nft_service_table services;
    struct env_stream *word; /* NULL: the kernel does not tell */
    struct env_work work;
    bool busy, again; /* word came during the work */
    pthread_mutex_t lock;
    bool stopped; /* changed under the lock, which the work holds */
    /* The work's: which table of services was there last, and what it has found. */
    uint64_t service_table;
    int masquerade_code; /* of net_pod_keep_masquerade() */
    bool service_is_other, service_was_there;
};

static void work_look(struct env_work *work)
{
    struct net_guard *g = CONTAINER_OF(work, struct net_guard, work);
    uint64_t now = 0;
    (void)pthread_mutex_lock(&g->lock);
    bool stopped = g->stopped;
    g->masquerade_code = stopped ? 0 : net_pod_keep_masquerade(g->net);
    (void)pthread_mutex_unlock(&g->lock);
    g->service_is_other = false;
    if (!stopped && g->proxy && os_nft_table_handle(g->services.table, &now) == 0) {
        g->service_is_other = now != g->service_table;
        g->service_was_there = g->service_table != 0;
        g->service_table = now;
    }
}

static void look(struct net_guard *g);

static void tell(const char *table, const char *what)
{
    log_event(LOG_WARN, "net_table_taken_away", LOG_C("table", table), LOG_C("effect", what));
}

static void on_looked(struct env_work *work)
{
    struct net_guard *g = CONTAINER_OF(work, struct net_guard, work);
    assert(g->busy);
    g->busy = false;
    if (g->stopped) {
        return;
    }
    if (g->masquerade_code < 0) {
        log_event(LOG_WARN, "net_masquerade_failed", LOG_C("why", code_text(g->masquerade_code)));
    } else if (g->masquerade_code > 0) {
        tell(net_pod_table(g->net), "pods could not reach what is outside; it is put back");
    }
    if (g->service_is_other && g->service_was_there) {
        tell(g->services.table, "services could not be reached; they are put back");
    }
    /* Also the one that the proxy made itself: somebody may have been quicker than the look. */
    if (g->service_is_other) {
        proxy_read_again(g->proxy);
    }
    if (g->again) {
        look(g);
    }
}

static void look(struct net_guard *g)
{
    g->again = g->busy;
    if (!g->busy) {
        g->busy = true;
        env_work_start(g->env, &g->work, work_look, on_looked);
    }
}

static void on_word(void *data, struct span bytes)
{
    assert(bytes.n > 0);
    look(data);
}

static int listen_to_kernel(struct net_guard *g);

static void listen_or_tell(struct net_guard *g, int code)
{
    code = code ? code : listen_to_kernel(g);
    if (code < 0) {
        log_event(LOG_WARN, "net_tables_not_guarded", LOG_C("why", code_text(code)));
    }
}

/* Where it had more to tell than was read, something may have been missed. */
static void on_word_lost(void *data, int code)
{
    struct net_guard *g = data;
    env_stream_close(TAKE_PTR(g->word));
    listen_or_tell(g, code == -ENOBUFS ? 0 : code);
    look(g);
}

static int listen_to_kernel(struct net_guard *g)
{
    static const struct env_stream_handler handler = {on_word, on_word_lost, NULL};
    int fd = os_nft_listen(), code = fd < 0 ? fd : env_stream_open_fd(g->env, fd, &g->word);
    if (code < 0 && fd >= 0) {
        (void)close(fd);
    }
    if (code == 0) {
        env_stream_set(g->word, &handler, g);
        env_stream_read(g->word, true);
    }
    return code;
}

struct net_guard *net_guard_new(struct env *env, struct net_pod *net, struct proxy *proxy)
{
    assert(env);
    assert(net);
    struct net_guard *g = MEM_NEW(struct net_guard);
    g->env = env;
    g->net = net;
    g->proxy = proxy;
    (void)net_pod_service_table(net, &g->services);
    (void)pthread_mutex_init(&g->lock, NULL);
    listen_or_tell(g, 0);
    look(g); /* which tables there are */
    return g;
}

void net_guard_stop(struct net_guard *g)
{
    assert(g);
    (void)pthread_mutex_lock(&g->lock);
    g->stopped = true;
    (void)pthread_mutex_unlock(&g->lock);
    if (g->word) {
        env_stream_close(TAKE_PTR(g->word));
    }
}
