/* test/unit/quota_wait_test.c: who waits for room in a quota is woken by room, of that namespace,
 * and by nothing else. */
#include "controller/quota_wait.h"

#include "kit/controller_kit.h"
#include "kit/kit.h"

struct woken {
    char keys[128]; /* "a/x b/y " in order of their wakes */
};

static void wake(void *data, struct span key)
{
    struct woken *w = data;
    size_t n = strlen(w->keys);
    (void)snprintf(w->keys + n, sizeof w->keys - n, "%.*s ", SPAN_ARG(key));
}

static void put(struct controller_kit *k, const char *ns, const char *hard, const char *used)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"ResourceQuota\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"q\","
                   "\"namespace\":\"%s\"},\"spec\":{\"hard\":{\"pods\":\"%s\"}},\"status\":{"
                   "\"used\":{\"pods\":\"%s\"}}}",
                   ns, hard, used);
    fake_client_create(k->api, body);
    env_sim_run_for(k->env, 10);
}

static void change(struct controller_kit *k, const char *ns, const char *patch)
{
    fake_client_patch(k->api, "", "ResourceQuota", ns, "q",
                      strstr(patch, "\"status\"") ? "status" : "", patch);
    env_sim_run_for(k->env, 10);
}

static void note(struct quota_wait *w, enum err_reason reason, const char *why, const char *key)
{
    char text[128];
    (void)snprintf(text, sizeof text, "pods \"x\" is forbidden: %s", why);
    quota_wait_note(w, &(struct err){.reason = reason, .message = span_cstr(text)}, span_cstr(key));
}

#define FULL "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"

TEST(who_waits_is_woken_by_room_in_its_namespace_alone)
{
    struct controller_kit k = {0};
    struct woken got = {""};
    controller_kit_begin(&k, NULL);
    put(&k, "a", "2", "2");
    put(&k, "ab", "2", "2");
    struct quota_wait *w = quota_wait_new(k.informers, wake, &got);
    note(w, ERR_FORBIDDEN, "something else", "a/z");
    note(w, ERR_CONFLICT, FULL, "a/z");
    note(w, ERR_FORBIDDEN, FULL, "a/x");
    note(w, ERR_FORBIDDEN, FULL, "a/x");
    note(w, ERR_FORBIDDEN, FULL, "ab/y");
    env_sim_run_for(k.env, 100);
    /* There may have been room before anybody looked: once. */
    CHECK(strstr(got.keys, "a/x ") && strstr(got.keys, "ab/y "));
    CHECK_EQ(strlen(got.keys), sizeof "a/x ab/y " - 1);
    got.keys[0] = '\0';
    note(w, ERR_FORBIDDEN, FULL, "a/x");
    note(w, ERR_FORBIDDEN, FULL, "ab/y");
    change(&k, "a", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    change(&k, "a", "{\"status\":{\"used\":{\"pods\":\"3\"}}}");
    CHECK_SPAN(span_cstr(got.keys), "");
    change(&k, "a", "{\"status\":{\"used\":{\"pods\":\"1\"}}}");
    CHECK_SPAN(span_cstr(got.keys), "a/x ");
    change(&k, "a", "{\"status\":{\"used\":{\"pods\":\"0\"}}}");
    CHECK_SPAN(span_cstr(got.keys), "a/x ");
    change(&k, "ab", "{\"spec\":{\"hard\":{\"pods\":\"4\"}}}");
    CHECK_SPAN(span_cstr(got.keys), "a/x ab/y ");
    note(w, ERR_FORBIDDEN, FULL, "a/x");
    quota_wait_free(w); /* with one that waits */
    change(&k, "a", "{\"spec\":{\"hard\":{\"pods\":\"9\"}}}");
    CHECK_SPAN(span_cstr(got.keys), "a/x ab/y ");
    controller_kit_end(&k);
}
