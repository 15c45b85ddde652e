/* Answers that rest on writes which are not durable yet: they wait for them, and are decided again
 * when the commit fails. Nobody is told of what a crash could still undo. */
#include <errno.h>

#include "schema/kinds.h"
#include "test/kit/api_kit.h"

enum { CALLS = 4 };

struct world {
    struct api_kit k;
    bool fails; /* the next commit does, once */
    int answered;
    bool done;
    struct call {
        struct world *w;
        enum err_reason reason;
        int order;        /* 0: not answered */
        bool was_settled; /* when it was answered */
    } calls[CALLS];
    int count;
};

static int on_commit(void *data, uint64_t number)
{
    struct world *w = data;
    (void)number;
    bool fails = w->fails;
    w->fails = false;
    return fails ? -EIO : 0;
}

static void world_start(struct world *w)
{
    struct store_memory_options slow = {.latency_ms = 30, .fail = on_commit, .data = w};
    *w = (struct world){0};
    api_kit_start_on(&w->k, &slow);
    (void)api_expect(&w->k, 201, "POST", "/api/v1/namespaces/default/configmaps", "",
                     "{\"metadata\":{\"name\":\"there\"}}");
}

static void on_reply(void *data, const struct client_reply *reply)
{
    struct call *c = data;
    CHECK_EQ(c->order, 0);
    c->reason = reply->err.reason;
    c->order = ++c->w->answered;
    c->was_settled = store_durable_rev(c->w->k.store) == store_latest_rev(c->w->k.store);
    c->w->done = c->w->answered == c->w->count;
}

static void ask(struct world *w, struct client_request q)
{
    CHECK(w->count < CALLS);
    struct call *c = &w->calls[w->count++];
    c->w = w;
    q.kind = q.kind ? q.kind : SCHEMA_KIND(ConfigMap);
    q.ns = q.ns.n || q.kind == SCHEMA_KIND(Namespace) ? q.ns : SPAN("default");
    q.grace_s = -1;
    client_do(w->k.client, &q, on_reply, c);
}

static void delete_it(struct world *w)
{
    ask(w, (struct client_request){.verb = CLIENT_DELETE, .name = SPAN("there")});
}

static void create(struct world *w, const char *name)
{
    char body[64];
    (void)snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"%s\"}}", name);
    ask(w, (struct client_request){.verb = CLIENT_CREATE, .body = span_cstr(body)});
}

static void settle(struct world *w)
{
    api_run_until(&w->k, &w->done);
}

TEST(not_found_waits_for_the_delete_that_it_rests_on)
{
    struct world w;
    world_start(&w);
    delete_it(&w);
    delete_it(&w);
    ask(&w, (struct client_request){
                .verb = CLIENT_PATCH_MERGE, .name = SPAN("there"), .body = SPAN("{\"data\":{}}")});
    settle(&w);
    CHECK_EQ(w.calls[0].reason, ERR_NONE);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(w.calls[i].order, i + 1);
        CHECK(w.calls[i].was_settled);
        CHECK_EQ(w.calls[i].reason, i ? ERR_NOT_FOUND : ERR_NONE);
    }
    api_kit_stop(&w.k);
}

TEST(already_exists_and_nothing_to_change_wait_for_the_create)
{
    struct world w;
    world_start(&w);
    create(&w, "new");
    create(&w, "new");
    ask(&w, (struct client_request){
                .verb = CLIENT_PATCH_MERGE, .name = SPAN("new"), .body = SPAN("{\"data\":{}}")});
    settle(&w);
    const enum err_reason reasons[] = {ERR_NONE, ERR_ALREADY_EXISTS, ERR_NONE};
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(w.calls[i].reason, reasons[i]);
        CHECK_EQ(w.calls[i].order, i + 1);
        CHECK(w.calls[i].was_settled);
    }
    api_kit_stop(&w.k);
}

TEST(a_failed_commit_takes_the_answers_back_that_rest_on_it)
{
    struct world w;
    world_start(&w);
    w.fails = true;
    delete_it(&w); /* is not stored */
    delete_it(&w); /* would have been not found: is decided again */
    create(&w, "there");
    settle(&w);
    CHECK_EQ(w.calls[0].reason, ERR_INTERNAL);
    CHECK_EQ(w.calls[1].reason, ERR_NONE);
    CHECK_EQ(w.calls[2].reason, ERR_INTERNAL);
    (void)api_expect(&w.k, 404, "GET", "/api/v1/namespaces/default/configmaps/there", "", NULL);
    api_kit_stop(&w.k);
}

TEST(a_namespace_that_is_not_durable_yet_holds_answers_about_it)
{
    struct world w;
    world_start(&w);
    w.fails = true;
    ask(&w, (struct client_request){.verb = CLIENT_CREATE,
                                    .kind = SCHEMA_KIND(Namespace),
                                    .body = SPAN("{\"metadata\":{\"name\":\"n\"}}")});
    /* Its name is wrong, which only a namespace that exists would have told. */
    ask(&w, (struct client_request){.verb = CLIENT_CREATE,
                                    .ns = SPAN("n"),
                                    .body = SPAN("{\"metadata\":{\"name\":\"A\"}}")});
    settle(&w);
    CHECK_EQ(w.calls[0].reason, ERR_INTERNAL);
    CHECK_EQ(w.calls[1].reason, ERR_NOT_FOUND);
    api_kit_stop(&w.k);
}
