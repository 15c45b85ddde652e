/* A watch in process. States: LISTING (a task is posted) -> TELLING (what is there, some in each
 * turn of the loop) -> LIVE (events are taken from the watcher by a task) -> LISTING again when the
 * hub's window moved past us. What was reported is kept by key, so that a new list tells only what
 * differs. The list is of one moment: whoever filled a cache from it knows that moment's revision
 * whole. */
#include "apiserver/local_client.h"
#include "apiserver/op.h"
#include "apiserver/selection.h"
#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "watch/watch.h"

/* Handled before others get their turn: a server that starts with 100,000 objects answers
 * meanwhile.
 */
enum { EVENTS_A_TASK = 256, LISTED_A_TURN = 256 };

struct local_watch {
    struct client_watch base;
    struct apiserver *server;
    struct client_watch_handler handler;
    void *data;
    struct watch_filter filter;
    struct selection *selection; /* behind the filter; NULL: all of a kind is wanted */
    struct arena *arena;         /* that it is in */
    struct map known; /* store key -> what was told last: a reference, which the key is part of */
    struct map seen;  /* those of them that a list has which is not the first one */
    struct watcher *watcher;
    uint64_t round;
    int64_t list_rev;            /* of the last list */
    VEC(struct object *) listed; /* from listed_at on: to be told yet */
    size_t listed_at;
    bool is_listing, is_synced, is_freed, in_callback;
    struct env_task task;
    struct env_timer next_turn;
};

static void known_free(void *value)
{
    object_unref(value);
}

static void destroy(struct local_watch *w)
{
    assert(w->is_freed);
    assert(!w->in_callback);
    assert(w->listed_at <= w->listed.n);
    map_done(&w->seen);
    map_done_values(&w->known, known_free);
    for (; w->listed_at < w->listed.n; w->listed_at++) {
        object_unref(w->listed.at[w->listed_at]);
    }
    VEC_DONE(&w->listed);
    if (w->selection) {
        selection_done(w->selection);
        arena_free(w->arena);
    }
    free(w);
}

/* A callback has returned. False: it freed us; nothing of w may be touched. */
static bool is_alive(struct local_watch *w)
{
    assert(w->in_callback);
    w->in_callback = false;
    if (w->is_freed) {
        destroy(w);
        return false;
    }
    return true;
}

static bool tell(struct local_watch *w, enum client_event_type type, struct object *object)
{
    assert(!w->in_callback);
    assert(!w->is_freed);
    assert(object);
    w->in_callback = true;
    w->handler.on_event(w->data, type, object);
    return is_alive(w);
}

static bool tell_list(struct local_watch *w, int64_t rev)
{
    if (!w->handler.on_list) {
        return true;
    }
    assert(!w->in_callback);
    w->in_callback = true;
    w->handler.on_list(w->data, rev);
    return is_alive(w);
}

static bool tell_synced(struct local_watch *w)
{
    if (w->is_synced) {
        return true;
    }
    w->is_synced = true;
    if (!w->handler.on_synced) {
        return true;
    }
    assert(!w->in_callback);
    assert(!w->is_listing);
    w->in_callback = true;
    w->handler.on_synced(w->data);
    return is_alive(w);
}

/* Remembers the version; returns what the change is, or -1 when it is known already. */
static int remember(struct local_watch *w, struct object *o)
{
    struct span key = object_store_key(o);
    struct map_slot *slot = map_seek(&w->known, key);
    struct object *old = slot->value;
    if (!old) {
        map_fill(&w->known, slot, key, object_ref(o));
    } else if (object_rev(old) < object_rev(o)) {
        assert(span_eq(object_store_key(old), key));
        slot->key = key; /* its bytes are the new version's now */
        slot->value = object_ref(o);
    }
    struct object *now = slot->value;
    if (w->is_listing && w->round > 1) {
        (void)map_put(&w->seen, object_store_key(now), now);
    }
    if (now == old) {
        return -1;
    }
    object_unref(old);
    return old ? CLIENT_MODIFIED : CLIENT_ADDED;
}

static bool forget(struct local_watch *w, struct span key)
{
    struct object *known = map_remove(&w->known, key);
    object_unref(known);
    return known;
}

struct collected {
    VEC(struct object *) objects;
};

static bool collect(void *data, struct object *o)
{
    struct local_watch *w = data;
    VEC_PUSH(&w->listed, object_ref(o));
    return true;
}

static void on_task(struct env_task *task);

static void on_turn(struct env_timer *timer)
{
    struct local_watch *w = CONTAINER_OF(timer, struct local_watch, next_turn);
    env_post(w->server->env, &w->task, on_task);
}

static void on_more(void *data)
{
    struct local_watch *w = data;
    env_post(w->server->env, &w->task, on_task);
}

/* Those that an earlier list or event had and this one has not. */
static bool report_vanished(struct local_watch *w)
{
    struct collected gone = {0};
    size_t it = 0;
    struct object *known;
    while (w->round > 1 && (known = map_next(&w->known, &it, NULL))) {
        if (map_get(&w->seen, object_store_key(known)) != known) {
            VEC_PUSH(&gone.objects, object_ref(known));
        }
    }
    map_done(&w->seen);
    bool alive = true;
    for (size_t i = 0; i < gone.objects.n; i++) {
        struct object *o = gone.objects.at[i];
        if (alive) {
            (void)forget(w, object_store_key(o));
            alive = tell(w, CLIENT_DELETED, o);
        }
        object_unref(o);
    }
    VEC_DONE(&gone.objects);
    return alive;
}

/* False: the callback freed the watch. */
static bool list(struct local_watch *w)
{
    struct watch_filter all = w->filter;
    assert(!w->is_listing);
    assert(w->listed.n == 0);
    w->round++;
    w->is_listing = true;
    w->list_rev = watch_hub_rev(w->server->hub);
    w->watcher = watcher_new(w->server->hub, &w->filter, w->list_rev, on_more, w);
    assert(w->watcher); /* the current revision is inside the window */
    all.match = NULL;   /* asked as they are told: it may look into each */
    (void)watch_hub_list(w->server->hub, &all, SPAN_NULL, collect, w);
    return w->round == 1 || tell_list(w, 0);
}

static bool is_wanted(struct local_watch *w, struct object *o)
{
    if (!w->filter.match) {
        return true;
    }
    struct object_glance glance = object_glance_begin(o);
    bool wanted = w->filter.match(w->filter.data, o);
    object_glance_end(&glance);
    return wanted;
}

/* Where another object has taken the name since, the one before is told as gone: who follows owners
 * has to know. False: the callback freed the watch. */
static bool tell_replaced(struct local_watch *w, struct object *o)
{
    struct object *known = w->known.n ? map_get(&w->known, object_store_key(o)) : NULL;
    if (!known || object_rev(known) == object_rev(o) || span_eq(object_uid(known), object_uid(o))) {
        return true;
    }
    struct object *old cleanup_object = object_ref(known);
    (void)forget(w, object_store_key(old));
    return tell(w, CLIENT_DELETED, old);
}

/* False: nothing more in this turn, or never. */
static bool tell_listed(struct local_watch *w)
{
    for (int i = 0; i < LISTED_A_TURN && w->listed_at < w->listed.n; i++) {
        struct object *o cleanup_object = w->listed.at[w->listed_at++];
        bool wanted = is_wanted(w, o);
        if (wanted && !tell_replaced(w, o)) {
            return false;
        }
        int type = wanted ? remember(w, o) : -1;
        if (type >= 0 && !tell(w, (enum client_event_type)type, o)) {
            return false;
        }
    }
    if (w->listed_at < w->listed.n) {
        env_timer_start(w->server->env, &w->next_turn, 0, on_turn);
        return false;
    }
    VEC_DONE(&w->listed);
    w->listed_at = 0;
    w->is_listing = false;
    return report_vanished(w) && tell_list(w, w->list_rev) && tell_synced(w);
}

static bool one_event(struct local_watch *w, const struct watch_event *e)
{
    struct object *o = object_ref(e->object);
    bool alive = true;
    if (e->type == WATCH_DELETED) {
        if (forget(w, object_store_key(o))) {
            alive = tell(w, CLIENT_DELETED, o);
        }
    } else {
        int type = remember(w, o);
        if (type >= 0) {
            alive = tell(w, (enum client_event_type)type, o);
        }
    }
    object_unref(o);
    return alive;
}

static void on_task(struct env_task *task)
{
    struct local_watch *w = CONTAINER_OF(task, struct local_watch, task);
    if (!w->watcher && !list(w)) {
        return;
    }
    if (w->is_listing && !tell_listed(w)) {
        return;
    }
    for (int i = 0; i < EVENTS_A_TASK; i++) {
        struct watch_event e;
        int rc = watcher_next(w->watcher, &e);
        if (rc == 0) {
            return;
        }
        if (rc == E_LIMIT) { /* fell behind: list again */
            watcher_free(TAKE_PTR(w->watcher));
            break;
        }
        if (e.object && !one_event(w, &e)) {
            return;
        }
    }
    env_post(w->server->env, &w->task, on_task);
}

static void select_some(struct local_watch *w, const struct client_request *q)
{
    struct arena *a = arena_new_small();
    struct api_op op = {.server = w->server,
                        .arena = a,
                        .verb = API_WATCH,
                        .kind = q->kind,
                        .ns = arena_dup(a, q->ns)};
    op.options.label_selector = arena_dup(a, q->label_selector);
    op.options.field_selector = q->name.n && !q->field_selector.n
                                    ? arena_printf(a, "metadata.name=%.*s", SPAN_ARG(q->name))
                                    : arena_dup(a, q->field_selector);
    int rc = selection_new(&op);
    assert(rc == 0); /* selectors of our own code */
    w->arena = a;
    w->selection = op.selection;
    w->filter = *selection_filter(op.selection);
}

struct client_watch *local_watch_new(struct client *c, const struct client_request *q,
                                     const struct client_watch_handler *handler, void *data)
{
    struct local_watch *w = MEM_NEW(struct local_watch);
    w->base.client = c;
    w->server = local_client_server(c);
    w->handler = *handler;
    w->data = data;
    if (q->ns.n || q->name.n || q->label_selector.n || q->field_selector.n) {
        select_some(w, q);
    } else { /* most watches */
        w->filter.resource = span_cstr(q->kind->resource);
    }
    env_post(w->server->env, &w->task, on_task);
    return &w->base;
}

void local_watch_free(struct client_watch *cw)
{
    struct local_watch *w = (struct local_watch *)cw;
    if (!w) {
        return;
    }
    env_post_cancel(w->server->env, &w->task);
    assert(!w->is_freed);
    env_timer_stop(w->server->env, &w->next_turn);
    watcher_free(TAKE_PTR(w->watcher));
    w->is_freed = true;
    if (!w->in_callback) {
        destroy(w);
    }
}
