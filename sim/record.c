/* sim/record.c: see record.h. */
#include "sim/record.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"

static const struct span resources[] = {SPAN("pods"),
                                        SPAN("statefulsets.apps"),
                                        SPAN("persistentvolumeclaims"),
                                        SPAN("persistentvolumes"),
                                        SPAN("nodes"),
                                        SPAN("controllerrevisions.apps"),
                                        SPAN("deployments.apps"),
                                        SPAN("replicasets.apps"),
                                        SPAN("daemonsets.apps"),
                                        SPAN("jobs.batch"),
                                        SPAN("poddisruptionbudgets.policy"),
                                        SPAN("customresourcedefinitions.apiextensions.k8s.io"),
                                        SPAN("widgets.example.com")};
enum { RESOURCES = sizeof resources / sizeof *resources };

struct kept {
    struct object *object; /* NULL: gone */
    int64_t rev, before;
    uint64_t round;    /* of the list that had it */
    struct kept *next; /* behind it in the list that was compared last; NULL: not known */
    size_t key_n;
    char key[];
};

struct stream {
    struct record *r;
    struct span resource;
    struct watcher *watcher;
    int64_t rev; /* taken up to here */
    uint64_t round;
    size_t live;
    struct kept *first; /* of the list that was compared last */
};

struct record {
    struct record_handler handler;
    struct watch_hub *hub;
    struct map kept; /* by store key */
    struct stream streams[RESOURCES];
    int64_t hub_rev;
    bool is_new;        /* the hub, and was not compared yet */
    int64_t pulled_rev; /* of the hub, when all streams were last read to their end */
};

static void wrong(struct record *r, const char *checker, const char *what, struct span key,
                  int64_t rev, int64_t other)
{
    char text[256];
    (void)snprintf(text, sizeof text, "%s: %.*s at %lld (%lld)", what, SPAN_ARG(key),
                   (long long)rev, (long long)other);
    r->handler.on_wrong(r->handler.data, checker, text);
}

static struct kept *kept_of(struct record *r, struct span key)
{
    struct map_slot *slot = map_seek(&r->kept, key);
    struct kept *k = slot->value;
    if (!k) {
        k = mem_new(sizeof *k + key.n + 1);
        k->key_n = key.n;
        memcpy(k->key, key.p, key.n);
        map_fill(&r->kept, slot, span_of(k->key, k->key_n), k);
    }
    return k;
}

/* Revisions only grow, in a stream and of an object, and an event carries its object's. */
static void check_revision(struct stream *s, const struct kept *k, const struct watch_event *e)
{
    if (e->rev <= s->rev || e->rev <= k->rev || object_rev(e->object) != e->rev) {
        wrong(s->r, "revision", "a revision does not grow", span_of(k->key, k->key_n), e->rev,
              s->rev > k->rev ? s->rev : k->rev);
    }
}

/* Each event starts from the version that the one before ended with. */
static void check_gap(struct stream *s, const struct kept *k, const struct watch_event *e)
{
    struct span key = span_of(k->key, k->key_n);
    if ((e->type == WATCH_ADDED) != !k->object) {
        wrong(s->r, "watch", k->object ? "made twice" : "changed, and was never made", key, e->rev,
              k->rev);
    } else if (k->object && e->previous && object_rev(e->previous) != k->rev) {
        wrong(s->r, "watch", "an event is missing before", key, e->rev, k->rev);
    }
}

/* now: NULL or a reference to keep. */
static void change(struct stream *s, struct kept *k, struct object *now, int64_t rev)
{
    struct record *r = s->r;
    struct object *old = k->object;
    s->live += (size_t)(now != NULL) - (size_t)(old != NULL);
    k->object = now;
    k->before = k->rev;
    k->rev = rev;
    if (r->handler.on_change) {
        r->handler.on_change(r->handler.data, old, now, rev);
    }
    object_unref(old);
}

static void take(struct stream *s, const struct watch_event *e)
{
    struct kept *k = kept_of(s->r, object_store_key(e->object));
    check_revision(s, k, e);
    check_gap(s, k, e);
    s->rev = e->rev;
    change(s, k, e->type == WATCH_DELETED ? NULL : object_ref(e->object), e->rev);
}

static void on_more(void *data)
{
    (void)data; /* we look by ourselves, so that a slow one is slow */
}

/* ---- a list ---- */

static void watch(struct stream *s)
{
    const struct watch_filter filter = {.resource = s->resource};
    watcher_free(TAKE_PTR(s->watcher));
    s->watcher = watcher_new(s->r->hub, &filter, s->rev, on_more, s);
}

static bool list_one(void *data, struct object *o)
{
    struct stream *s = data;
    struct kept *k = kept_of(s->r, object_store_key(o));
    if (k->object && !span_eq(object_uid(k->object), object_uid(o))) {
        change(s, k, NULL, s->rev);
    }
    if (!k->object || k->rev != object_rev(o)) {
        change(s, k, object_ref(o), object_rev(o));
    }
    k->round = s->round;
    return true;
}

/* What a client does whose history is gone: what the list lacks is gone too. */
static void list_again(struct stream *s)
{
    struct record *r = s->r;
    const struct watch_filter filter = {.resource = s->resource};
    size_t it = 0;
    struct kept *k;
    if (!r->handler.forgotten_rev || s->rev >= r->handler.forgotten_rev(r->handler.data)) {
        wrong(r, "watch", "events are gone that should be kept", s->resource, s->rev,
              watch_hub_rev(r->hub));
    }
    if (r->handler.on_forgotten) {
        r->handler.on_forgotten(r->handler.data);
    }
    s->round++;
    (void)watch_hub_list(r->hub, &filter, SPAN_NULL, list_one, s);
    s->rev = watch_hub_rev(r->hub);
    while ((k = map_next(&r->kept, &it, NULL))) {
        struct span rest = span_of(k->key, k->key_n);
        if (k->object && k->round != s->round && span_eq(span_cut(&rest, '/'), s->resource)) {
            change(s, k, NULL, s->rev);
        }
    }
    watch(s);
    assert(s->watcher);
}

/* ---- the watch ---- */

static void pull(struct stream *s)
{
    struct record *r = s->r;
    struct watch_event e;
    int rc;
    while ((rc = watcher_next(s->watcher, &e)) == 1) {
        if (!r->handler.on_event || r->handler.on_event(r->handler.data, &e)) {
            take(s, &e);
        }
    }
    if (rc < 0) {
        list_again(s);
    }
}

void record_pull(struct record *r)
{
    int64_t rev = r->hub ? watch_hub_rev(r->hub) : 0;
    if (rev == r->pulled_rev) {
        return; /* mostly: this is called at every step */
    }
    r->pulled_rev = rev;
    for (size_t i = 0; r->hub && i < RESOURCES; i++) {
        pull(&r->streams[i]);
    }
}

void record_connect(struct record *r, struct watch_hub *hub)
{
    for (size_t i = 0; i < RESOURCES; i++) {
        watcher_free(TAKE_PTR(r->streams[i].watcher));
    }
    r->hub = hub;
    r->is_new = true;
    r->pulled_rev = -1;
    if (hub && watch_hub_rev(hub) < r->hub_rev) {
        wrong(r, "acknowledged", "the server forgot revisions that it had told", SPAN("hub"),
              watch_hub_rev(hub), r->hub_rev);
        r->hub = NULL;
    }
    for (size_t i = 0; r->hub && i < RESOURCES; i++) {
        struct stream *s = &r->streams[i];
        watch(s);
        if (!s->watcher) {
            list_again(s);
        }
    }
}

struct comparison {
    struct record *r;
    size_t seen;
    struct kept **next; /* where the one is that the list had next, the last time */
};

/* What is kept of this one. Mostly the list goes on as it did the last time, with the very version
 * that was told: its key need not be looked up. */
static const struct kept *kept_in_list(struct comparison *c, struct object *o)
{
    struct kept *k = *c->next;
    if (!k || k->object != o) {
        k = map_get(&c->r->kept, object_store_key(o));
        *c->next = k;
    }
    c->next = k ? &k->next : c->next;
    return k;
}

static bool compare(void *data, struct object *o)
{
    struct comparison *c = data;
    const struct kept *k = kept_in_list(c, o);
    c->seen++;
    bool known = k && k->object && k->rev == object_rev(o);
    if (known && k->object != o && c->r->is_new &&
        !span_eq(object_json(k->object), object_json(o))) {
        wrong(c->r, "acknowledged", "the server came back with another object", object_store_key(o),
              object_rev(o), k->rev);
    }
    if (!known) {
        wrong(c->r, "list", "the list has what the watch did not tell", object_store_key(o),
              object_rev(o), k ? k->rev : 0);
    }
    return true;
}

void record_check(struct record *r)
{
    record_pull(r);
    if (!r->hub) {
        return;
    }
    if (watch_hub_rev(r->hub) < r->hub_rev) {
        wrong(r, "revision", "the server's revision fell", SPAN("hub"), watch_hub_rev(r->hub),
              r->hub_rev);
    }
    if (watch_hub_rev(r->hub) == r->hub_rev && !r->is_new) {
        return; /* nothing has happened since the lists were compared */
    }
    r->hub_rev = watch_hub_rev(r->hub);
    for (size_t i = 0; i < RESOURCES; i++) {
        struct stream *s = &r->streams[i];
        struct comparison c = {.r = r, .next = &s->first};
        const struct watch_filter filter = {.resource = s->resource};
        (void)watch_hub_list(r->hub, &filter, SPAN_NULL, compare, &c);
        if (c.seen != s->live) {
            wrong(r, "list", "the list lacks what the watch told", s->resource, (int64_t)c.seen,
                  (int64_t)s->live);
        }
    }
    r->is_new = false;
}

struct object *record_get(const struct record *r, struct span key)
{
    const struct kept *k = map_get(&r->kept, key);
    return k ? k->object : NULL;
}

int64_t record_rev(const struct record *r, struct span key, int64_t *ret_before)
{
    const struct kept *k = map_get(&r->kept, key);
    if (ret_before) {
        *ret_before = k ? k->before : 0;
    }
    return k ? k->rev : 0;
}

void record_each(const struct record *r, struct span resource,
                 void (*fn)(void *data, struct object *o), void *data)
{
    size_t it = 0;
    struct kept *k;
    while ((k = map_next(&r->kept, &it, NULL))) {
        struct span rest = span_of(k->key, k->key_n);
        if (k->object && span_eq(span_cut(&rest, '/'), resource)) {
            fn(data, k->object);
        }
    }
}

bool record_has_resource(struct span resource)
{
    for (size_t i = 0; i < RESOURCES; i++) {
        if (span_eq(resource, resources[i])) {
            return true;
        }
    }
    return false;
}

struct record *record_new(const struct record_handler *handler)
{
    struct record *r = MEM_NEW(struct record);
    assert(handler->on_wrong);
    r->handler = *handler;
    for (size_t i = 0; i < RESOURCES; i++) {
        r->streams[i] = (struct stream){.r = r, .resource = resources[i]};
    }
    return r;
}

static void kept_free(void *value)
{
    struct kept *k = value;
    object_unref(k->object);
    free(k);
}

void record_free(struct record *r)
{
    if (!r) {
        return;
    }
    record_connect(r, NULL);
    map_done_values(&r->kept, kept_free);
    free(r);
}
