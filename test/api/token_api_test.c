/* Tokens of accounts at the API: asked for, shown, reviewed, and worth as much as what they are
 * bound to still is. Texts are kube-apiserver's. */
#include "base/limits.h"
#include "base/strbuf.h"
#include "codec/base64.h"
#include "schema/schema.h"
#include "test/kit/api_kit.h"
#include "token/token.h"

#define ACCOUNTS "/api/v1/namespaces/default/serviceaccounts"
#define ISSUER "https://kubernetes.default.svc.cluster.local"
#define REVIEWS "/apis/authentication.k8s.io/v1/tokenreviews"
#define SELF "/apis/authentication.k8s.io/v1/selfsubjectreviews"
#define PODS "/api/v1/namespaces/default/pods"

static void make_pod(struct api_kit *k, const char *name, const char *account)
{
    (void)api_expect(
        k, 201, "POST", PODS, "",
        api_text(arena_printf(
            api_arena(),
            "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"serviceAccountName\":\"%s\","
            "\"nodeName\":\"edge\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}",
            name, account)));
}

static void start(struct api_kit *k)
{
    api_kit_start_tokens(k);
    (void)api_expect(k, 201, "POST", ACCOUNTS, "", "{\"metadata\":{\"name\":\"robot\"}}");
    make_pod(k, "db-0", "robot");
}

/* A token of robot; spec is what stands in the request's spec. */
static const char *issue(struct api_kit *k, const char *spec)
{
    struct span body = arena_printf(api_arena(), "{\"spec\":{%s}}", spec);
    struct api_reply r = api_expect(k, 201, "POST", ACCOUNTS "/robot/token", "", body.p);
    return api_text(api_str(&r, "status.token"));
}

static const char *bearer(const char *token)
{
    return arena_printf(api_arena(), "Authorization: Bearer %s\r\n", token).p;
}

static struct api_reply review(struct api_kit *k, const char *token, const char *more)
{
    return api_expect(k, 201, "POST", REVIEWS, "",
                      arena_printf(api_arena(), "{\"spec\":{\"token\":\"%s\"%s}}", token, more).p);
}

static void check_error(struct api_kit *k, const char *token, const char *error)
{
    struct api_reply r = review(k, token, "");
    CHECK(!json_get_bool(api_at(r.json, "status"), "authenticated", false));
    CHECK_SPAN(api_str(&r, "status.error"), error);
    api_kit_by_tcp(k, true);
    r = api_expect(k, 401, "POST", SELF, bearer(token), "{}");
    CHECK_SPAN(r.body, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
                       "\"Failure\",\"message\":\"Unauthorized\",\"reason\":\"Unauthorized\","
                       "\"code\":401}");
    api_kit_by_tcp(k, false);
}

/* The same account's token with one thing changed, signed with the server's key. */
static const char *forge(struct api_kit *k, const char *token,
                         void (*change)(struct token_claims *c))
{
    struct token_key *key = token_key_load(k->token_key);
    struct token_claims c;
    CHECK_EQ(token_verify(api_arena(), key, SPAN(ISSUER), span_cstr(token), &c), TOKEN_GOOD);
    change(&c);
    struct span text = token_sign(api_arena(), key, &c);
    token_key_free(key);
    return api_text(text);
}

static void end_long_ago(struct token_claims *c)
{
    c->expires_s = c->issued_s - 61;
}

static void end_just_now(struct token_claims *c)
{
    c->expires_s = c->issued_s - 30;
}

static void begin_later(struct token_claims *c)
{
    c->not_before_s += 100;
}

static void be_issued_later(struct token_claims *c)
{
    c->issued_s += 100;
}

static void be_another_account(struct token_claims *c)
{
    c->account.uid = SPAN("old");
}

static void be_nobody(struct token_claims *c)
{
    c->account.name = SPAN("ghost");
    c->subject = SPAN("system:serviceaccount:default:ghost");
}

static void be_another_pod(struct token_claims *c)
{
    c->pod.uid = SPAN("old");
}

static void be_no_pod(struct token_claims *c)
{
    c->pod.name = SPAN("db-9");
}

static void be_for_others(struct token_claims *c)
{
    static const struct span others[] = {SPAN("vault"), SPAN("b")};
    c->audiences = others;
    c->audience_count = 2;
}

static void be_elsewhere(struct token_claims *c)
{
    c->issuer = SPAN("https://elsewhere");
}

TEST(a_request_for_a_token_is_answered_as_kubernetes_does)
{
    struct api_kit k;
    start(&k);
    struct api_reply r = api_expect(&k, 201, "POST", ACCOUNTS "/robot/token", "", "{}");
    CHECK_SPAN(api_str(&r, "kind"), "TokenRequest");
    CHECK_SPAN(api_str(&r, "apiVersion"), "authentication.k8s.io/v1");
    CHECK_SPAN(api_str(&r, "metadata.name"), "robot");
    CHECK_SPAN(api_str(&r, "metadata.namespace"), "default");
    CHECK(api_str(&r, "metadata.creationTimestamp").n > 0);
    CHECK_SPAN(api_str(&r, "spec.audiences.0"), ISSUER);
    CHECK_EQ(json_int(api_at(r.json, "spec.expirationSeconds"), 0), 3600);
    CHECK(api_str(&r, "status.expirationTimestamp").n > 0);
    struct token_text t;
    struct token_claims c;
    CHECK(token_split(api_arena(), api_str(&r, "status.token"), &t));
    CHECK(token_claims_parse(api_arena(), t.payload, &c));
    CHECK_SPAN(c.subject, "system:serviceaccount:default:robot");
    CHECK_EQ(c.expires_s - c.issued_s, 3600);
    CHECK_EQ(c.warn_after_s, 0);
    CHECK_EQ(c.pod.name.n, 0);
    r = api_expect(&k, 201, "POST", ACCOUNTS "/robot/token", "Accept: application/yaml\r\n",
                   "{\"spec\":{\"audiences\":[\"a\",\"b\"],\"expirationSeconds\":600}}");
    static const char audiences[] = "\nspec:\n  audiences:\n  - a\n  - b\n";
    CHECK(memmem(r.body.p, r.body.n, audiences, sizeof audiences - 1));
    r = api_expect(&k, 201, "POST", ACCOUNTS "/robot/token",
                   "Accept: application/vnd.kubernetes.protobuf\r\n", "{}");
    CHECK(span_starts(r.body, SPAN("k8s")));
    api_kit_stop(&k);
}

TEST(wrong_requests_for_tokens_are_refused_in_kubernetes_words)
{
#define REQUEST "TokenRequest.authentication.k8s.io \"\" is invalid: "
    static const struct {
        int status;
        const char *path, *body, *message;
    } cases[] = {
        {422, "/robot/token", "{\"spec\":{\"expirationSeconds\":599}}",
         REQUEST "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than "
                 "10 minutes"},
        {422, "/robot/token", "{\"spec\":{\"expirationSeconds\":4294967297}}",
         REQUEST "spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration "
                 "larger than 2^32 seconds"},
        {422, "/robot/token", "{\"metadata\":{\"name\":\"x\"}}",
         REQUEST "metadata.name: Invalid value: \"x\": must match the service account name if "
                 "specified"},
        {422, "/robot/token", "{\"metadata\":{\"namespace\":\"x\"}}",
         REQUEST "metadata.namespace: Invalid value: \"x\": must match the service account "
                 "namespace if specified"},
        {404, "/ghost/token", "{}", "serviceaccounts \"ghost\" not found"},
        {404, "/robot/token",
         "{\"spec\":{\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":"
         "\"v1\",\"name\":\"db-9\"}}}",
         "pods \"db-9\" not found"},
        {404, "/robot/token",
         "{\"spec\":{\"boundObjectRef\":{\"kind\":\"Secret\",\"apiVersion\":"
         "\"v1\",\"name\":\"s\"}}}",
         "secrets \"s\" not found"},
        {400, "/robot/token",
         "{\"spec\":{\"boundObjectRef\":{\"kind\":\"ConfigMap\","
         "\"apiVersion\":\"v1\",\"name\":\"x\"}}}",
         "cannot bind token to object of type /v1, Kind=ConfigMap"},
        {400, "/robot/token",
         "{\"spec\":{\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":"
         "\"apps/v1\",\"name\":\"x\"}}}",
         "cannot bind token to object of type apps/v1, Kind=Pod"},
        {400, "/default/token",
         "{\"spec\":{\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":"
         "\"v1\",\"name\":\"db-0\"}}}",
         "cannot bind token for serviceaccount \"default\" to pod running with different "
         "serviceaccount name."},
        {409, "/robot/token",
         "{\"spec\":{\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":"
         "\"v1\",\"name\":\"db-0\",\"uid\":\"old\"}}}",
         "Operation cannot be fulfilled on Pod \"db-0\": the UID in the bound object reference "
         "(old) does not match the UID in record. The object might have been deleted and then "
         "recreated"},
        {405, "/robot/token", NULL,
         "the server does not allow this method on the requested resource"},
    };
    struct api_kit k;
    start(&k);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span path = arena_printf(api_arena(), ACCOUNTS "%s", cases[i].path);
        struct api_reply r = api_expect(&k, cases[i].status, cases[i].body ? "POST" : "GET", path.p,
                                        "", cases[i].body);
        CHECK_SPAN(api_str(&r, "message"), cases[i].message);
    }
    struct strbuf many cleanup_strbuf = STRBUF_INIT;
    strbuf_puts(&many, "{\"spec\":{\"audiences\":[\"a\"");
    while (many.n < LIMIT_TOKEN_BYTES * 2) {
        strbuf_puts(&many, ",\"audience\"");
    }
    strbuf_puts(&many, "]}}");
    struct api_reply r = api_expect(&k, 400, "POST", ACCOUNTS "/robot/token", "", many.p);
    CHECK_SPAN(api_str(&r, "message"), "the token would be longer than 16384 bytes, which no "
                                       "request may carry: ask for fewer audiences");
    api_kit_stop(&k);
}

TEST(a_token_makes_its_bearer_the_account)
{
    struct api_kit k;
    start(&k);
    const char *token = issue(&k, "\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\","
                                  "\"name\":\"db-0\"}");
    api_kit_by_tcp(&k, true);
    for (int i = 0; i < 2; i++) { /* verified, and remembered */
        struct api_reply r = api_expect(&k, 201, "POST", SELF, bearer(token), "{}");
        CHECK_SPAN(api_str(&r, "status.userInfo.username"), "system:serviceaccount:default:robot");
        CHECK_EQ(api_str(&r, "status.userInfo.uid").n, 36);
        CHECK_SPAN(api_str(&r, "status.userInfo.groups.0"), "system:serviceaccounts");
        CHECK_SPAN(api_str(&r, "status.userInfo.groups.1"), "system:serviceaccounts:default");
        CHECK_SPAN(api_str(&r, "status.userInfo.groups.2"), "system:authenticated");
        const yyjson_val *extra = api_at(r.json, "status.userInfo.extra");
        JSON_EACH(it, extra)
        {
            struct span key = json_str(it.key);
            CHECK(span_starts(key, SPAN("authentication.kubernetes.io/")));
            key = span_from(key, SPAN("authentication.kubernetes.io/").n);
            if (span_eq(key, SPAN("pod-name"))) {
                CHECK_SPAN(json_str(yyjson_arr_get_first(it.val)), "db-0");
            } else if (span_eq(key, SPAN("node-name"))) {
                CHECK_SPAN(json_str(yyjson_arr_get_first(it.val)), "edge");
            }
        }
        CHECK_EQ(json_len(extra), 4); /* there is no such node, and so no uid of it */
    }
    struct api_reply r = api_expect(&k, 403, "GET", PODS, bearer(token), NULL);
    CHECK_SPAN(api_str(&r, "message"),
               "pods is forbidden: User \"system:serviceaccount:default:robot\" cannot list "
               "resource \"pods\" in API group \"\" in the namespace \"default\"");
    (void)api_expect(&k, 200, "GET", "/version", bearer(token), NULL);
    (void)api_expect(&k, 401, "GET", "/version", bearer("nonsense"), NULL);
    (void)api_expect(&k, 201, "POST", SELF,
                     arena_printf(api_arena(), "authorization:  bEARER %s \r\n", token).p, "{}");
    struct span protocol = arena_printf(api_arena(),
                                        "Sec-WebSocket-Protocol: v4.channel.k8s.io, "
                                        "base64url.bearer.authorization.k8s.io.%.*s\r\n",
                                        SPAN_ARG(base64url(api_arena(), span_cstr(token))));
    (void)api_expect(&k, 201, "POST", SELF, protocol.p, "{}");
    (void)api_expect(&k, 401, "POST", SELF,
                     "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.A\r\n", "{}");
    api_kit_stop(&k);
}

TEST(without_a_token_the_caller_is_anonymous)
{
    struct api_kit k;
    start(&k);
    api_kit_by_tcp(&k, true);
    struct api_reply r = api_expect(&k, 403, "GET", PODS, "", NULL);
    CHECK_SPAN(api_str(&r, "message"),
               "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API "
               "group \"\" in the namespace \"default\"");
    (void)api_expect(&k, 403, "GET", "/", "Authorization: Basic eDp5\r\n", NULL);
    (void)api_expect(&k, 403, "POST", SELF, "", "{}");
    (void)api_expect(&k, 403, "GET", "/openid/v1/jwks", "Authorization: Bearer \r\n", NULL);
    (void)api_expect(&k, 200, "GET", "/livez", "", NULL);
    api_kit_stop(&k);
}

TEST(what_is_wrong_with_a_token_is_said_in_reviews_and_answered_with_401)
{
    struct api_kit k;
    start(&k);
    const char *good = issue(&k, "\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\","
                                 "\"name\":\"db-0\"}");
    static const struct {
        void (*change)(struct token_claims *c);
        const char *error; /* its beginning */
    } cases[] = {
        {end_long_ago, "[invalid bearer token, service account token has expired]"},
        {begin_later, "[invalid bearer token, service account token is not valid yet]"},
        {be_issued_later, "[invalid bearer token, service account token is issued in the future]"},
        {be_nobody, "[invalid bearer token, serviceaccount \"ghost\" not found]"},
        {be_no_pod, "[invalid bearer token, service account token has been invalidated]"},
        {be_for_others, "[invalid bearer token, token audiences [\"vault\" \"b\"] is invalid for "
                        "the target audiences [\"" ISSUER "\"]]"},
        {be_elsewhere, "invalid bearer token"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_error(&k, forge(&k, good, cases[i].change), cases[i].error);
    }
    struct api_reply r = review(&k, forge(&k, good, be_another_account), "");
    CHECK(span_ends(api_str(&r, "status.error"), SPAN(") does not match claim (old)]")));
    r = review(&k, forge(&k, good, be_another_pod), "");
    CHECK(span_ends(api_str(&r, "status.error"),
                    SPAN(") does not match service account pod ref claim (old)]")));
    check_error(&k, "nonsense", "invalid bearer token");
    char *cut = arena_alloc(api_arena(), strlen(good) + 1);
    memcpy(cut, good, strlen(good));
    cut[strlen(good) / 2] ^= 1;
    r = review(&k, cut, "");
    CHECK(!json_get_bool(api_at(r.json, "status"), "authenticated", false));
    r = review(&k, forge(&k, good, end_just_now), ""); /* within the leeway of clocks */
    CHECK(json_get_bool(api_at(r.json, "status"), "authenticated", false));
    api_kit_stop(&k);
}

TEST(a_review_of_a_good_token_names_the_account_and_the_audiences)
{
    struct api_kit k;
    start(&k);
    const char *token = issue(&k, "\"audiences\":[\"" ISSUER "\",\"vault\"]");
    struct api_reply r = review(&k, token, "");
    CHECK(json_get_bool(api_at(r.json, "status"), "authenticated", false));
    CHECK_SPAN(api_str(&r, "status.user.username"), "system:serviceaccount:default:robot");
    CHECK_SPAN(api_str(&r, "status.user.groups.2"), "system:authenticated");
    CHECK_SPAN(api_str(&r, "status.audiences.0"), ISSUER);
    CHECK_EQ(json_len(api_at(r.json, "status.audiences")), 1);
    r = review(&k, token, ",\"audiences\":[\"x\",\"vault\"]");
    CHECK_SPAN(api_str(&r, "status.audiences.0"), "vault");
    CHECK_EQ(json_len(api_at(r.json, "status.audiences")), 1);
    r = review(&k, token, ",\"audiences\":[\"x\"]");
    CHECK_SPAN(api_str(&r, "status.error"),
               "[invalid bearer token, token audiences [\"" ISSUER "\" \"vault\"] is invalid for "
               "the target audiences [\"x\"]]");
    api_kit_stop(&k);
}

TEST(a_token_ends_with_what_it_is_bound_to)
{
    struct api_kit k;
    start(&k);
    (void)api_expect(&k, 201, "POST", "/api/v1/namespaces/default/secrets", "",
                     "{\"metadata\":{\"name\":\"s\"}}");
    (void)api_expect(&k, 201, "POST", "/api/v1/nodes", "", "{\"metadata\":{\"name\":\"n\"}}");
    static const struct {
        const char *ref, *path;
    } cases[] = {{"\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"name\":\"db-0\"}",
                  PODS "/db-0?gracePeriodSeconds=0"},
                 {"\"boundObjectRef\":{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"name\":\"s\"}",
                  "/api/v1/namespaces/default/secrets/s"},
                 {"\"boundObjectRef\":{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"name\":\"n\"}",
                  "/api/v1/nodes/n"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *token = issue(&k, cases[i].ref);
        struct api_reply r = review(&k, token, "");
        CHECK(json_get_bool(api_at(r.json, "status"), "authenticated", false));
        (void)api_expect(&k, 200, "DELETE", cases[i].path, "", NULL);
        check_error(&k, token,
                    "[invalid bearer token, service account token has been invalidated]");
    }
    make_pod(&k, "db-0", "robot"); /* of the same name, and another */
    const char *token = issue(&k, "");
    (void)api_expect(&k, 200, "DELETE", ACCOUNTS "/robot", "", NULL);
    check_error(&k, token, "[invalid bearer token, serviceaccount \"robot\" not found]");
    (void)api_expect(&k, 201, "POST", ACCOUNTS, "", "{\"metadata\":{\"name\":\"robot\"}}");
    struct api_reply r = review(&k, token, "");
    CHECK(span_starts(api_str(&r, "status.error"),
                      SPAN("[invalid bearer token, service account UID (")));
    api_kit_stop(&k);
}

TEST(the_token_of_a_pod_lasts_a_year_and_warns_after_an_hour)
{
    struct api_kit k;
    start(&k);
    struct api_reply r =
        api_expect(&k, 201, "POST", ACCOUNTS "/robot/token", "",
                   "{\"spec\":{\"expirationSeconds\":3607,\"boundObjectRef\":{\"kind\":\"Pod\","
                   "\"apiVersion\":\"v1\",\"name\":\"db-0\"}}}");
    CHECK_EQ(json_int(api_at(r.json, "spec.expirationSeconds"), 0), 3607);
    struct token_text t;
    struct token_claims c;
    CHECK(token_split(api_arena(), api_str(&r, "status.token"), &t));
    CHECK(token_claims_parse(api_arena(), t.payload, &c));
    CHECK_EQ(c.warn_after_s - c.issued_s, 3607);
    CHECK_EQ(c.expires_s - c.issued_s, 365 * 24 * 3600);
    api_kit_stop(&k);
}

TEST(accounts_may_read_who_signs_their_tokens)
{
    struct api_kit k;
    start(&k);
    const char *token = issue(&k, "");
    api_kit_by_tcp(&k, true);
    struct api_reply r =
        api_expect(&k, 200, "GET", "/.well-known/openid-configuration", bearer(token), NULL);
    CHECK_SPAN(api_str(&r, "issuer"), ISSUER);
    CHECK_SPAN(api_str(&r, "jwks_uri"), "https://127.0.0.1:6443/openid/v1/jwks");
    CHECK_SPAN(api_str(&r, "id_token_signing_alg_values_supported.0"), "ES256");
    r = api_expect(&k, 200, "GET", "/openid/v1/jwks", bearer(token), NULL);
    CHECK_SPAN(api_header(&r, "content-type"), "application/jwk-set+json");
    CHECK_SPAN(api_str(&r, "keys.0.kty"), "EC");
    (void)api_expect(&k, 403, "POST", "/openid/v1/jwks", bearer(token), "{}");
    api_kit_by_tcp(&k, false);
    (void)api_expect(&k, 405, "POST", "/openid/v1/jwks", "", "{}");
    api_kit_stop(&k);
}

TEST(a_token_outlives_a_restart_of_the_server)
{
    struct api_kit k;
    start(&k);
    const char *token = issue(&k, "");
    api_kit_restart(&k);
    struct api_reply r = review(&k, token, "");
    CHECK(json_get_bool(api_at(r.json, "status"), "authenticated", false));
    api_kit_stop(&k);
}

static void on_reply(void *data, const struct client_reply *reply)
{
    struct span *token = data;
    CHECK_EQ(reply->err.reason, ERR_NONE);
    CHECK(reply->object != NULL);
    *token = arena_dup(api_arena(),
                       json_str(json_path(object_root(reply->object), "status", "token", NULL)));
}

TEST(the_node_agent_gets_a_token_by_its_client)
{
    struct api_kit k;
    start(&k);
    struct span token = SPAN_NULL;
    struct client_request q = {CLIENT_REQUEST_INIT,
                               .verb = CLIENT_CREATE,
                               .kind = schema_kind_find("", "ServiceAccount"),
                               .ns = SPAN("default"),
                               .name = SPAN("robot"),
                               .subresource = SPAN("token"),
                               .body = SPAN("{\"spec\":{\"expirationSeconds\":3607}}")};
    client_do(k.client, &q, on_reply, &token);
    api_run_ms(&k, 20);
    CHECK(token.n > 0);
    api_kit_stop(&k);
}

/* ---- what new pods get ---- */

static struct api_reply make(struct api_kit *k, const char *spec)
{
    return api_expect(
        k, 201, "POST", PODS, "",
        arena_printf(api_arena(), "{\"metadata\":{\"generateName\":\"p-\"},\"spec\":{%s}}", spec)
            .p);
}

#define PLACE "/var/run/secrets/kubernetes.io/serviceaccount"

TEST(a_new_pod_gets_the_volume_and_the_mounts_of_its_token)
{
    struct api_kit k;
    start(&k);
    struct api_reply r =
        make(&k, "\"initContainers\":[{\"name\":\"i\",\"image\":\"i\"}],"
                 "\"containers\":[{\"name\":\"c\",\"image\":\"i\"},{\"name\":\"d\","
                 "\"image\":\"i\",\"volumeMounts\":[{\"name\":\"e\",\"mountPath\":"
                 "\"" PLACE "\"}]}],\"volumes\":[{\"name\":\"e\",\"emptyDir\":{}}]");
    struct span name = api_str(&r, "spec.volumes.1.name");
    CHECK(span_starts(name, SPAN("kube-api-access-")));
    CHECK_EQ(name.n, SPAN("kube-api-access-").n + 5);
    struct span text = json_write(api_arena(), api_at(r.json, "spec.volumes.1.projected"));
    CHECK_SPAN(text, "{\"sources\":[{\"serviceAccountToken\":{\"expirationSeconds\":3607,\"path\":"
                     "\"token\"}},{\"configMap\":{\"name\":\"kube-root-ca.crt\",\"items\":[{"
                     "\"key\":\"ca.crt\",\"path\":\"ca.crt\"}]}},{\"downwardAPI\":{\"items\":[{"
                     "\"path\":\"namespace\",\"fieldRef\":{\"apiVersion\":\"v1\",\"fieldPath\":"
                     "\"metadata.namespace\"}}]}}],\"defaultMode\":420}");
    CHECK(span_eq(api_str(&r, "spec.initContainers.0.volumeMounts.0.name"), name));
    CHECK(span_eq(api_str(&r, "spec.containers.0.volumeMounts.0.name"), name));
    CHECK_SPAN(api_str(&r, "spec.containers.0.volumeMounts.0.mountPath"), PLACE);
    CHECK(json_get_bool(api_at(r.json, "spec.containers.0.volumeMounts.0"), "readOnly", false));
    CHECK_EQ(json_len(api_at(r.json, "spec.containers.1.volumeMounts")), 1);
    CHECK_SPAN(api_str(&r, "spec.containers.1.volumeMounts.0.name"), "e");
    text = json_write(api_arena(), api_at(r.json, "metadata.managedFields"));
    CHECK(memmem(text.p, text.n, "kube-api-access", 15) == NULL);
    api_kit_stop(&k);
}

TEST(a_volume_of_the_pods_own_for_its_token_is_used)
{
    struct api_kit k;
    start(&k);
    struct api_reply r =
        make(&k, "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}],\"volumes\":[{\"name\":"
                 "\"kube-api-access-own\",\"emptyDir\":{}}]");
    CHECK_EQ(json_len(api_at(r.json, "spec.volumes")), 1);
    CHECK_SPAN(api_str(&r, "spec.containers.0.volumeMounts.0.name"), "kube-api-access-own");
    api_kit_stop(&k);
}

TEST(what_the_pod_says_about_its_token_wins_over_the_account)
{
    static const struct {
        const char *account, *pod;
        bool mounted;
    } cases[] = {{"", "", true},
                 {"", "\"automountServiceAccountToken\":false,", false},
                 {"false", "", false},
                 {"false", "\"automountServiceAccountToken\":true,", true},
                 {"true", "\"automountServiceAccountToken\":false,", false},
                 {"true", "", true}};
    struct api_kit k;
    start(&k);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].account[0]) {
            (void)api_expect(
                &k, 200, "PATCH", ACCOUNTS "/robot",
                "Content-Type: application/merge-patch+json\r\n",
                arena_printf(api_arena(), "{\"automountServiceAccountToken\":%s}", cases[i].account)
                    .p);
        }
        struct api_reply r =
            make(&k, arena_printf(api_arena(),
                                  "\"serviceAccountName\":\"robot\",%s\"containers\":[{\"name\":"
                                  "\"c\",\"image\":\"i\"}]",
                                  cases[i].pod)
                         .p);
        CHECK_EQ(json_len(api_at(r.json, "spec.volumes")), cases[i].mounted);
    }
    api_kit_stop(&k);
}

TEST(projected_tokens_have_kubernetes_rules)
{
    static const struct {
        const char *token, *message;
    } cases[] = {
        {"\"path\":\"t\",\"expirationSeconds\":599",
         "Pod \"p\" is invalid: spec.volumes[0].projected.sources[0].serviceAccountToken."
         "expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes"},
        {"\"path\":\"t\",\"expirationSeconds\":4294967297",
         "Pod \"p\" is invalid: spec.volumes[0].projected.sources[0].serviceAccountToken."
         "expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than "
         "2^32 seconds"},
        {"\"audience\":\"a\"",
         "Pod \"p\" is invalid: spec.volumes[0].projected.sources[0].serviceAccountToken.path: "
         "Required value"}};
    struct api_kit k;
    start(&k);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span body = arena_printf(
            api_arena(),
            "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"volumes\":[{\"name\":\"v\",\"projected\":{"
            "\"sources\":[{\"serviceAccountToken\":{%s}}]}}],\"containers\":[{\"name\":\"c\","
            "\"image\":\"i\"}]}}",
            cases[i].token);
        struct api_reply r = api_expect(&k, 422, "POST", PODS, "", body.p);
        CHECK_SPAN(api_str(&r, "message"), cases[i].message);
    }
    api_kit_stop(&k);
}

/* ---- Secrets with tokens ---- */

#define SECRETS "/api/v1/namespaces/default/secrets"
#define OLD_SECRET(more)                                                                           \
    "{\"metadata\":{\"name\":\"s\",\"annotations\":{\"kubernetes.io/service-account.name\":"       \
    "\"robot\"}},\"type\":\"kubernetes.io/service-account-token\"" more "}"

static const char *token_in(const struct api_reply *r)
{
    struct span bytes = SPAN_NULL, text = api_str(r, "data.token");
    while (text.n && text.p[text.n - 1] == '=') { /* of the alphabet, only + and / differ */
        text.n--;
    }
    char *copy = (char *)(uintptr_t)arena_dup(api_arena(), text).p;
    for (size_t i = 0; i < text.n; i++) {
        copy[i] = copy[i] == '+' ? '-' : copy[i] == '/' ? '_' : copy[i];
    }
    CHECK(base64url_decode(api_arena(), span_of(copy, text.n), &bytes));
    return api_text(bytes);
}

TEST(a_secret_for_a_token_of_an_account_is_filled_and_its_token_counts)
{
    struct api_kit k;
    start(&k);
    struct api_reply r = api_expect(&k, 201, "POST", SECRETS, "", OLD_SECRET(""));
    CHECK_SPAN(api_str(&r, "data.namespace"), "ZGVmYXVsdA==");
    CHECK(span_eq(json_get_str(api_at(r.json, "data"), "ca.crt"), SPAN("Q0E=")));
    CHECK_EQ(
        json_get_str(api_at(r.json, "metadata.annotations"), "kubernetes.io/service-account.uid").n,
        36);
    const char *token = token_in(&r);
    r = review(&k, token, "");
    CHECK(json_get_bool(api_at(r.json, "status"), "authenticated", false));
    CHECK_SPAN(api_str(&r, "status.user.username"), "system:serviceaccount:default:robot");
    CHECK_SPAN(api_str(&r, "status.audiences.0"), ISSUER);
    CHECK(api_at(r.json, "status.user.extra") == NULL);
    r = api_expect(&k, 200, "PATCH", SECRETS "/s", "Content-Type: application/merge-patch+json\r\n",
                   "{\"data\":{\"token\":null,\"more\":\"eA==\"}}");
    CHECK_EQ(json_len(api_at(r.json, "data")), 4);
    CHECK(strcmp(token_in(&r), token) != 0);
    check_error(&k, token, "[invalid bearer token, Token does not match server's copy]");
    token = token_in(&r);
    (void)api_expect(&k, 200, "DELETE", SECRETS "/s", "", NULL);
    check_error(&k, token, "[invalid bearer token, Token has been invalidated]");
    api_kit_stop(&k);
}

TEST(a_secret_for_a_token_names_an_account)
{
    struct api_kit k;
    start(&k);
    struct api_reply r = api_expect(
        &k, 422, "POST", SECRETS, "",
        "{\"metadata\":{\"name\":\"s\"},\"type\":\"kubernetes.io/service-account-token\"}");
    CHECK_SPAN(api_str(&r, "message"),
               "Secret \"s\" is invalid: metadata.annotations[kubernetes.io/service-account.name]: "
               "Required value");
    (void)api_expect(&k, 200, "DELETE", ACCOUNTS "/robot", "", NULL);
    r = api_expect(&k, 201, "POST", SECRETS, "", OLD_SECRET(""));
    CHECK_EQ(json_len(api_at(r.json, "data")), 0);
    api_kit_stop(&k);
}
