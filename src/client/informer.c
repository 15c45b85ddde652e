/* client/informer.c: see informer.h.
 *
 * One entry an object, found by "NAMESPACE/NAME"; an index is a map from key to a bucket of
 * entries. An update swaps the object inside its entry, so buckets change only when the index keys
 * do. An entry knows its place in each bucket, and the bucket which of the entry's places that is:
 * to leave a bucket costs the same however many are in it. */
#include "client/informer.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/strbuf.h"
#include "base/vec.h"

enum { INDEX_MAX = 8, FEW_HANDLERS = 2 };

struct bucket;

struct place {
    struct bucket *bucket;
    uint32_t at; /* in bucket->members */
    uint32_t index;
};

enum { FEW_PLACES = 2 };

struct entry {
    struct object *object;
    struct place *places; /* few, as long as they do */
    uint32_t place_count, place_cap;
    struct place few[FEW_PLACES];
    size_t key_n;
    char key[];
};

struct member {
    struct entry *entry;
    uint32_t place; /* in entry->places */
};

struct bucket {
    VEC(struct member) members;
    size_t key_n;
    char key[];
};

struct index {
    informer_key_fn *key_fn;
    struct map buckets;
};

struct handler {
    struct list link;
    struct informer *informer; /* NULL: one of the few that is not used */
    struct informer_handler fns;
    void *data;
    bool fresh; /* has not been told the existing objects yet */
    struct env_task task;
};

struct synced_fn {
    struct list link;
    struct informer *informer; /* NULL: the first one, and not used */
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
    const struct schema_kind *kind;
    struct client_watch *watch;
    struct map entries;
    struct index index[INDEX_MAX];
    int index_count;
    struct list handlers, synced_fns, waits;
    struct handler few[FEW_HANDLERS]; /* most informers have no more, and one to tell: */
    struct synced_fn first_synced;
    struct strbuf key; /* scratch for lookups, and for the keys of an index */
    bool synced;
    bool listing; /* what is told is in no order */
    int64_t rev;  /* the view shows all up to it */
    int64_t list_rev;
};

/* ---- indexes ---- */

void informer_by_namespace(struct object *o, void (*emit)(void *ctx, struct span key), void *ctx)
{
    assert(o);
    assert(emit);
    emit(ctx, object_namespace(o));
}

/* More keys than these are rare: they cost memory and a sort. */
enum { FEW_KEYS = 16 };

struct key_list {
    struct span *at;
    size_t n;
    struct strbuf *bytes; /* the keys back to back: a key function may emit temporary bytes */
    VEC(size_t) ends;     /* of those after the first few */
    size_t few_ends[FEW_KEYS];
    struct span few[FEW_KEYS];
};

/* A key counts once, however often it is emitted: of many, key_list_of() sees to it. */
static void key_list_emit(void *ctx, struct span key)
{
    struct key_list *l = ctx;
    size_t from = 0;
    for (size_t i = 0; i < l->n && i < FEW_KEYS; i++) {
        if (span_eq(key, span_of(l->bytes->p + from, l->few_ends[i] - from))) {
            return;
        }
        from = l->few_ends[i];
    }
    strbuf_put(l->bytes, key);
    if (l->n < FEW_KEYS) {
        l->few_ends[l->n] = l->bytes->n;
    } else {
        VEC_PUSH(&l->ends, l->bytes->n);
    }
    l->n++;
}

static int by_key(const void *a, const void *b)
{
    return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

/* scratch: for the bytes, while the list is used. */
static void key_list_of(struct index *x, struct object *o, struct strbuf *scratch,
                        struct key_list *l)
{
    strbuf_clear(scratch);
    l->n = 0;
    l->bytes = scratch;
    l->ends.at = NULL;
    l->ends.n = l->ends.cap = 0;
    x->key_fn(o, key_list_emit, l);
    l->at = l->n > FEW_KEYS ? mem_new(l->n * sizeof *l->at) : l->few;
    size_t from = 0;
    for (size_t i = 0; i < l->n; i++) {
        size_t end = i < FEW_KEYS ? l->few_ends[i] : l->ends.at[i - FEW_KEYS];
        l->at[i] = span_of(l->bytes->p + from, end - from);
        from = end;
    }
    assert(from == l->bytes->n);
    if (l->n > FEW_KEYS) {
        size_t count = l->n;
        qsort(l->at, count, sizeof *l->at, by_key);
        l->n = 1;
        for (size_t i = 1; i < count; i++) {
            if (!span_eq(l->at[i], l->at[l->n - 1])) {
                l->at[l->n++] = l->at[i];
            }
        }
    }
}

static void key_list_done(struct key_list *l)
{
    if (l->at != l->few) {
        free(l->at);
    }
    VEC_DONE(&l->ends);
}

static void more_places(struct entry *e)
{
    struct place *own = e->places == e->few ? NULL : e->places;
    assert(e->place_cap >= FEW_PLACES);
    assert(own || e->place_cap == FEW_PLACES);
    e->place_cap += 4;
    e->places = mem_grow(own, e->place_cap, sizeof *e->places);
    if (!own) {
        memcpy(e->places, e->few, sizeof e->few);
    }
}

static void bucket_add(struct informer *inf, uint32_t index, struct span key, struct entry *e)
{
    struct map *buckets = &inf->index[index].buckets;
    struct map_slot *slot = map_seek(buckets, key);
    struct bucket *b = slot->value;
    if (!b) {
        b = mem_new(sizeof *b + key.n + 1);
        b->key_n = key.n;
        if (key.n) {
            memcpy(b->key, key.p, key.n);
        }
        map_fill(buckets, slot, span_of(b->key, b->key_n), b);
    }
    if (e->place_count == e->place_cap) {
        more_places(e);
    }
    assert(b->members.n < UINT32_MAX);
    assert(span_eq(span_of(b->key, b->key_n), key));
    assert(e->object);
    assert(index < INDEX_MAX);
    e->places[e->place_count] = (struct place){b, (uint32_t)b->members.n, index};
    VEC_PUSH(&b->members, ((struct member){e, e->place_count}));
    e->place_count++;
}

/* Both lists are closed up by their last element, which is told its new position. */
static void bucket_remove(struct informer *inf, struct entry *e, uint32_t place)
{
    assert(place < e->place_count);
    struct place gone = e->places[place];
    struct bucket *b = gone.bucket;
    assert(gone.at < b->members.n);
    assert(gone.index < INDEX_MAX);
    assert(b->members.at[gone.at].entry == e);
    assert(b->members.at[gone.at].place == place);
    struct member last = b->members.at[--b->members.n];
    if (gone.at < b->members.n) {
        b->members.at[gone.at] = last;
        last.entry->places[last.place].at = gone.at;
    }
    if (place < --e->place_count) {
        struct place moved = e->places[e->place_count];
        e->places[place] = moved;
        moved.bucket->members.at[moved.at].place = place;
    }
    if (b->members.n == 0) {
        struct bucket *known =
            map_remove(&inf->index[gone.index].buckets, span_of(b->key, b->key_n));
        assert(known == b);
        VEC_DONE(&b->members);
        free(b);
    }
}

/* Whether the entry is in the buckets of these keys and in no other of this index. */
static bool is_indexed(const struct entry *e, uint32_t index, const struct key_list *keys)
{
    size_t found = 0;
    for (uint32_t i = 0; i < e->place_count; i++) {
        const struct bucket *b = e->places[i].bucket;
        bool same = false;
        for (size_t k = 0; k < keys->n && e->places[i].index == index && !same; k++) {
            same = span_eq(keys->at[k], span_of(b->key, b->key_n));
        }
        if (e->places[i].index == index && !same) {
            return false;
        }
        found += same;
    }
    return found == keys->n;
}

static void unindex(struct informer *inf, struct entry *e, uint32_t index)
{
    for (uint32_t i = e->place_count; i-- > 0;) {
        if (e->places[i].index == index) {
            bucket_remove(inf, e, i);
        }
    }
}

static void reindex(struct informer *inf, struct entry *e, uint32_t index)
{
    assert(e->object);
    assert(inf->index[index].key_fn);
    struct key_list keys;
    key_list_of(&inf->index[index], e->object, &inf->key, &keys);
    /* To compare many keys with many buckets costs more than to take it out and put it in. */
    if (keys.n > FEW_KEYS || !is_indexed(e, index, &keys)) {
        unindex(inf, e, index);
        for (size_t k = 0; k < keys.n; k++) {
            bucket_add(inf, index, keys.at[k], e);
        }
    }
    key_list_done(&keys);
}

static void entry_free(struct entry *e)
{
    assert(e->place_count <= e->place_cap);
    if (e->places != e->few) {
        free(e->places);
    }
    free(e);
}

/* ---- who is told ---- */

static struct handler *handler_new(struct informer *i)
{
    struct handler *h = NULL;
    for (size_t k = FEW_HANDLERS; k-- > 0;) {
        h = i->few[k].informer ? h : &i->few[k];
    }
    h = h ? h : MEM_NEW(struct handler);
    assert(!h->informer);
    assert(!h->data);
    return h;
}

static void handler_free(struct handler *h)
{
    struct informer *i = h->informer;
    assert(i);
    assert(!list_is_empty(&h->link));
    env_post_cancel(i->client->env, &h->task);
    list_remove(&h->link);
    if (h >= i->few && h < i->few + FEW_HANDLERS) {
        *h = (struct handler){0};
    } else {
        free(h);
    }
}

static void synced_fn_free(struct synced_fn *s)
{
    struct informer *i = s->informer;
    assert(i);
    env_post_cancel(i->client->env, &s->task);
    list_remove(&s->link);
    if (s == &i->first_synced) {
        *s = (struct synced_fn){0};
    } else {
        free(s);
    }
}

/* ---- events ---- */

static void tell(struct informer *i, struct object *old, struct object *now)
{
    assert(old || now);
    assert(!old || !now || span_eq(object_name(old), object_name(now)));
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
    if (w->rev > 0 && (i->rev >= w->rev || w->name.n == 0)) {
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
    assert(fn);
    assert(rev >= 0);
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

/* Each entry and its buckets know each other, and no bucket has anything else. */
static void informer_verify(const struct informer *i)
{
    if (!verify_due((uint64_t)i->rev, i->entries.n)) {
        return;
    }
    size_t places = 0, members = 0, it = 0;
    for (const struct entry *e; (e = map_next(&i->entries, &it, NULL)); places += e->place_count) {
        assert(e->object);
        assert(e->key[object_namespace(e->object).n] == '/');
        for (uint32_t k = 0; k < e->place_count; k++) {
            const struct place *p = &e->places[k];
            assert(p->index < (uint32_t)i->index_count);
            assert(p->at < p->bucket->members.n);
            assert(p->bucket->members.at[p->at].entry == e);
            assert(p->bucket->members.at[p->at].place == k);
        }
    }
    for (int x = 0; x < i->index_count; x++) {
        it = 0;
        for (const struct bucket *b; (b = map_next(&i->index[x].buckets, &it, NULL));) {
            assert(b->members.n > 0);
            members += b->members.n;
        }
    }
    assert(places == members);
}

static void on_event(void *data, enum client_event_type type, struct object *object)
{
    struct informer *i = data;
    if (!i->listing && object_rev(object) > i->rev) {
        i->rev = object_rev(object);
    }
    struct span key = object_place(object);
    assert(key.n > 0);
    bool stays = type != CLIENT_DELETED;
    struct map_slot *slot = stays ? map_seek(&i->entries, key) : map_find(&i->entries, key);
    struct entry *e = slot ? slot->value : NULL;
    struct object *old = e ? e->object : NULL;
    assert(object);
    assert(!e || e->object);
    informer_verify(i);
    if (!stays) {
        if (!e) {
            check_waits(i);
            return;
        }
        while (e->place_count > 0) {
            bucket_remove(i, e, e->place_count - 1);
        }
        struct entry *known = map_remove(&i->entries, key);
        assert(known == e);
        assert(e->place_count == 0);
        entry_free(e);
        /* The deletion's state is told as `old`: it carries the newest status and the revision of
         * the delete. */
        object_take_sketch(object, old);
        tell(i, object, NULL);
        object_unref(old);
        check_waits(i);
        return;
    }
    if (!e) {
        e = mem_new(sizeof *e + key.n + 1);
        e->places = e->few;
        e->place_cap = FEW_PLACES;
        e->key_n = key.n;
        memcpy(e->key, key.p, key.n);
        map_fill(&i->entries, slot, span_of(e->key, e->key_n), e);
    }
    e->object = object_ref(object);
    /* Index keys and handlers look at a version once; most are never looked at again. */
    struct object_glance past = object_glance_begin(old), present = object_glance_begin(object);
    for (int x = 0; x < i->index_count; x++) {
        if (!old || i->index[x].key_fn != informer_by_namespace) { /* which is in the entry's key */
            reindex(i, e, (uint32_t)x);
        }
    }
    tell(i, old, object);
    object_glance_end(&past);
    object_glance_end(&present);
    object_unref(old);
    check_waits(i);
}

static void run_synced(struct env_task *task)
{
    struct synced_fn *s = CONTAINER_OF(task, struct synced_fn, task);
    void (*fn)(void *) = s->fn;
    void *data = s->data;
    assert(s->informer->synced);
    assert(fn);
    synced_fn_free(s);
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

/* A write may show in a list by nothing: what it made is gone again. */
static void on_list(void *data, int64_t rev)
{
    struct informer *i = data;
    assert(rev >= 0);
    i->listing = rev == 0;
    i->list_rev = rev ? rev : i->list_rev;
    i->rev = rev > i->rev ? rev : i->rev;
    check_waits(i);
}

/* ---- life ---- */

struct informer *informer_new(struct client *c, const struct client_request *selection)
{
    assert(c);
    assert(selection->kind);
    struct informer *i = MEM_NEW(struct informer);
    i->client = c;
    i->kind = selection->kind;
    i->listing = true;
    list_init(&i->handlers);
    list_init(&i->synced_fns);
    list_init(&i->waits);
    static const struct client_watch_handler handler = {on_event, on_synced, on_list};
    i->watch = client_watch_new(c, selection, &handler, i);
    return i;
}

static void entry_drop(void *value)
{
    struct entry *e = value;
    object_unref(e->object);
    entry_free(e);
}

static void bucket_free(void *value)
{
    struct bucket *b = value;
    VEC_DONE(&b->members);
    free(b);
}

void informer_free(struct informer *i)
{
    if (!i) {
        return;
    }
    client_watch_free(i->watch);
    LIST_EACH(it, &i->handlers)
    {
        handler_free(CONTAINER_OF(it, struct handler, link));
    }
    LIST_EACH(it, &i->synced_fns)
    {
        synced_fn_free(CONTAINER_OF(it, struct synced_fn, link));
    }
    LIST_EACH(it, &i->waits)
    {
        free(CONTAINER_OF(it, struct wait, link));
    }
    map_done_values(&i->entries, entry_drop);
    for (int x = 0; x < i->index_count; x++) {
        map_done_values(&i->index[x].buckets, bucket_free);
    }
    strbuf_done(&i->key);
    free(i);
}

static void tell_existing(struct env_task *task)
{
    struct handler *h = CONTAINER_OF(task, struct handler, task);
    assert(h->fresh);
    h->fresh = false;
    size_t pos = 0;
    struct entry *e;
    while ((e = map_next(&h->informer->entries, &pos, NULL))) {
        struct object_glance glance = object_glance_begin(e->object);
        h->fns.on_change(h->data, NULL, e->object);
        object_glance_end(&glance);
    }
}

void informer_add_handler(struct informer *i, const struct informer_handler *handler, void *data)
{
    assert(handler->on_change);
    struct handler *h = handler_new(i);
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
    assert(data);
    LIST_EACH(it, &i->handlers)
    {
        struct handler *h = CONTAINER_OF(it, struct handler, link);
        if (h->data == data) {
            handler_free(h);
        }
    }
    LIST_EACH(it, &i->synced_fns)
    {
        struct synced_fn *s = CONTAINER_OF(it, struct synced_fn, link);
        if (s->data == data) {
            synced_fn_free(s);
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

const struct schema_kind *informer_kind(const struct informer *i)
{
    assert(i);
    return i->kind;
}

int64_t informer_list_rev(const struct informer *i)
{
    assert(i->list_rev <= i->rev);
    return i->list_rev;
}

bool informer_synced(const struct informer *i)
{
    assert(i);
    return i->synced;
}

size_t informer_count(const struct informer *i)
{
    assert(i);
    return i->entries.n;
}

void informer_on_synced(struct informer *i, void (*fn)(void *data), void *data)
{
    assert(fn);
    bool first = !i->first_synced.informer;
    struct synced_fn *s = first ? &i->first_synced : MEM_NEW(struct synced_fn);
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
    assert(i);
    struct entry *e = map_get(&i->entries, object_place_of(&i->key, ns, name));
    assert(!e || e->object);
    return e ? e->object : NULL;
}

void informer_each(struct informer *i, bool (*fn)(void *data, struct object *o), void *data)
{
    assert(fn);
    size_t pos = 0;
    struct entry *e;
    while ((e = map_next(&i->entries, &pos, NULL)) && fn(data, e->object)) {
    }
}

int informer_add_index(struct informer *i, informer_key_fn *key_fn)
{
    assert(key_fn);
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
        reindex(i, e, (uint32_t)i->index_count);
    }
    return i->index_count++;
}

void informer_index_each(struct informer *i, int index, struct span key,
                         bool (*fn)(void *data, struct object *o), void *data)
{
    assert(index >= 0);
    assert(index < i->index_count);
    if (i->index[index].buckets.n == 0) {
        return; /* nobody has a key: so of most kinds, which the garbage collector asks them all */
    }
    struct bucket *b = map_get(&i->index[index].buckets, key);
    for (size_t k = 0; b && k < b->members.n && fn(data, b->members.at[k].entry->object); k++) {
    }
}
