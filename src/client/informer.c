/* client/informer.c: see informer.h.
 *
 * One entry an object, found by "NAMESPACE/NAME"; an index is a map from key to a bucket of
 * entries. An update swaps the object inside its entry, so buckets change only when the index keys
 * do. */
#include "client/informer.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/strbuf.h"
#include "base/vec.h"

enum { INDEX_MAX = 8 };

struct entry {
    struct object *object;
    size_t key_n;
    char key[];
};

struct bucket {
    VEC(struct entry *) entries;
    size_t key_n;
    char key[];
};

struct index {
    informer_key_fn *key_fn;
    struct map buckets;
};

struct handler {
    struct list link;
    struct informer *informer;
    struct informer_handler fns;
    void *data;
    bool fresh; /* has not been told the existing objects yet */
    struct env_task task;
};

struct synced_fn {
    struct list link;
    struct informer *informer;
    void (*fn)(void *data);
    void *data;
    struct env_task task;
};

struct wait {
    struct list link;
    int64_t rev;
    struct span ns, name, uid; /* in text */
    void (*fn)(void *data);
    void *data;
    char text[];
};

struct informer {
    struct client *client;
    struct client_watch *watch;
    struct map entries;
    struct index index[INDEX_MAX];
    int index_count;
    struct list handlers, synced_fns, waits;
    struct strbuf key; /* scratch for lookups */
    bool synced;
    int64_t rev;
};

/* ---- indexes ---- */

struct key_list {
    struct span at[16];
    size_t n;
    struct strbuf bytes; /* the keys back to back: a key function may emit temporary bytes */
    size_t ends[16];
};

static void key_list_emit(void *ctx, struct span key)
{
    struct key_list *l = ctx;
    if (l->n < sizeof l->at / sizeof l->at[0]) {
        strbuf_put(&l->bytes, key);
        l->ends[l->n++] = l->bytes.n;
    }
}

static void key_list_of(struct index *x, struct object *o, struct key_list *l)
{
    *l = (struct key_list){.bytes = STRBUF_INIT};
    if (o) {
        x->key_fn(o, key_list_emit, l);
    }
    size_t from = 0;
    for (size_t i = 0; i < l->n; i++) {
        l->at[i] = span_of(l->bytes.p + from, l->ends[i] - from);
        from = l->ends[i];
    }
}

static bool key_list_equal(const struct key_list *a, const struct key_list *b)
{
    bool equal = a->n == b->n;
    for (size_t i = 0; equal && i < a->n; i++) {
        equal = span_eq(a->at[i], b->at[i]);
    }
    return equal;
}

static void bucket_add(struct index *x, struct span key, struct entry *e)
{
    struct bucket *b = map_get(&x->buckets, key);
    if (!b) {
        b = mem_new(sizeof *b + key.n + 1);
        b->key_n = key.n;
        if (key.n) {
            memcpy(b->key, key.p, key.n);
        }
        map_put(&x->buckets, span_of(b->key, b->key_n), b);
    }
    VEC_PUSH(&b->entries, e);
}

static void bucket_remove(struct index *x, struct span key, struct entry *e)
{
    struct bucket *b = map_get(&x->buckets, key);
    assert(b);
    size_t i = b->entries.n;
    while (i > 0 && b->entries.at[i - 1] != e) {
        i--;
    }
    assert(i > 0);
    b->entries.at[i - 1] = b->entries.at[--b->entries.n];
    if (b->entries.n == 0) {
        map_remove(&x->buckets, key);
        VEC_DONE(&b->entries);
        free(b);
    }
}

static void reindex(struct informer *inf, struct entry *e, struct object *old, struct object *now)
{
    for (int i = 0; i < inf->index_count; i++) {
        struct index *x = &inf->index[i];
        struct key_list was, is;
        key_list_of(x, old, &was);
        key_list_of(x, now, &is);
        if (!key_list_equal(&was, &is)) {
            for (size_t k = 0; k < was.n; k++) {
                bucket_remove(x, was.at[k], e);
            }
            for (size_t k = 0; k < is.n; k++) {
                bucket_add(x, is.at[k], e);
            }
        }
        strbuf_done(&was.bytes);
        strbuf_done(&is.bytes);
    }
}

/* ---- events ---- */

static struct span key_of(struct informer *i, struct span ns, struct span name)
{
    strbuf_clear(&i->key);
    strbuf_put(&i->key, ns);
    strbuf_putc(&i->key, '/');
    strbuf_put(&i->key, name);
    return strbuf_span(&i->key);
}

static void tell(struct informer *i, struct object *old, struct object *now)
{
    LIST_EACH(it, &i->handlers)
    {
        struct handler *h = CONTAINER_OF(it, struct handler, link);
        if (!h->fresh) {
            h->fns.on_change(h->data, old, now);
        }
    }
}

static bool wait_over(struct informer *i, const struct wait *w)
{
    if (w->rev > 0) {
        return i->rev >= w->rev;
    }
    struct object *o = informer_get(i, w->ns, w->name);
    return !o || !span_eq(object_uid(o), w->uid) || object_is_deleting(o);
}

static void check_waits(struct informer *i)
{
    for (struct list *it = i->waits.next; it != &i->waits;) {
        struct wait *w = CONTAINER_OF(it, struct wait, link);
        if (!wait_over(i, w)) {
            it = it->next;
            continue;
        }
        list_remove(&w->link);
        w->fn(w->data);
        free(w);
        it = i->waits.next; /* fn may have added or removed others */
    }
}

void informer_wait(struct informer *i, int64_t rev, struct span ns, struct span name,
                   struct span uid, void (*fn)(void *data), void *data)
{
    struct wait *w = mem_new(sizeof *w + ns.n + name.n + uid.n + 1);
    w->rev = rev;
    w->fn = fn;
    w->data = data;
    struct span *parts[] = {&w->ns, &w->name, &w->uid};
    struct span given[] = {ns, name, uid};
    char *at = w->text;
    for (size_t k = 0; k < 3; k++) {
        memcpy(at, given[k].n ? given[k].p : "", given[k].n);
        *parts[k] = span_of(at, given[k].n);
        at += given[k].n;
    }
    if (wait_over(i, w)) {
        free(w);
        fn(data);
        return;
    }
    list_push_back(&i->waits, &w->link);
}

static void on_event(void *data, enum client_event_type type, struct object *object)
{
    struct informer *i = data;
    if (object_rev(object) > i->rev) {
        i->rev = object_rev(object);
    }
    struct span key = key_of(i, object_namespace(object), object_name(object));
    struct entry *e = map_get(&i->entries, key);
    struct object *old = e ? e->object : NULL;
    if (type == CLIENT_DELETED) {
        if (!e) {
            check_waits(i);
            return;
        }
        reindex(i, e, old, NULL);
        map_remove(&i->entries, key);
        free(e);
        /* The deletion's state is told as `old`: it carries the newest status and the revision of
         * the delete. */
        tell(i, object, NULL);
        object_unref(old);
        check_waits(i);
        return;
    }
    if (!e) {
        e = mem_new(sizeof *e + key.n + 1);
        e->key_n = key.n;
        memcpy(e->key, key.p, key.n);
        map_put(&i->entries, span_of(e->key, e->key_n), e);
    }
    e->object = object_ref(object);
    reindex(i, e, old, object);
    tell(i, old, object);
    object_unref(old);
    check_waits(i);
}

static void run_synced(struct env_task *task)
{
    struct synced_fn *s = CONTAINER_OF(task, struct synced_fn, task);
    void (*fn)(void *) = s->fn;
    void *data = s->data;
    list_remove(&s->link);
    free(s);
    fn(data);
}

static void on_synced(void *data)
{
    struct informer *i = data;
    if (i->synced) {
        return;
    }
    i->synced = true;
    LIST_EACH(it, &i->synced_fns)
    {
        struct synced_fn *s = CONTAINER_OF(it, struct synced_fn, link);
        env_post(i->client->env, &s->task, run_synced);
    }
}

/* ---- life ---- */

struct informer *informer_new(struct client *c, const struct client_request *selection)
{
    struct informer *i = MEM_NEW(struct informer);
    i->client = c;
    list_init(&i->handlers);
    list_init(&i->synced_fns);
    list_init(&i->waits);
    static const struct client_watch_handler handler = {on_event, on_synced};
    i->watch = client_watch_new(c, selection, &handler, i);
    return i;
}

void informer_free(struct informer *i)
{
    if (!i) {
        return;
    }
    client_watch_free(i->watch);
    LIST_EACH(it, &i->handlers)
    {
        struct handler *h = CONTAINER_OF(it, struct handler, link);
        env_post_cancel(i->client->env, &h->task);
        free(h);
    }
    LIST_EACH(it, &i->synced_fns)
    {
        struct synced_fn *s = CONTAINER_OF(it, struct synced_fn, link);
        env_post_cancel(i->client->env, &s->task);
        free(s);
    }
    LIST_EACH(it, &i->waits)
    {
        free(CONTAINER_OF(it, struct wait, link));
    }
    size_t pos = 0;
    struct entry *e;
    while ((e = map_next(&i->entries, &pos, NULL))) {
        object_unref(e->object);
        free(e);
    }
    map_done(&i->entries);
    for (int x = 0; x < i->index_count; x++) {
        pos = 0;
        struct bucket *b;
        while ((b = map_next(&i->index[x].buckets, &pos, NULL))) {
            VEC_DONE(&b->entries);
            free(b);
        }
        map_done(&i->index[x].buckets);
    }
    strbuf_done(&i->key);
    free(i);
}

static void tell_existing(struct env_task *task)
{
    struct handler *h = CONTAINER_OF(task, struct handler, task);
    h->fresh = false;
    size_t pos = 0;
    struct entry *e;
    while ((e = map_next(&h->informer->entries, &pos, NULL))) {
        h->fns.on_change(h->data, NULL, e->object);
    }
}

void informer_add_handler(struct informer *i, const struct informer_handler *handler, void *data)
{
    assert(handler->on_change);
    struct handler *h = MEM_NEW(struct handler);
    h->informer = i;
    h->fns = *handler;
    h->data = data;
    list_push_back(&i->handlers, &h->link);
    if (i->entries.n > 0) {
        h->fresh = true;
        env_post(i->client->env, &h->task, tell_existing);
    }
}

void informer_remove_handler(struct informer *i, void *data)
{
    LIST_EACH(it, &i->handlers)
    {
        struct handler *h = CONTAINER_OF(it, struct handler, link);
        if (h->data == data) {
            env_post_cancel(i->client->env, &h->task);
            list_remove(&h->link);
            free(h);
        }
    }
    LIST_EACH(it, &i->synced_fns)
    {
        struct synced_fn *s = CONTAINER_OF(it, struct synced_fn, link);
        if (s->data == data) {
            env_post_cancel(i->client->env, &s->task);
            list_remove(&s->link);
            free(s);
        }
    }
    LIST_EACH(it, &i->waits)
    {
        struct wait *w = CONTAINER_OF(it, struct wait, link);
        if (w->data == data) {
            list_remove(&w->link);
            free(w);
        }
    }
}

bool informer_synced(const struct informer *i)
{
    return i->synced;
}

int64_t informer_rev(const struct informer *i)
{
    return i->rev;
}

size_t informer_count(const struct informer *i)
{
    return i->entries.n;
}

void informer_on_synced(struct informer *i, void (*fn)(void *data), void *data)
{
    struct synced_fn *s = MEM_NEW(struct synced_fn);
    s->informer = i;
    s->fn = fn;
    s->data = data;
    list_push_back(&i->synced_fns, &s->link);
    if (i->synced) {
        env_post(i->client->env, &s->task, run_synced);
    }
}

struct object *informer_get(struct informer *i, struct span ns, struct span name)
{
    struct entry *e = map_get(&i->entries, key_of(i, ns, name));
    return e ? e->object : NULL;
}

void informer_each(struct informer *i, bool (*fn)(void *data, struct object *o), void *data)
{
    size_t pos = 0;
    struct entry *e;
    while ((e = map_next(&i->entries, &pos, NULL)) && fn(data, e->object)) {
    }
}

int informer_add_index(struct informer *i, informer_key_fn *key_fn)
{
    for (int x = 0; x < i->index_count; x++) {
        if (i->index[x].key_fn == key_fn) {
            return x;
        }
    }
    assert(i->index_count < INDEX_MAX);
    struct index *x = &i->index[i->index_count];
    x->key_fn = key_fn;
    x->buckets = MAP_INIT;
    size_t pos = 0;
    struct entry *e;
    while ((e = map_next(&i->entries, &pos, NULL))) {
        struct key_list keys;
        key_list_of(x, e->object, &keys);
        for (size_t k = 0; k < keys.n; k++) {
            bucket_add(x, keys.at[k], e);
        }
        strbuf_done(&keys.bytes);
    }
    return i->index_count++;
}

void informer_index_each(struct informer *i, int index, struct span key,
                         bool (*fn)(void *data, struct object *o), void *data)
{
    assert(index >= 0 && index < i->index_count);
    struct bucket *b = map_get(&i->index[index].buckets, key);
    for (size_t k = 0; b && k < b->entries.n && fn(data, b->entries.at[k]->object); k++) {
    }
}
