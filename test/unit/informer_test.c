/* test/unit/informer_test.c: client/informer, client/informer_set. */
#include "client/informer.h"

#include "base/strbuf.h"
#include "client/client_body.h"
#include "client/informer_set.h"
#include "kit/kit.h"
#include "schema/schema.h"
#include "sim/env_sim.h"
#include "sim/fake_client.h"

struct bed {
    struct env *env;
    struct fake_client *api;
    struct informer *informer;
    char log[512];
    int synced;
};

static void on_change(void *data, struct object *old, struct object *now)
{
    struct bed *b = data;
    size_t n = strlen(b->log);
    snprintf(b->log + n, sizeof b->log - n, "%c%.*s ",
             !old   ? '+'
             : !now ? '-'
                    : '~',
             SPAN_ARG(object_name(now ? now : old)));
}

static void on_synced(void *data)
{
    ((struct bed *)data)->synced++;
}

static void bed_init(struct bed *b)
{
    *b = (struct bed){.env = env_sim_new(1)};
    b->api = fake_client_new(b->env);
}

static void watch(struct bed *b)
{
    struct client_request all = {CLIENT_REQUEST_INIT, .verb = CLIENT_LIST};
    all.kind = schema_kind_find("", "ConfigMap");
    b->informer = informer_new(fake_client_base(b->api), &all);
}

static void bed_done(struct bed *b)
{
    informer_free(b->informer);
    fake_client_free(b->api);
    env_sim_free(b->env);
}

static void map(struct bed *b, const char *name)
{
    char json[256];
    snprintf(json, sizeof json,
             "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\"}}", name);
    fake_client_create(b->api, json);
}

static const struct informer_handler handler = {on_change};

TEST(informer_shows_what_is_there_then_what_changes)
{
    struct bed b;
    bed_init(&b);
    map(&b, "a");
    watch(&b);
    informer_add_handler(b.informer, &handler, &b);
    informer_on_synced(b.informer, on_synced, &b);
    CHECK(!informer_synced(b.informer));
    env_sim_run_for(b.env, 0);
    CHECK(informer_synced(b.informer));
    CHECK_EQ(b.synced, 1);
    map(&b, "b");
    fake_client_patch(b.api, "", "ConfigMap", "default", "a", "", "{\"data\":{\"x\":\"1\"}}");
    CHECK(!informer_get(b.informer, SPAN("default"), SPAN("b")));
    env_sim_run_for(b.env, 0);
    fake_client_delete(b.api, "", "ConfigMap", "default", "b", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.env, 0);
    CHECK_SPAN(span_cstr(b.log), "+a +b ~a -b ");
    CHECK_EQ(informer_count(b.informer), 1);
    bed_done(&b);
}

TEST(informer_late_handler_is_told_everything_once)
{
    struct bed b;
    bed_init(&b);
    watch(&b);
    map(&b, "a");
    env_sim_run_for(b.env, 0);
    informer_add_handler(b.informer, &handler, &b);
    map(&b,
        "b"); /* its event comes before or after the late handler's turn: told once either way */
    informer_on_synced(b.informer, on_synced, &b);
    env_sim_run_for(b.env, 0);
    CHECK_EQ(strlen(b.log), 6);
    CHECK_EQ(b.synced, 1);
    informer_remove_handler(b.informer, &b);
    map(&b, "c");
    env_sim_run_for(b.env, 0);
    CHECK_EQ(strlen(b.log), 6);
    bed_done(&b);
}

struct listener {
    int *clock;
    int told, at, synced;
};

static void on_told(void *data, struct object *old, struct object *now)
{
    struct listener *l = data;
    (void)old;
    (void)now;
    l->told++;
    l->at = ++*l->clock;
}

static void on_listener_synced(void *data)
{
    ((struct listener *)data)->synced++;
}

/* More of them than an informer has room for, which is used again. */
TEST(informer_tells_all_that_come_and_go_in_their_order)
{
    enum { ALL = 6, ROUNDS = 12 };
    static const struct informer_handler told = {on_told};
    struct bed b;
    bed_init(&b);
    watch(&b);
    map(&b, "a");
    env_sim_run_for(b.env, 0);
    int clock = 0;
    struct listener all[ALL];
    for (int i = 0; i < ALL; i++) {
        all[i] = (struct listener){.clock = &clock};
        informer_add_handler(b.informer, &told, &all[i]);
        informer_on_synced(b.informer, on_listener_synced, &all[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        env_sim_run_for(b.env, 0);
        struct listener *first = &all[round * 5 % ALL], *second = &all[(round * 5 + 2) % ALL];
        informer_remove_handler(b.informer, first);
        informer_remove_handler(b.informer, second);
        *first = *second = (struct listener){.clock = &clock};
        informer_add_handler(b.informer, &told, second);
        informer_on_synced(b.informer, on_listener_synced, second);
        informer_add_handler(b.informer, &told, first);
        informer_on_synced(b.informer, on_listener_synced, first);
        env_sim_run_for(b.env, 0);
        fake_client_patch(b.api, "", "ConfigMap", "default", "a", "", "{\"data\":{\"x\":\"1\"}}");
        env_sim_run_for(b.env, 0);
        CHECK(first->at == clock && second->at == clock - 1);
        for (int i = 0; i < ALL; i++) {
            CHECK_EQ(all[i].synced, 1);
            CHECK(all[i].told >= 1 && all[i].at > clock - ALL);
        }
    }
    bed_done(&b);
}

static bool count_one(void *data, struct object *o)
{
    (void)o;
    (*(int *)data)++;
    return true;
}

static int indexed(struct bed *b, int index, const char *key)
{
    int n = 0;
    informer_index_each(b->informer, index, span_cstr(key), count_one, &n);
    return n;
}

static void by_label(struct object *o, void (*emit)(void *ctx, struct span key), void *ctx)
{
    JSON_EACH(it, json_path(object_root(o), "metadata", "labels", NULL))
    {
        emit(ctx, json_str(it.val));
    }
}

TEST(informer_index_follows_the_objects)
{
    struct bed b;
    bed_init(&b);
    map(&b, "a");
    watch(&b);
    env_sim_run_for(b.env, 0);
    int ns = informer_add_index(b.informer,
                                informer_by_namespace); /* after the objects: built from them */
    int label = informer_add_index(b.informer, by_label);
    CHECK_EQ(informer_add_index(b.informer, by_label), label);
    CHECK_EQ(indexed(&b, ns, "default"), 1);
    fake_client_patch(b.api, "", "ConfigMap", "default", "a", "",
                      "{\"metadata\":{\"labels\":{\"x\":\"1\",\"y\":\"2\"}}}");
    map(&b, "b");
    env_sim_run_for(b.env, 0);
    CHECK_EQ(indexed(&b, ns, "default"), 2);
    CHECK_EQ(indexed(&b, label, "1"), 1);
    CHECK_EQ(indexed(&b, label, "2"), 1);
    fake_client_patch(b.api, "", "ConfigMap", "default", "a", "",
                      "{\"metadata\":{\"labels\":{\"x\":\"3\",\"y\":null}}}");
    env_sim_run_for(b.env, 0);
    CHECK_EQ(indexed(&b, label, "1") + indexed(&b, label, "2"), 0);
    CHECK_EQ(indexed(&b, label, "3"), 1);
    fake_client_delete(b.api, "", "ConfigMap", "default", "a", -1, CLIENT_PROPAGATION_DEFAULT);
    env_sim_run_for(b.env, 0);
    CHECK_EQ(indexed(&b, label, "3"), 0);
    CHECK_EQ(indexed(&b, ns, "default"), 1);
    bed_done(&b);
}

/* Each of the labels is emitted twice. */
static void by_label_twice(struct object *o, void (*emit)(void *ctx, struct span key), void *ctx)
{
    by_label(o, emit, ctx);
    by_label(o, emit, ctx);
}

TEST(informer_index_knows_every_key_of_an_object_with_many)
{
    enum { LABELS = 40 };
    struct bed b;
    bed_init(&b);
    map(&b, "a");
    watch(&b);
    int label = informer_add_index(b.informer, by_label_twice);
    struct strbuf patch = STRBUF_INIT;
    strbuf_puts(&patch, "{\"metadata\":{\"labels\":{\"l0\":\"v0\"");
    for (int i = 1; i < LABELS; i++) {
        strbuf_printf(&patch, ",\"l%d\":\"v%d\"", i, i);
    }
    strbuf_puts(&patch, "}}}");
    fake_client_patch(b.api, "", "ConfigMap", "default", "a", "", patch.p);
    env_sim_run_for(b.env, 0);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < LABELS; i++) {
            char key[8];
            snprintf(key, sizeof key, "v%d", i);
            CHECK_EQ(indexed(&b, label, key), i != 7 || round == 0);
        }
        fake_client_patch(b.api, "", "ConfigMap", "default", "a", "",
                          "{\"metadata\":{\"labels\":{\"l7\":\"new\"}}}");
        env_sim_run_for(b.env, 0);
        CHECK_EQ(indexed(&b, label, "new"), 1);
    }
    strbuf_done(&patch);
    bed_done(&b);
}

TEST(informer_index_is_right_after_any_order_of_changes)
{
    struct bed b;
    bed_init(&b);
    watch(&b);
    int label = informer_add_index(b.informer, by_label);
    enum { N = 40 };
    int held[N]; /* bits: the keys of each; -1: absent */
    memset(held, 0xff, sizeof held);
    uint32_t r = 12345;
    for (int step = 0; step < 2000; step++) {
        r = r * 1664525u + 1013904223u;
        int at = (int)(r >> 16) % N, bits = (int)(r >> 8) % 16;
        char name[8], json[160];
        (void)snprintf(name, sizeof name, "m%d", at);
        if (held[at] < 0) {
            map(&b, name);
        } else if (bits == 15) {
            fake_client_delete(b.api, "", "ConfigMap", "default", name, -1,
                               CLIENT_PROPAGATION_DEFAULT);
        }
        held[at] = held[at] >= 0 && bits == 15 ? -1 : bits;
        if (held[at] >= 0) { /* w and z are the same key: it counts once */
            (void)snprintf(json, sizeof json,
                           "{\"metadata\":{\"labels\":{\"w\":%s,\"x\":%s,\"y\":%s,\"z\":%s}}}",
                           bits & 1 ? "\"0\"" : "null", bits & 2 ? "\"1\"" : "null",
                           bits & 4 ? "\"2\"" : "null", bits & 8 ? "\"0\"" : "null");
            fake_client_patch(b.api, "", "ConfigMap", "default", name, "", json);
        }
        env_sim_run_for(b.env, 0);
        int want[3] = {0};
        for (int i = 0; i < N; i++) {
            want[0] += held[i] >= 0 && (held[i] & 9);
            want[1] += held[i] >= 0 && (held[i] & 2);
            want[2] += held[i] >= 0 && (held[i] & 4);
        }
        CHECK_EQ(indexed(&b, label, "0"), want[0]);
        CHECK_EQ(indexed(&b, label, "1"), want[1]);
        CHECK_EQ(indexed(&b, label, "2"), want[2]);
    }
    bed_done(&b);
}

TEST(informer_wait_ends_when_the_view_shows_the_write)
{
    struct bed b;
    bed_init(&b);
    fake_client_event_delay(b.api, 10);
    watch(&b);
    env_sim_run_for(b.env, 0);
    map(&b, "a");
    struct object *o = fake_client_get(b.api, "", "ConfigMap", "default", "a");
    informer_wait(b.informer, object_rev(o), SPAN_NULL, SPAN_NULL, SPAN_NULL, on_synced, &b);
    env_sim_run_for(b.env, 9);
    CHECK_EQ(b.synced, 0);
    env_sim_run_for(b.env, 2);
    CHECK_EQ(b.synced, 1);
    informer_wait(b.informer, object_rev(o), SPAN_NULL, SPAN_NULL, SPAN_NULL, on_synced, &b);
    CHECK_EQ(b.synced, 2); /* shown already: at once */
    char uid[64];
    snprintf(uid, sizeof uid, "%.*s", SPAN_ARG(object_uid(o)));
    fake_client_delete(b.api, "", "ConfigMap", "default", "a", -1, CLIENT_PROPAGATION_DEFAULT);
    informer_wait(b.informer, 0, SPAN("default"), SPAN("a"), span_cstr(uid), on_synced, &b);
    CHECK_EQ(b.synced, 2);
    env_sim_run_for(b.env, 20);
    CHECK_EQ(b.synced, 3);
    /* A delete of a revision that no event tells: a list has shown that it is gone (sim seed
     * 2501543: the sync waited for ten seconds). */
    informer_wait(b.informer, 1 << 20, SPAN("default"), SPAN("a"), span_cstr(uid), on_synced, &b);
    CHECK_EQ(b.synced, 4);
    informer_wait(b.informer, 1 << 20, SPAN_NULL, SPAN_NULL, SPAN_NULL, on_synced, &b);
    informer_remove_handler(b.informer, &b); /* forgotten */
    env_sim_run_for(b.env, 20);
    CHECK_EQ(b.synced, 4);
    bed_done(&b);
}

/* A client whose one watch the test tells by hand. */
struct by_hand {
    struct client base;
    struct client_watch watch;
    struct client_watch_handler fns;
    void *data;
};

static struct client_watch *hand_watch(struct client *c, const struct client_request *selection,
                                       const struct client_watch_handler *fns, void *data)
{
    struct by_hand *h = CONTAINER_OF(c, struct by_hand, base);
    (void)selection;
    h->watch.client = c;
    h->fns = *fns;
    h->data = data;
    return &h->watch;
}

static void hand_watch_free(struct client_watch *w)
{
    (void)w;
}

static void hand_tell(struct by_hand *h, enum client_event_type type, const char *name, int64_t rev)
{
    struct arena *a = arena_new();
    struct object *o = object_new(
        arena_printf(a, "configmaps/default/%s", name), rev,
        arena_printf(a, "{\"metadata\":{\"namespace\":\"default\",\"name\":\"%s\"}}", name));
    h->fns.on_event(h->data, type, o);
    object_unref(o);
    arena_free(a);
}

/* sim seed 10093079: what a sync made was deleted while the watch was broken off, and the sync
 * waited for its event for ten seconds. */
TEST(informer_wait_ends_with_a_list_of_a_later_moment_and_not_in_its_midst)
{
    static const struct client_ops ops = {.watch_new = hand_watch, .watch_free = hand_watch_free};
    struct bed b = {.env = env_sim_new(1)};
    struct by_hand h = {.base = {.ops = &ops, .env = b.env}};
    const struct client_request all = {.kind = schema_kind_find("", "ConfigMap")};
    b.informer = informer_new(&h.base, &all);
    hand_tell(&h, CLIENT_ADDED, "a", 7);
    h.fns.on_list(h.data, 9);
    h.fns.on_synced(h.data);
    informer_wait(b.informer, 10, SPAN_NULL, SPAN_NULL, SPAN_NULL, on_synced, &b); /* "b" */
    informer_wait(b.informer, 12, SPAN_NULL, SPAN_NULL, SPAN_NULL, on_synced, &b); /* "c" */
    h.fns.on_list(h.data, 0);
    hand_tell(&h, CLIENT_MODIFIED, "a", 13); /* "c" comes after it, and "b" is gone again */
    CHECK_EQ(b.synced, 0);
    hand_tell(&h, CLIENT_ADDED, "c", 12);
    CHECK_EQ(b.synced, 0);
    h.fns.on_list(h.data, 14);
    CHECK_EQ(b.synced, 2);
    informer_wait(b.informer, 15, SPAN_NULL, SPAN_NULL, SPAN_NULL, on_synced, &b);
    hand_tell(&h, CLIENT_ADDED, "d", 15); /* events are in order again */
    CHECK_EQ(b.synced, 3);
    informer_free(b.informer);
    env_sim_free(b.env);
}

TEST(informer_set_shares_one_informer_a_kind)
{
    struct bed b;
    bed_init(&b);
    struct informer_set *s = informer_set_new(fake_client_base(b.api));
    b.informer = NULL;
    struct informer *i = informer_set_find(s, "", "ConfigMap");
    CHECK(i == informer_set_find(s, "", "ConfigMap"));
    CHECK(i != informer_set_find(s, "", "Secret"));
    informer_set_on_synced(s, on_synced, &b);
    CHECK(!informer_set_synced(s));
    env_sim_run_for(b.env, 0);
    CHECK(informer_set_synced(s));
    CHECK_EQ(b.synced, 1);
    informer_set_free(s);
    bed_done(&b);
}
