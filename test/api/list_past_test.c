/* Lists of earlier moments: exact revisions and pages, whatever has been written since, across a
 * restart and until the history is compacted; 410 only then. */
#include "store/store_priv.h"
#include "test/kit/api_kit.h"

#define CM "/api/v1/namespaces/default/configmaps"
#define MERGE "Content-Type: application/merge-patch+json\r\n"

static void make(struct api_kit *k, const char *name)
{
    char body[128];
    (void)snprintf(
        body, sizeof body,
        "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"v\":\"1\"}},\"data\":{\"v\":\"1\"}}", name);
    (void)api_expect(k, 201, "POST", CM, "", body);
}

static void change(struct api_kit *k, const char *name, const char *value)
{
    char path[128], body[128];
    (void)snprintf(path, sizeof path, CM "/%s", name);
    (void)snprintf(body, sizeof body,
                   "{\"metadata\":{\"labels\":{\"v\":\"%s\"}},\"data\":{\"v\":\"%s\"}}", value,
                   value);
    (void)api_expect(k, 200, "PATCH", path, MERGE, body);
}

static void drop(struct api_kit *k, const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, CM "/%s", name);
    (void)api_expect(k, 200, "DELETE", path, "", NULL);
}

static const char *exact(struct span rev, const char *more)
{
    char path[256];
    (void)snprintf(path, sizeof path, CM "?resourceVersion=%.*s%s", SPAN_ARG(rev), more);
    return api_text(span_cstr(path));
}

static const char *exact_number(int64_t rev)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)rev);
    return exact(span_cstr(text), "&resourceVersionMatch=Exact");
}

/* "name=value name=value" of the items. */
static const char *items(const struct api_reply *r)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    JSON_EACH(item, api_at(r->json, "items"))
    {
        strbuf_printf(&out, "%s%.*s=%.*s", out.n ? " " : "",
                      SPAN_ARG(json_str(api_at(item.val, "metadata.name"))),
                      SPAN_ARG(json_str(api_at(item.val, "data.v"))));
    }
    return api_text(strbuf_span(&out));
}

#define CHECK_ITEMS(r, want) CHECK_SPAN(span_cstr(items(&(r))), want)

/* a, b, c, d as made, then a changed twice, b deleted, c deleted and made anew, e new. */
static struct span past(struct api_kit *k)
{
    api_kit_start(k, NULL);
    const char *names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 4; i++) {
        make(k, names[i]);
    }
    struct api_reply r = api_get(k, CM);
    change(k, "a", "2");
    change(k, "a", "3");
    drop(k, "b");
    drop(k, "c");
    make(k, "c");
    make(k, "e");
    change(k, "c", "9");
    return api_str(&r, "metadata.resourceVersion");
}

TEST(a_list_of_an_exact_revision_shows_what_was)
{
    struct api_kit k;
    struct span rev = past(&k);
    for (int life = 0; life < 2; life++) {
        struct api_reply r = api_get(&k, CM);
        CHECK_ITEMS(r, "a=3 c=9 d=1 e=1");
        r = api_expect(&k, 200, "GET", exact(rev, "&resourceVersionMatch=Exact"), "", NULL);
        CHECK_ITEMS(r, "a=1 b=1 c=1 d=1");
        CHECK(span_eq(api_str(&r, "metadata.resourceVersion"), rev));
        r = api_expect(&k, 200, "GET", exact(rev, "&resourceVersionMatch=NotOlderThan"), "", NULL);
        CHECK_ITEMS(r, "a=3 c=9 d=1 e=1");
        r = api_expect(&k, 200, "GET", exact(rev, ""), "", NULL);
        CHECK_ITEMS(r, "a=3 c=9 d=1 e=1");
        /* Selectors look at what was, too. */
        r = api_get(&k, exact(rev, "&resourceVersionMatch=Exact&labelSelector=v%3D1"));
        CHECK_ITEMS(r, "a=1 b=1 c=1 d=1");
        r = api_get(&k, exact(rev, "&resourceVersionMatch=Exact&fieldSelector=metadata.name%3Db"));
        CHECK_ITEMS(r, "b=1");
        api_kit_restart(&k); /* the history is on disk */
    }
    api_kit_stop(&k);
}

static struct api_reply next(struct api_kit *k, const struct api_reply *page, const char *more)
{
    struct span token = api_str(page, "metadata.continue");
    char path[256];
    CHECK(token.n);
    (void)snprintf(path, sizeof path, CM "?continue=%.*s%s", SPAN_ARG(token), more);
    return api_call(k, "GET", path, "", NULL);
}

TEST(pages_of_an_exact_revision_are_of_that_moment)
{
    struct api_kit k;
    struct span rev = past(&k);
    struct api_reply r = api_get(&k, exact(rev, "&limit=2")); /* with a limit: exact */
    CHECK_ITEMS(r, "a=1 b=1");
    CHECK_EQ(json_int(api_at(r.json, "metadata.remainingItemCount"), 0), 2);
    struct api_reply chosen = api_get(&k, exact(rev, "&limit=2&labelSelector=v"));
    CHECK_ITEMS(chosen, "a=1 b=1");
    CHECK(api_at(chosen.json, "metadata.remainingItemCount") ==
          NULL); /* with a selector: unknown */
    r = next(&k, &r, "&limit=1");
    CHECK_ITEMS(r, "c=1");
    r = next(&k, &r, "");
    CHECK_ITEMS(r, "d=1");
    CHECK_EQ(api_str(&r, "metadata.continue").n, 0);
    CHECK(span_eq(api_str(&r, "metadata.resourceVersion"), rev));
    api_kit_stop(&k);
}

TEST(pages_go_on_after_a_restart_and_show_the_same_moment)
{
    struct api_kit k;
    struct span rev = past(&k);
    struct api_reply r = api_get(&k, exact(rev, "&limit=1"));
    for (int i = 0; i < 3; i++) {
        static const char *const want[] = {"b=1", "c=1", "d=1"};
        api_kit_restart(&k); /* its snapshots are gone */
        change(&k, "d", i ? "5" : "6");
        r = next(&k, &r, "&limit=1");
        CHECK_ITEMS(r, want[i]);
        CHECK(span_eq(api_str(&r, "metadata.resourceVersion"), rev));
    }
    CHECK_EQ(api_str(&r, "metadata.continue").n, 0);
    api_kit_stop(&k);
}

TEST(what_is_compacted_is_gone_and_nothing_else)
{
    struct api_kit k;
    struct span rev = past(&k);
    struct api_reply page = api_get(&k, exact(rev, "&limit=1"));
    k.history_limit = 3;
    api_kit_restart(&k);
    change(&k, "e", "4"); /* a commit compacts */
    struct api_reply r =
        api_expect(&k, 410, "GET", exact(rev, "&resourceVersionMatch=Exact"), "", NULL);
    CHECK_SPAN(api_str(&r, "reason"), "Expired");
    r = next(&k, &page, "&limit=2");
    CHECK_EQ(r.status, 410);
    CHECK_SPAN(api_str(&r, "reason"), "Expired");
    CHECK(span_starts(api_str(&r, "message"),
                      SPAN("The provided continue parameter is too old to display a consistent "
                           "list result. You can start a new list without the continue parameter, "
                           "or use the continue token in this response")));
    /* With that token the rest is what is there now, and its pages are of one moment again. */
    r = next(&k, &r, "&limit=2");
    CHECK_EQ(r.status, 200);
    CHECK_ITEMS(r, "c=9 d=1");
    r = next(&k, &r, "");
    CHECK_ITEMS(r, "e=4");
    CHECK_EQ(api_str(&r, "metadata.continue").n, 0);
    /* The newest three versions can still be asked for, one by one. */
    r = api_get(&k, CM);
    int64_t newest = 0;
    CHECK(span_to_i64(api_str(&r, "metadata.resourceVersion"), &newest));
    int64_t oldest = store_compact_rev(k.store);
    CHECK(oldest > 1 && oldest < newest);
    for (int64_t at = oldest; at <= newest; at++) {
        r = api_expect(&k, 200, "GET", exact_number(at), "", NULL);
        CHECK(json_len(api_at(r.json, "items")) >= 2);
    }
    (void)api_expect(&k, 410, "GET", exact_number(oldest - 1), "", NULL);
    /* A page that was begun before the compaction comes from what is kept for it. */
    page = api_get(&k, CM "?limit=1");
    for (int i = 0; i < 6; i++) {
        change(&k, "d", i % 2 ? "7" : "8");
    }
    r = next(&k, &page, "");
    CHECK_ITEMS(r, "c=9 d=1 e=4");
    api_kit_stop(&k);
}
