#include "kubelet/image_cleaner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "client/client_event.h"
#include "schema/kinds.h"

enum { PERIOD_MS = 5 * 60 * 1000 };

struct seen {
    int64_t used_ms; /* last */
    bool is_here;    /* at the last look */
    char id[];       /* the key's bytes */
};

struct image_cleaner {
    struct env *env;
    struct image_cleaner_options options;
    struct arena *arena; /* of node_name */
    struct span node_name;
    struct event_recorder *events;
    struct map seen; /* struct seen, by image id */
    struct env_timer timer;
    struct look *look; /* under way, or NULL */
    bool again;        /* something came meanwhile */
    bool is_freed;
};

/* One image, by all its names. */
struct found {
    struct span id, name;
    struct image_plan_image image;
};

/* One look at the disk, and what follows. */
struct look {
    struct env_work work;
    struct image_cleaner *cleaner;
    struct arena *arena;
    int code;
    struct span detail;
    uint64_t available, capacity;
    uint64_t wanted;
    struct found *found;
    size_t found_n;
    size_t *order;
    size_t order_n, removed;
    uint64_t freed;
};

static void start(struct image_cleaner *c);

static int disk_of(struct look *l)
{
    const struct image_cleaner_options *o = &l->cleaner->options;
    return o->disk ? o->disk(o->disk_data, &l->available, &l->capacity)
                   : image_disk(o->store, &l->available, &l->capacity);
}

static void cleaner_destroy(struct image_cleaner *c)
{
    map_done_values(&c->seen, free);
    arena_free(c->arena);
    free(c);
}

static void look_end(struct look *l)
{
    struct image_cleaner *c = l->cleaner;
    assert(c->look == l);
    c->look = NULL;
    arena_free(l->arena);
    free(l);
    if (c->is_freed) {
        cleaner_destroy(c);
    } else if (c->again) {
        start(c);
    }
}

/* ---- third: remove ---- */

static void remove_run(struct env_work *work)
{
    struct look *l = CONTAINER_OF(work, struct look, work);
    const struct image_cleaner_options *o = &l->cleaner->options;
    uint64_t before = l->available;
    for (size_t i = 0; i < l->order_n && l->wanted > 0; i++) {
        struct found *f = &l->found[l->order[i]];
        l->code = image_remove_id(o->store, f->id, &o->users, l->arena, &l->detail);
        if (l->code < 0 && l->code != -EBUSY) {
            break;
        }
        l->removed += l->code == 0;
        l->code = disk_of(l);
        if (l->code < 0) {
            break;
        }
        uint64_t gained = l->available > before ? l->available - before : 0;
        l->wanted = l->wanted > gained ? l->wanted - gained : 0;
        l->freed += gained;
        before = l->available;
    }
    assert(l->removed <= l->order_n);
}

static void tell_short(const struct look *l)
{
    size_t imported = 0;
    for (size_t i = 0; i < l->found_n; i++) {
        imported += l->found[i].image.is_imported && !l->found[i].image.is_used;
    }
    const struct image_cleaner *c = l->cleaner;
    assert(c->events);
    assert(l->wanted > 0);
    struct span kept = imported == 0
                           ? SPAN("")
                           : arena_printf(l->arena,
                                          " %zu unused image%s came in archives and stay: `berth "
                                          "image rm` removes them.",
                                          imported, imported == 1 ? "" : "s");
    const struct event_about about = {.kind = SCHEMA_KIND(Node),
                                      .name = c->node_name,
                                      .uid = c->node_name}; /* the kubelet's way */
    event_record_about(c->events, &about, EVENT_WARNING, "FreeDiskSpaceFailed",
                       "Failed to garbage collect required amount of images. Attempted to free "
                       "%" PRIu64 " bytes, but only found %" PRIu64 " bytes eligible to free.%.*s",
                       l->freed + l->wanted, l->freed, SPAN_ARG(kept));
}

static void remove_done(struct env_work *work)
{
    struct look *l = CONTAINER_OF(work, struct look, work);
    if (l->removed > 0) {
        log_event(LOG_INFO, "images_removed", LOG_I("count", (int64_t)l->removed),
                  LOG_I("bytes", (int64_t)l->freed), LOG_S("first", l->found[l->order[0]].name));
    }
    if (l->code < 0 && l->code != -EBUSY) {
        log_event(LOG_WARN, "image_clean_up_failed",
                  LOG_S("why", l->detail.n ? l->detail : span_cstr(code_text(l->code))));
    } else if (l->wanted > 0 && !l->cleaner->is_freed) {
        tell_short(l);
    }
    look_end(l);
}

/* ---- second: decide ---- */

static void note_used(struct image_cleaner *c, struct span id)
{
    struct seen *seen = map_get(&c->seen, id);
    if (!seen) {
        seen = mem_new(sizeof *seen + id.n);
        memcpy(seen->id, id.p, id.n);
        (void)map_put(&c->seen, span_of(seen->id, id.n), seen);
    }
    seen->used_ms = env_mono_ns(c->env) / 1000000;
    seen->is_here = true;
}

/* What is no longer on disk is forgotten, so that the table stays as small as the disk. */
static void forget_gone(struct image_cleaner *c, struct arena *a)
{
    struct span *gone = ARENA_ARRAY(a, struct span, c->seen.n + 1);
    struct span id;
    struct seen *seen;
    size_t n = 0, it = 0;
    while ((seen = map_next(&c->seen, &it, &id))) {
        if (!seen->is_here) {
            gone[n++] = arena_dup(a, id);
        }
        seen->is_here = false;
    }
    assert(n <= c->seen.n);
    for (size_t i = 0; i < n; i++) {
        free(map_remove(&c->seen, gone[i]));
    }
}

/* An image that is met for the first time counts as used now: a node that has just begun knows
 * nothing. */
static void decide(struct look *l)
{
    struct image_cleaner *c = l->cleaner;
    struct image_plan_image *images =
        ARENA_ARRAY(l->arena, struct image_plan_image, l->found_n + 1);
    for (size_t i = 0; i < l->found_n; i++) {
        struct found *f = &l->found[i];
        struct seen *seen = map_get(&c->seen, f->id);
        if (!seen || f->image.is_used) {
            note_used(c, f->id);
            seen = map_get(&c->seen, f->id);
        }
        assert(seen);
        seen->is_here = true;
        f->image.last_used_ms = seen->used_ms;
        images[i] = f->image;
    }
    forget_gone(c, l->arena);
    const struct image_plan_view view = {.now_ms = env_mono_ns(c->env) / 1000000,
                                         .min_age_ms = c->options.min_age_ms,
                                         .images = images,
                                         .n = l->found_n};
    l->order = ARENA_ARRAY(l->arena, size_t, l->found_n + 1);
    l->order_n = image_plan_order(&view, l->order);
    assert(l->order_n <= l->found_n);
}

static void gather_done(struct env_work *work)
{
    struct look *l = CONTAINER_OF(work, struct look, work);
    if (l->code < 0) {
        log_event(LOG_WARN, "image_look_failed", LOG_C("why", code_text(l->code)));
    }
    if (l->code < 0 || l->wanted == 0 || l->cleaner->is_freed) {
        look_end(l);
        return;
    }
    decide(l);
    env_work_start(l->cleaner->env, &l->work, remove_run, remove_done);
}

/* ---- first: gather ---- */

static struct found *find(struct look *l, struct span id)
{
    for (size_t i = 0; i < l->found_n; i++) {
        if (span_eq(l->found[i].id, id)) {
            return &l->found[i];
        }
    }
    return NULL;
}

static int gather(struct look *l)
{
    const struct image_cleaner_options *o = &l->cleaner->options;
    struct image_config *list = NULL;
    struct image_user *users = NULL;
    size_t n = 0, users_n = 0;
    int code = image_list(o->store, l->arena, &list, &n);
    code = code < 0 || !o->users.list ? code
                                      : o->users.list(o->users.data, l->arena, &users, &users_n);
    l->found = ARENA_ARRAY(l->arena, struct found, n + 1);
    for (size_t i = 0; i < n && code == 0; i++) {
        struct found *f = find(l, list[i].id);
        if (!f) {
            f = &l->found[l->found_n++];
            *f = (struct found){
                .id = list[i].id, .name = list[i].reference, .image.bytes = list[i].size_bytes};
        }
        f->image.is_imported |= list[i].is_imported;
    }
    assert(l->found_n <= n);
    for (size_t i = 0; i < users_n && code == 0; i++) {
        struct found *f = find(l, users[i].image_id);
        if (f) {
            f->image.is_used = true;
        }
    }
    return code;
}

static void gather_run(struct env_work *work)
{
    struct look *l = CONTAINER_OF(work, struct look, work);
    l->code = disk_of(l);
    if (l->code == 0) {
        l->wanted = image_plan_wanted(&l->cleaner->options.thresholds, l->available, l->capacity);
    }
    if (l->wanted > 0) {
        l->code = gather(l);
    }
}

static void on_timer(struct env_timer *timer)
{
    start(CONTAINER_OF(timer, struct image_cleaner, timer));
}

static void start(struct image_cleaner *c)
{
    assert(!c->is_freed);
    c->again = c->look != NULL;
    if (c->look) {
        return;
    }
    env_timer_start(c->env, &c->timer, PERIOD_MS, on_timer);
    struct look *l = MEM_NEW(struct look);
    *l = (struct look){.cleaner = c, .arena = arena_new()};
    c->look = l;
    env_work_start(c->env, &l->work, gather_run, gather_done);
}

static void on_used(void *data, struct span id, bool fuller)
{
    struct image_cleaner *c = data;
    assert(!c->is_freed);
    if (id.n) {
        note_used(c, id);
    }
    if (fuller) {
        start(c);
    }
}

struct image_cleaner *image_cleaner_new(struct env *env,
                                        const struct image_cleaner_options *options)
{
    assert(options->store);
    assert(options->images);
    assert(!options->images->on_used);
    struct image_cleaner *c = MEM_NEW(struct image_cleaner);
    c->env = env;
    c->options = *options;
    c->arena = arena_new();
    c->node_name = arena_dup(c->arena, options->node_name);
    c->events = event_recorder_new(options->client, "kubelet", options->node_name);
    options->images->on_used = on_used;
    options->images->on_used_data = c;
    start(c);
    return c;
}

void image_cleaner_free(struct image_cleaner *c)
{
    if (!c) {
        return;
    }
    assert(!c->is_freed);
    c->is_freed = true;
    c->options.images->on_used = NULL;
    env_timer_stop(c->env, &c->timer);
    event_recorder_free(c->events);
    c->events = NULL;
    if (!c->look) {
        cleaner_destroy(c);
    }
}
