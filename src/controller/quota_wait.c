#include "controller/quota_wait.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "codec/json.h"
#include "codec/object.h"
#include "plan/quota_plan.h"

struct waiting {
    size_t key_n;
    char key[];
};

struct quota_wait {
    struct informer_set *informers;
    struct informer *quotas; /* NULL: nobody has waited yet */
    struct map keys;
    void (*wake)(void *data, struct span key);
    void *data;
};

static struct span key_of(const struct waiting *k)
{
    return span_of(k->key, k->key_n);
}

struct quota_wait *quota_wait_new(struct informer_set *informers,
                                  void (*wake)(void *data, struct span key), void *data)
{
    assert(informers);
    assert(wake);
    struct quota_wait *w = MEM_NEW(struct quota_wait);
    w->informers = informers;
    w->wake = wake;
    w->data = data;
    return w;
}

void quota_wait_free(struct quota_wait *w)
{
    if (!w) {
        return;
    }
    if (w->quotas) {
        informer_remove_handler(w->quotas, w);
    }
    map_done_values(&w->keys, free);
    free(w);
}

static bool is_in(struct span key, struct span ns)
{
    return key.n > ns.n && key.p[ns.n] == '/' && span_starts(key, ns);
}

static void on_quota(void *data, struct object *old, struct object *now)
{
    struct quota_wait *w = data;
    struct span ns = object_namespace(now ? now : old), key;
    VEC(struct waiting *) woken = {0};
    size_t it = 0;
    if (w->keys.n == 0 ||
        !quota_gives_room(old ? object_root(old) : NULL, now ? object_root(now) : NULL)) {
        return;
    }
    while (map_next(&w->keys, &it, &key)) {
        if (is_in(key, ns)) {
            VEC_PUSH(&woken, map_get(&w->keys, key));
        }
    }
    for (size_t i = 0; i < woken.n; i++) {
        struct waiting *k = map_remove(&w->keys, key_of(woken.at[i]));
        assert(k);
        w->wake(w->data, key_of(k));
        free(k);
    }
    VEC_DONE(&woken);
}

void quota_wait_note(struct quota_wait *w, const struct err *err, struct span key)
{
    static const struct informer_handler handler = {.on_change = on_quota};
    assert(key.n > 0);
    if (err->reason != ERR_FORBIDDEN || !quota_refused(err->message) || map_get(&w->keys, key)) {
        return;
    }
    struct waiting *k = mem_new(sizeof *k + key.n);
    k->key_n = key.n;
    memcpy(k->key, key.p, key.n);
    (void)map_put(&w->keys, key_of(k), k);
    if (!w->quotas) {
        w->quotas = informer_set_find(w->informers, "", "ResourceQuota");
        informer_add_handler(w->quotas, &handler, w);
    }
}
