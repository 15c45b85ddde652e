/* A watch in process that begins with many objects: told in turns of the loop, as of one moment. */
#include "client/client.h"
#include "schema/kinds.h"
#include "test/kit/api_kit.h"

#define MAPS "/api/v1/namespaces/default/configmaps"

enum { MANY = 700 };

struct seen {
    struct api_kit k;
    int state[MANY + 1]; /* times added less times deleted, of many-N */
    int told, modified, deleted, told_at_sync;
    int lists;
    int64_t list_rev; /* 0: a list is told */
    bool synced, first;
};

static int number(struct object *o)
{
    int64_t n = -1;
    CHECK(span_to_i64(span_from(object_name(o), 5), &n));
    CHECK(n >= 0 && n <= MANY);
    return (int)n;
}

static void on_event(void *data, enum client_event_type type, struct object *o)
{
    struct seen *s = data;
    if (!span_starts(object_name(o), SPAN("many-"))) {
        return;
    }
    s->told++;
    s->first = true;
    s->modified += type == CLIENT_MODIFIED;
    s->deleted += type == CLIENT_DELETED;
    s->state[number(o)] += type == CLIENT_ADDED ? 1 : type == CLIENT_DELETED ? -1 : 0;
}

static void on_synced(void *data)
{
    struct seen *s = data;
    s->synced = true;
    s->told_at_sync = s->told;
}

static void on_list(void *data, int64_t rev)
{
    struct seen *s = data;
    CHECK((rev == 0) == (s->list_rev > 0)); /* by turns, the first one's beginning apart */
    s->list_rev = rev;
    s->lists += rev > 0;
}

static const struct client_watch_handler handler = {on_event, on_synced, on_list};

static void make(struct api_kit *k, int i)
{
    char body[100];
    (void)snprintf(body, sizeof body,
                   "{\"metadata\":{\"name\":\"many-%d\",\"labels\":{\"even\":\"%d\"}}}", i,
                   i % 2 == 0);
    (void)api_expect(k, 201, "POST", MAPS, "", body);
}

static void start(struct seen *s)
{
    *s = (struct seen){0};
    api_kit_start(&s->k, NULL);
    for (int i = 0; i < MANY; i++) {
        make(&s->k, i);
    }
}

TEST_T(requests_are_answered_and_changes_kept_while_a_watch_is_told_what_is_there, 60)
{
    struct seen s;
    start(&s);
    const struct client_request all = {.kind = SCHEMA_KIND(ConfigMap), .grace_s = -1};
    struct client_watch *w = client_watch_new(s.k.client, &all, &handler, &s);
    api_run_until(&s.k, &s.first);
    CHECK(!s.synced); /* the first turn is over, and others had theirs */
    /* Both may come before, in between or after: what counts is what is known in the end. */
    (void)api_expect(&s.k, 200, "DELETE", MAPS "/many-699", "", NULL);
    (void)api_expect(&s.k, 200, "PATCH", MAPS "/many-0",
                     "Content-Type: application/merge-patch+json\r\n", "{\"data\":{\"a\":\"b\"}}");
    make(&s.k, MANY);
    api_run_until(&s.k, &s.synced);
    CHECK_EQ(s.told_at_sync, MANY); /* those of the moment when it began */
    api_run_ms(&s.k, 50);
    CHECK_EQ(s.modified, 1);
    CHECK_EQ(s.deleted, 1);
    for (int i = 0; i <= MANY; i++) {
        CHECK_EQ(s.state[i], i != 699);
    }
    client_watch_free(w);
    api_kit_stop(&s.k);
}

TEST_T(a_watch_with_a_selector_is_told_what_matches, 60)
{
    struct seen s;
    start(&s);
    const struct client_request even = {
        .kind = SCHEMA_KIND(ConfigMap), .label_selector = SPAN("even=1"), .grace_s = -1};
    struct client_watch *w = client_watch_new(s.k.client, &even, &handler, &s);
    api_run_until(&s.k, &s.synced);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(s.state[i], i % 2 == 0);
    }
    client_watch_free(w);
    api_kit_stop(&s.k);
}

TEST_T(a_watch_may_be_freed_while_it_is_told, 60)
{
    struct seen s;
    start(&s);
    const struct client_request all = {.kind = SCHEMA_KIND(ConfigMap), .grace_s = -1};
    struct client_watch *w = client_watch_new(s.k.client, &all, &handler, &s);
    api_run_until(&s.k, &s.first);
    client_watch_free(w);
    int told = s.told;
    api_run_ms(&s.k, 50);
    CHECK_EQ(s.told, told);
    CHECK(told > 0 && told < MANY);
    api_kit_stop(&s.k);
}

static void ask(struct seen *s, enum client_verb verb, const char *name, const char *body)
{
    const struct client_request rq = {CLIENT_REQUEST_INIT,
                                      .verb = verb,
                                      .kind = SCHEMA_KIND(ConfigMap),
                                      .ns = SPAN("default"),
                                      .name = span_cstr(name),
                                      .body = span_cstr(body)};
    client_do(s->k.client, &rq, NULL, NULL);
}

/* It was told as a change of the one before, whose end nobody heard of. */
TEST(a_watch_that_lists_again_tells_the_end_of_one_whose_name_another_has)
{
    struct seen s = {0};
    api_kit_start(&s.k, NULL);
    s.k.history_limit = 8;
    api_kit_restart(&s.k);
    make(&s.k, 0);
    make(&s.k, 1);
    const struct client_request all = {.kind = SCHEMA_KIND(ConfigMap), .grace_s = -1};
    struct client_watch *w = client_watch_new(s.k.client, &all, &handler, &s);
    api_run_until(&s.k, &s.synced);
    /* More at once than is kept: it falls behind. */
    ask(&s, CLIENT_DELETE, "many-0", "");
    ask(&s, CLIENT_CREATE, "", "{\"metadata\":{\"name\":\"many-0\"}}");
    for (int i = 0; i < 40; i++) {
        ask(&s, CLIENT_PATCH_MERGE, "many-1",
            i % 2 ? "{\"data\":{\"a\":\"1\"}}" : "{\"data\":{\"a\":\"2\"}}");
    }
    int64_t first_rev = s.list_rev;
    api_run_ms(&s.k, 200);
    CHECK(s.modified < 40);
    CHECK(s.lists > 1 && s.list_rev > first_rev);
    CHECK_EQ(s.deleted, 1);
    CHECK(s.state[0] == 1 && s.state[1] == 1);
    client_watch_free(w);
    api_kit_stop(&s.k);
}

TEST(a_watch_that_lists_again_tells_what_has_gone_and_nothing_of_what_stayed)
{
    struct seen s = {0};
    api_kit_start(&s.k, NULL);
    s.k.history_limit = 8;
    api_kit_restart(&s.k);
    for (int i = 0; i < 4; i++) {
        make(&s.k, i);
    }
    const struct client_request all = {.kind = SCHEMA_KIND(ConfigMap), .grace_s = -1};
    struct client_watch *w = client_watch_new(s.k.client, &all, &handler, &s);
    api_run_until(&s.k, &s.synced);
    for (int round = 1; round <= 2; round++) { /* what one list had says nothing to the next */
        char gone[8];
        int lists = s.lists, modified = s.modified;
        (void)snprintf(gone, sizeof gone, "many-%d", round);
        ask(&s, CLIENT_DELETE, gone, "");
        for (int i = 0; i < 40; i++) {
            ask(&s, CLIENT_PATCH_MERGE, "many-0",
                i % 2 ? "{\"data\":{\"a\":\"1\"}}" : "{\"data\":{\"a\":\"2\"}}");
        }
        api_run_ms(&s.k, 200);
        CHECK(s.lists > lists);
        CHECK(s.modified > modified && s.modified < modified + 40);
        CHECK_EQ(s.deleted, round);
        for (int i = 0; i < 4; i++) {
            CHECK_EQ(s.state[i], i == 0 || i > round);
        }
    }
    CHECK_EQ(s.told, 4 + s.modified + s.deleted);
    client_watch_free(w);
    api_kit_stop(&s.k);
}
