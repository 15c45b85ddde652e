#include <stdlib.h>

#include "base/check.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/vec.h"
#include "kit/kit.h"
#include "sim/env_sim.h"
#include "store/store_priv.h"
#include "watch/watch.h"

enum { RESOURCES = 3, SPACES = 4, NAMES = 6, OBJECTS = RESOURCES * SPACES * NAMES };

/* "nodes" has no namespaces. "b" is a prefix of "b-2": '-' sorts before '/'. */
static const char *const resources[RESOURCES] = {"pods", "statefulsets.apps", "nodes"};
static const char *const spaces[SPACES] = {"a", "b", "b-2", "c"};

struct version {
    int64_t rev;
    int object, value; /* value -1: deleted */
};

struct world {
    struct env *env;
    struct store *store;
    struct store_memory_disk *disk;
    struct watch_hub *hub;
    VEC(struct version) log;
    int value[OBJECTS]; /* -1: absent */
    int64_t rev[OBJECTS];
    size_t history_limit;
    int outstanding;
};

struct put {
    struct store_write w;
    struct world *world;
    char key[80], body[160];
    int object, value;
};

static struct span key_text(char buf[80], int object)
{
    int r = object / (SPACES * NAMES);
    return span_of(buf,
                   (size_t)snprintf(buf, 80, "%s/%s/n%d", resources[r],
                                    r == 2 ? "" : spaces[object / NAMES % SPACES],
                                    object % NAMES + (r == 2 ? object / NAMES % SPACES * 10 : 0)));
}

static int value_of(struct object *o)
{
    const char *at = strstr(object_json(o).p, "\"v\":");
    return at ? (int)strtol(at + 4, NULL, 10) : -2;
}

static void open_world(struct world *w)
{
    w->store = store_memory_open(w->env, w->disk, NULL);
    if (w->history_limit) {
        w->store->history_limit = w->history_limit;
    }
    w->hub = watch_hub_new(w->env, w->store);
}

static struct world *world_new(void)
{
    struct world *w = MEM_NEW(struct world);
    w->env = env_sim_new(kit_random());
    w->disk = store_memory_disk_new();
    for (int i = 0; i < OBJECTS; i++) {
        w->value[i] = -1;
    }
    open_world(w);
    return w;
}

static void close_world(struct world *w)
{
    watch_hub_free(w->hub);
    store_free(w->store);
}

static void world_free(struct world *w)
{
    close_world(w);
    store_memory_disk_free(w->disk);
    env_sim_free(w->env);
    VEC_DONE(&w->log);
    free(w);
}

static void on_done(struct store_write *sw, int code, struct object *object)
{
    struct put *p = CONTAINER_OF(sw, struct put, w);
    struct world *w = p->world;
    CHECK_EQ(code, 0);
    VEC_PUSH(&w->log, ((struct version){object_rev(object), p->object, p->value}));
    w->value[p->object] = p->value;
    w->rev[p->object] = object_rev(object);
    CHECK(watch_hub_rev(w->hub) >= object_rev(object)); /* the hub hears first */
    w->outstanding--;
    free(p);
}

/* value -1 deletes. */
static void put(struct world *w, int object, int value)
{
    struct put *p = MEM_NEW(struct put);
    p->world = w;
    p->object = object;
    p->value = value;
    int shown = value;
    if (value < 0) {
        char key[80];
        struct object *last = store_peek(w->store, key_text(key, object));
        CHECK(last);
        shown = value_of(last);
    }
    int n = snprintf(p->body, sizeof p->body,
                     "{\"kind\":\"X\",\"apiVersion\":\"v1\",\"metadata\":{},\"v\":%d}", shown);
    p->w = (struct store_write){.key = key_text(p->key, object),
                                .expect_rev = STORE_ANY,
                                .is_delete = value < 0,
                                .body = span_of(p->body, (size_t)n),
                                .done = on_done};
    w->outstanding++;
    store_submit(w->store, &p->w);
}

static void settle(struct world *w)
{
    for (int i = 0; i < 10 && w->outstanding; i++) {
        env_sim_run_for(w->env, 1);
    }
    env_sim_run_for(w->env, 0);
    CHECK_EQ(w->outstanding, 0);
}

static void random_writes(struct world *w, int n)
{
    for (int i = 0; i < n; i++) {
        char key[80];
        int object = (int)(kit_random() % OBJECTS);
        bool present = store_peek(w->store, key_text(key, object)) != NULL;
        put(w, object, present && kit_random() % 3 == 0 ? -1 : (int)(kit_random() % 1000));
    }
    settle(w);
}

/* ---- filters ---- */

static bool is_even(void *data, struct object *o)
{
    (void)data;
    return value_of(o) % 2 == 0;
}

struct choice {
    struct watch_filter filter;
    char ns[8], name[8];
};

static struct choice random_choice(void)
{
    struct choice c = {0};
    uint64_t r = kit_random() % RESOURCES;
    c.filter.resource = span_cstr(resources[r]);
    if (r != 2 && kit_random() % 2) {
        snprintf(c.ns, sizeof c.ns, "%s", spaces[kit_random() % SPACES]);
    }
    if (kit_random() % 3 == 0) {
        snprintf(c.name, sizeof c.name, "n%d", (int)(kit_random() % NAMES));
    }
    c.filter.match = kit_random() % 2 ? is_even : NULL;
    return c;
}

static const struct watch_filter *filter_of(struct choice *c)
{
    c->filter.ns = span_cstr(c->ns);
    c->filter.name = span_cstr(c->name);
    return &c->filter;
}

static bool in_choice(const struct choice *c, int object, int value)
{
    char buf[80];
    struct span resource, ns, name;
    CHECK(object_key_split(key_text(buf, object), &resource, &ns, &name));
    return value >= 0 && span_eq(resource, c->filter.resource) &&
           (!c->ns[0] || span_eq_cstr(ns, c->ns)) && (!c->name[0] || span_eq_cstr(name, c->name)) &&
           (!c->filter.match || value % 2 == 0);
}

/* ---- lists ---- */

struct listing {
    VEC(struct object *) found;
    size_t limit;
};

static bool on_list(void *data, struct object *o)
{
    struct listing *l = data;
    VEC_PUSH(&l->found, o);
    return l->found.n % l->limit != 0;
}

static void check_list(struct world *w, struct choice *c)
{
    struct listing l = {.limit = 1 + kit_random() % 30};
    struct span after = {0};
    for (;;) {
        size_t before = l.found.n;
        size_t n = watch_hub_list(w->hub, filter_of(c), after, on_list, &l);
        CHECK_EQ(l.found.n - before, n);
        if (n < l.limit) {
            break;
        }
        after = object_store_key(l.found.at[l.found.n - 1]);
    }
    size_t want = 0;
    for (int i = 0; i < OBJECTS; i++) {
        want += in_choice(c, i, w->value[i]);
    }
    CHECK_EQ(l.found.n, want);
    for (size_t i = 0; i < l.found.n; i++) {
        CHECK(i == 0 ||
              span_cmp(object_store_key(l.found.at[i - 1]), object_store_key(l.found.at[i])) < 0);
    }
    VEC_DONE(&l.found);
}

TEST(lists_and_gets_are_the_committed_state_in_key_order)
{
    struct world *w = world_new();
    CHECK_EQ(watch_hub_rev(w->hub), 1);
    for (int round = 0; round < 60; round++) {
        random_writes(w, 20);
        size_t count[RESOURCES] = {0};
        for (int i = 0; i < OBJECTS; i++) {
            char key[80];
            struct object *o = watch_hub_get(w->hub, key_text(key, i));
            CHECK_EQ(o != NULL, w->value[i] >= 0);
            CHECK(!o || (value_of(o) == w->value[i] && object_rev(o) == w->rev[i]));
            count[i / (SPACES * NAMES)] += o != NULL;
        }
        for (int r = 0; r < RESOURCES; r++) {
            CHECK_EQ(watch_hub_count(w->hub, span_cstr(resources[r])), count[r]);
        }
        for (int i = 0; i < 20; i++) {
            struct choice c = random_choice();
            check_list(w, &c);
        }
        if (round % 10 == 9) {
            close_world(w);
            open_world(w);
        }
    }
    world_free(w);
}

TEST(uncommitted_writes_are_not_seen)
{
    struct world *w = world_new();
    char key[80];
    put(w, 0, 5);
    CHECK(store_peek(w->store, key_text(key, 0)));
    CHECK(!watch_hub_get(w->hub, key_text(key, 0)));
    CHECK_EQ(watch_hub_rev(w->hub), 1);
    settle(w);
    CHECK(watch_hub_get(w->hub, key_text(key, 0)));
    CHECK_EQ(watch_hub_rev(w->hub), 2);
    world_free(w);
}

/* ---- watchers against the model ---- */

struct client {
    struct choice choice;
    struct watcher *watcher;
    int value[OBJECTS]; /* what the client believes; -1: absent */
    int64_t rev;
    int told;       /* on_more calls not yet followed by a drain */
    bool said_none; /* the last watcher_next returned 0 */
};

static void on_more(void *data)
{
    struct client *c = data;
    CHECK(c->said_none);
    c->said_none = false;
    c->told++;
}

/* The model's state at a revision, seen through the filter. */
static void client_begin(struct world *w, struct client *c, int64_t from)
{
    for (int i = 0; i < OBJECTS; i++) {
        c->value[i] = -1;
    }
    for (size_t i = 0; i < w->log.n && w->log.at[i].rev <= from; i++) {
        int object = w->log.at[i].object, value = w->log.at[i].value;
        c->value[object] = in_choice(&c->choice, object, value) ? value : -1;
    }
    c->rev = from;
    c->watcher = watcher_new(w->hub, filter_of(&c->choice), from, on_more, c);
}

static int object_number(struct object *o)
{
    char buf[80];
    for (int i = 0; i < OBJECTS; i++) {
        if (span_eq(object_store_key(o), key_text(buf, i))) {
            return i;
        }
    }
    return -1;
}

static void client_apply(struct client *c, const struct watch_event *e)
{
    CHECK(e->rev > c->rev);
    CHECK_EQ(object_rev(e->object), e->rev);
    c->rev = e->rev;
    int i = object_number(e->object), value = value_of(e->object);
    CHECK(in_choice(&c->choice, i, value));
    if (e->type == WATCH_ADDED) {
        CHECK_EQ(c->value[i], -1);
        c->value[i] = value;
    } else if (e->type == WATCH_MODIFIED) {
        CHECK(c->value[i] >= 0);
        c->value[i] = value;
    } else {
        CHECK_EQ(e->type, WATCH_DELETED);
        CHECK_EQ(c->value[i], value); /* the last matching state */
        c->value[i] = -1;
    }
}

/* Takes up to max events; returns the last code. */
static int client_drain(struct client *c, int max)
{
    struct watch_event e;
    int code = 1;
    for (int i = 0; i < max && (code = watcher_next(c->watcher, &e)) == 1; i++) {
        client_apply(c, &e);
    }
    c->said_none = code == 0;
    return code;
}

static void check_client_is_current(struct world *w, struct client *c)
{
    for (int i = 0; i < OBJECTS; i++) {
        CHECK_EQ(c->value[i], in_choice(&c->choice, i, w->value[i]) ? w->value[i] : -1);
    }
    CHECK_EQ(watcher_rev(c->watcher), watch_hub_rev(w->hub));
}

TEST(a_watcher_from_any_revision_arrives_at_the_model)
{
    struct world *w = world_new();
    for (int round = 0; round < 15; round++) {
        random_writes(w, 40);
        if (round % 4 == 3) {
            close_world(w);
            open_world(w);
        }
        for (int64_t from = 1; from <= watch_hub_rev(w->hub);
             from += 1 + (int64_t)(kit_random() % 9)) {
            struct client c = {.choice = random_choice()};
            client_begin(w, &c, from);
            CHECK(c.watcher);
            CHECK_EQ(client_drain(&c, 100000), 0);
            check_client_is_current(w, &c);
            watcher_free(c.watcher);
        }
    }
    world_free(w);
}

/* Clients of all speeds; the window is short. One that is told it is lost has really lost events.
 */
TEST_T(live_watchers_have_no_gap_and_are_lost_only_when_events_are, 60)
{
    enum { CLIENTS = 60 };
    struct world *w = world_new();
    w->history_limit = 120;
    close_world(w);
    open_world(w);
    static struct client clients[CLIENTS];
    int lost = 0, finished = 0;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].choice = random_choice();
        client_begin(w, &clients[i], watch_hub_rev(w->hub));
        CHECK(clients[i].watcher);
    }
    for (int round = 0; round < 300; round++) {
        random_writes(w, 1 + (int)(kit_random() % 30));
        for (int i = 0; i < CLIENTS; i++) {
            struct client *c = &clients[i];
            if (i % 3 == 0 ? kit_random() % 20 != 0 : i % 3 == 1 && kit_random() % 3 != 0) {
                continue; /* slow */
            }
            int code = client_drain(c, i % 3 == 0 ? 40 : 1000);
            if (code == E_LIMIT) {
                lost++;
                CHECK(watcher_rev(c->watcher) < store_compact_rev(w->store));
                struct watch_event e;
                CHECK_EQ(watcher_next(c->watcher, &e), E_LIMIT);
                watcher_free(c->watcher);
                client_begin(w, c, watch_hub_rev(w->hub));
                c->said_none = false;
                CHECK(c->watcher);
            } else if (code == 0) {
                finished++;
                check_client_is_current(w, c);
            }
        }
    }
    kit_note("%d drained, %d lost", finished, lost);
    CHECK(lost > 0 && finished > 1000);
    for (int i = 0; i < CLIENTS; i++) {
        watcher_free(clients[i].watcher);
    }
    world_free(w);
}

TEST(on_more_comes_once_and_only_for_matching_events)
{
    struct world *w = world_new();
    struct client a = {0}, b = {0}, n = {0}, even = {0};
    a.choice.filter.resource = b.choice.filter.resource = n.choice.filter.resource =
        even.choice.filter.resource = SPAN("pods");
    snprintf(a.choice.ns, 8, "a");
    snprintf(b.choice.ns, 8, "b");
    snprintf(n.choice.name, 8, "n3");
    even.choice.filter.match = is_even;
    struct client *all[] = {&a, &b, &n, &even};
    for (int i = 0; i < 4; i++) {
        client_begin(w, all[i], 1);
        CHECK_EQ(client_drain(all[i], 10), 0);
    }
    put(w, 1, 7); /* pods/a/n1, odd */
    settle(w);
    CHECK(a.told == 1 && b.told == 0 && n.told == 0 && even.told == 0);
    put(w, 1, 9);
    put(w, 2, 8); /* pods/a/n2 */
    settle(w);
    CHECK(a.told == 1 && even.told == 1); /* not told twice before it has drained */
    put(w, NAMES + 3, 7);                 /* pods/b/n3 */
    put(w, SPACES * NAMES + 3, 8);        /* statefulsets.apps/a/n3 */
    settle(w);
    CHECK(a.told == 1 && b.told == 1 && n.told == 1 && even.told == 1);
    put(w, 2, 9); /* leaves the even filter */
    settle(w);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(client_drain(all[i], 10), 0);
        check_client_is_current(w, all[i]);
        watcher_free(all[i]->watcher);
    }
    world_free(w);
}

TEST(a_watcher_may_be_freed_in_on_more_and_before_it)
{
    struct world *w = world_new();
    struct client c[2] = {0};
    for (int i = 0; i < 2; i++) {
        c[i].choice.filter.resource = SPAN("pods");
        client_begin(w, &c[i], 1);
        CHECK_EQ(client_drain(&c[i], 1), 0);
    }
    put(w, 0, 1);
    store_start_commit(w->store);
    settle(w);
    watcher_free(c[0].watcher);
    watcher_free(c[1].watcher);
    world_free(w);
}

TEST(a_revision_in_the_future_is_waited_for)
{
    struct world *w = world_new();
    struct client c = {0};
    c.choice.filter.resource = SPAN("pods");
    client_begin(w, &c, 4);
    CHECK_EQ(client_drain(&c, 1), 0);
    CHECK_EQ(watcher_rev(c.watcher), 4);
    for (int i = 0; i < 3; i++) {
        put(w, i, i); /* revisions 2, 3, 4 */
        settle(w);
    }
    CHECK_EQ(c.told, 0);
    put(w, 3, 3);
    settle(w);
    CHECK_EQ(c.told, 1);
    struct watch_event e;
    CHECK_EQ(watcher_next(c.watcher, &e), 1);
    CHECK_EQ(e.rev, 5);
    CHECK_EQ(watcher_next(c.watcher, &e), 0);
    watcher_free(c.watcher);
    world_free(w);
}

TEST(a_quiet_resource_can_be_watched_from_before_the_compaction_of_a_busy_one)
{
    struct world *w = world_new();
    w->history_limit = 10;
    close_world(w);
    open_world(w);
    put(w, 0, 1); /* pods */
    settle(w);
    int64_t quiet = watch_hub_rev(w->hub);
    for (int i = 0; i < 50; i++) {
        put(w, SPACES * NAMES, i);
        settle(w);
    }
    CHECK(store_compact_rev(w->store) > quiet);
    struct watch_filter pods = {.resource = SPAN("pods")},
                        sets = {.resource = SPAN("statefulsets.apps")};
    struct client c = {0};
    c.choice.filter = pods;
    struct watcher *pod = watcher_new(w->hub, &pods, quiet, on_more, &c);
    CHECK(pod);
    struct watch_event e;
    CHECK_EQ(watcher_next(pod, &e), 0);
    CHECK_EQ(watcher_rev(pod), watch_hub_rev(w->hub));
    int64_t compact = store_compact_rev(w->store);
    CHECK(!watcher_new(w->hub, &sets, compact - 1, on_more, &c));
    struct watcher *set = watcher_new(w->hub, &sets, compact, on_more, &c);
    CHECK(set);
    CHECK_EQ(watcher_next(set, &e), 1);
    CHECK_EQ(e.rev, compact + 1);
    watcher_free(set);
    watcher_free(pod);
    close_world(w); /* after a restart nobody knows what was compacted: gone */
    open_world(w);
    CHECK(!watcher_new(w->hub, &pods, compact - 1, on_more, &c));
    pod = watcher_new(w->hub, &pods, compact, on_more, &c);
    CHECK(pod);
    watcher_free(pod);
    world_free(w);
}

static void count_more(void *data)
{
    ++*(int *)data;
}

TEST_T(ten_thousand_idle_watchers_cost_an_event_nothing, 60)
{
    enum { WATCHERS = 10000 };
    struct world *w = world_new();
    static struct watcher *watchers[WATCHERS];
    static int told[WATCHERS];
    for (int i = 0; i < WATCHERS; i++) {
        char ns[16];
        snprintf(ns, sizeof ns, i == 0 ? "a" : "other-%d", i);
        struct watch_filter f = {.resource = SPAN("pods"), .ns = span_cstr(ns)};
        watchers[i] = watcher_new(w->hub, &f, 1, count_more, &told[i]);
        struct watch_event e;
        CHECK_EQ(watcher_next(watchers[i], &e), 0);
    }
    int events = 0;
    for (int i = 0; i < 20000; i++) {
        put(w, i % NAMES, i);
        if (i % 50 == 49) {
            settle(w);
            struct watch_event e;
            while (watcher_next(watchers[0], &e) == 1) {
                events++;
            }
        }
    }
    CHECK_EQ(events, 20000);
    CHECK_EQ(told[0], 400);
    for (int i = 1; i < WATCHERS; i++) {
        CHECK_EQ(told[i], 0);
        CHECK_EQ(watcher_rev(watchers[i]), watch_hub_rev(w->hub));
    }
    for (int i = 0; i < WATCHERS; i++) {
        watcher_free(watchers[i]);
    }
    world_free(w);
}
