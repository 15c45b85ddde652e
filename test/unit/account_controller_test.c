/* test/unit/account_controller_test.c: Secrets with tokens go with their account, and no others,
 * against a small API server. */
#include "kit/controller_kit.h"
#include "kit/kit.h"

static void make_account(struct controller_kit *k, const char *name)
{
    char json[256];
    (void)snprintf(json, sizeof json,
                   "{\"kind\":\"ServiceAccount\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
                   "\"%s\",\"namespace\":\"default\"}}",
                   name);
    (void)fake_client_create(k->api, json);
}

static void make_secret(struct controller_kit *k, const char *name, const char *account,
                        struct span uid, const char *type)
{
    char json[512];
    (void)snprintf(json, sizeof json,
                   "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
                   "\"namespace\":\"default\",\"annotations\":{"
                   "\"kubernetes.io/service-account.name\":\"%s\","
                   "\"kubernetes.io/service-account.uid\":\"%.*s\"}},\"type\":\"%s\"}",
                   name, account, SPAN_ARG(uid), type);
    (void)fake_client_create(k->api, json);
}

static bool there(struct controller_kit *k, const char *secret)
{
    return fake_client_get(k->api, "", "Secret", "default", secret) != NULL;
}

#define TOKEN "kubernetes.io/service-account-token"

static void begin(struct controller_kit *k, int64_t delay_ms)
{
    controller_kit_begin(k, NULL);
    fake_client_event_delay(k->api, delay_ms);
    make_account(k, "robot");
    struct span uid = object_uid(fake_client_get(k->api, "", "ServiceAccount", "default", "robot"));
    make_secret(k, "its", "robot", uid, TOKEN);
    make_secret(k, "new", "robot", SPAN_NULL, TOKEN);
    make_secret(k, "other", "robot", uid, "Opaque");
    make_secret(k, "old", "robot", SPAN("another"), TOKEN);
    make_secret(k, "nobody", "ghost", SPAN_NULL, TOKEN);
    controller_kit_run(k, CONTROLLERS(&controller_account));
    env_sim_run_for(k->env, 1000);
}

TEST(a_secret_whose_account_is_not_there_goes)
{
    struct controller_kit k;
    begin(&k, 0);
    CHECK(there(&k, "its"));
    CHECK(there(&k, "new"));
    CHECK(there(&k, "other"));
    CHECK(!there(&k, "old"));
    CHECK(!there(&k, "nobody"));
    controller_kit_end(&k);
}

TEST(secrets_with_tokens_go_with_their_account)
{
    struct controller_kit k;
    begin(&k, 0);
    fake_client_delete(k.api, "", "ServiceAccount", "default", "robot", -1,
                       CLIENT_PROPAGATION_BACKGROUND);
    env_sim_run_for(k.env, 1000);
    CHECK(!there(&k, "its"));
    CHECK(!there(&k, "new"));
    CHECK(there(&k, "other"));
    controller_kit_end(&k);
}

/* The Secret's view is ahead of the account's: it is no reason to delete anything. */
TEST(an_account_that_is_not_seen_yet_is_asked_for)
{
    struct controller_kit k;
    begin(&k, 200);
    make_account(&k, "late");
    make_secret(&k, "late", "late",
                object_uid(fake_client_get(k.api, "", "ServiceAccount", "default", "late")), TOKEN);
    env_sim_run_for(k.env, 5000);
    CHECK(there(&k, "late"));
    CHECK(there(&k, "its"));
    CHECK(!there(&k, "old"));
    controller_kit_end(&k);
}
