/* Tokens of accounts as texts: what is signed is read back, and whatever is not exactly what was
 * signed is not taken. Base64 beside it. */
#include "base/limits.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "test/kit/kit.h"
#include "token/token.h"

#define ISSUER SPAN("https://kubernetes.default.svc.cluster.local")

static const struct span audiences[] = {SPAN("https://kubernetes.default.svc.cluster.local"),
                                        SPAN("vault")};

static struct token_claims sample(void)
{
    return (struct token_claims){.issuer = ISSUER,
                                 .subject = SPAN("system:serviceaccount:shop:robot"),
                                 .id = SPAN("5d2f7f0a-0000-4000-8000-000000000001"),
                                 .audiences = audiences,
                                 .audience_count = 2,
                                 .issued_s = 1000000000,
                                 .not_before_s = 1000000000,
                                 .expires_s = 1000003600,
                                 .warn_after_s = 1000003000,
                                 .ns = SPAN("shop"),
                                 .account = {SPAN("robot"), SPAN("uid-1")},
                                 .pod = {SPAN("db-0"), SPAN("uid-2")},
                                 .node = {SPAN("edge"), SPAN("uid-3")}};
}

static struct token_key *key_new(struct arena *a)
{
    struct span pem = SPAN_NULL;
    CHECK_EQ(token_key_make(a, &pem), 0);
    struct token_key *k = token_key_load(pem);
    CHECK(k != NULL);
    return k;
}

TEST(what_is_signed_is_read_back)
{
    struct arena *a cleanup_arena = arena_new();
    struct token_key *k = key_new(a);
    struct token_claims in = sample(), out = {0};
    struct span text = token_sign(a, k, &in);
    CHECK_EQ(token_verify(a, k, ISSUER, text, &out), TOKEN_GOOD);
    CHECK_SPAN(out.issuer, in.issuer.p);
    CHECK_SPAN(out.subject, "system:serviceaccount:shop:robot");
    CHECK_SPAN(out.id, "5d2f7f0a-0000-4000-8000-000000000001");
    CHECK_EQ(out.audience_count, 2);
    CHECK_SPAN(out.audiences[1], "vault");
    CHECK_EQ(out.expires_s, 1000003600);
    CHECK_EQ(out.issued_s, 1000000000);
    CHECK_EQ(out.not_before_s, 1000000000);
    CHECK_EQ(out.warn_after_s, 1000003000);
    CHECK_SPAN(out.ns, "shop");
    CHECK_SPAN(out.account.name, "robot");
    CHECK_SPAN(out.account.uid, "uid-1");
    CHECK_SPAN(out.pod.uid, "uid-2");
    CHECK_SPAN(out.node.name, "edge");
    CHECK_EQ(out.secret.name.n, 0);
    token_key_free(k);
}

TEST(the_claims_are_those_of_kubernetes)
{
    struct arena *a cleanup_arena = arena_new();
    struct token_key *k = key_new(a);
    struct token_claims in = sample();
    struct token_text t;
    CHECK(token_split(a, token_sign(a, k, &in), &t));
    CHECK_SPAN(t.payload,
               "{\"aud\":[\"https://kubernetes.default.svc.cluster.local\",\"vault\"],\"exp\":"
               "1000003600,\"iat\":1000000000,\"iss\":"
               "\"https://kubernetes.default.svc.cluster.local\",\"jti\":"
               "\"5d2f7f0a-0000-4000-8000-000000000001\",\"kubernetes.io\":{\"namespace\":\"shop\","
               "\"node\":{\"name\":\"edge\",\"uid\":\"uid-3\"},\"pod\":{\"name\":\"db-0\",\"uid\":"
               "\"uid-2\"},\"serviceaccount\":{\"name\":\"robot\",\"uid\":\"uid-1\"},"
               "\"warnafter\":1000003000},\"nbf\":1000000000,\"sub\":"
               "\"system:serviceaccount:shop:robot\"}");
    in.issuer = SPAN(TOKEN_OLD_ISSUER);
    in.secret.name = SPAN("robot-token");
    CHECK(token_split(a, token_sign(a, k, &in), &t));
    CHECK_SPAN(t.payload,
               "{\"iss\":\"kubernetes/serviceaccount\",\"kubernetes.io/serviceaccount/namespace\":"
               "\"shop\",\"kubernetes.io/serviceaccount/secret.name\":\"robot-token\","
               "\"kubernetes.io/serviceaccount/service-account.name\":\"robot\","
               "\"kubernetes.io/serviceaccount/service-account.uid\":\"uid-1\",\"sub\":"
               "\"system:serviceaccount:shop:robot\"}");
    token_key_free(k);
}

TEST(another_key_vouches_for_nothing)
{
    struct arena *a cleanup_arena = arena_new();
    struct token_key *k = key_new(a), *other = key_new(a);
    struct token_claims in = sample(), out;
    CHECK_EQ(token_verify(a, k, ISSUER, token_sign(a, other, &in), &out), TOKEN_FORGED);
    token_key_free(k);
    token_key_free(other);
}

TEST(a_token_with_any_letter_changed_or_cut_off_is_not_good)
{
    struct arena *a cleanup_arena = arena_new();
    struct token_key *k = key_new(a);
    struct token_claims in = sample(), out;
    struct span text = token_sign(a, k, &in);
    for (size_t i = 0; i < text.n; i++) {
        struct arena *b cleanup_arena = arena_new();
        char *copy = (char *)(uintptr_t)arena_dup(b, text).p;
        copy[i] = copy[i] == 'A' ? 'B' : 'A';
        CHECK(token_verify(b, k, ISSUER, span_of(copy, text.n), &out) != TOKEN_GOOD);
        CHECK(token_verify(b, k, ISSUER, span_first(text, i), &out) == TOKEN_FOREIGN);
    }
    CHECK(token_verify(a, k, ISSUER, arena_printf(a, "%.*s.", SPAN_ARG(text)), &out) ==
          TOKEN_FOREIGN);
    CHECK(token_verify(a, k, ISSUER, arena_printf(a, "%.*sA", SPAN_ARG(text)), &out) ==
          TOKEN_FOREIGN);
    token_key_free(k);
}

TEST(somebody_elses_token_is_not_even_verified)
{
    struct arena *a cleanup_arena = arena_new();
    struct token_key *k = key_new(a);
    struct token_claims in = sample(), out;
    CHECK_EQ(token_verify(a, k, SPAN("https://elsewhere"), token_sign(a, k, &in), &out),
             TOKEN_FOREIGN);
    static const char *const heads[] = {"{\"alg\":\"none\"}",
                                        "{\"alg\":\"HS256\"}",
                                        "{\"alg\":\"ES256\",\"crit\":[\"x\"]}",
                                        "[]",
                                        "",
                                        "{\"alg\":[\"ES256\"]}"};
    struct span rest = token_sign(a, k, &in);
    (void)span_cut(&rest, '.');
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct span text = arena_printf(a, "%.*s.%.*s", SPAN_ARG(base64url(a, span_cstr(heads[i]))),
                                        SPAN_ARG(rest));
        CHECK_EQ(token_verify(a, k, ISSUER, text, &out), TOKEN_FOREIGN);
    }
    token_key_free(k);
}

/* The payload of the sample with one text in place of another, if it is not taken. */
static void check_refused(struct arena *a, const char *was, const char *is)
{
    struct token_key *k = key_new(a);
    struct token_claims in = sample(), out;
    struct token_text t;
    CHECK(token_split(a, token_sign(a, k, &in), &t));
    const char *at = memmem(t.payload.p, t.payload.n, was, strlen(was));
    CHECK(at != NULL);
    struct span before = span_first(t.payload, (size_t)(at - t.payload.p));
    struct span after = span_from(t.payload, before.n + strlen(was));
    CHECK(!token_claims_parse(
        a, arena_printf(a, "%.*s%s%.*s", SPAN_ARG(before), is, SPAN_ARG(after)), &out));
    CHECK(token_claims_parse(a, t.payload, &out));
    token_key_free(k);
}

TEST(claims_that_ours_never_have_are_refused)
{
    struct arena *a cleanup_arena = arena_new();
    check_refused(a, "\"sub\":\"system:serviceaccount:shop:robot\"",
                  "\"sub\":\"system:serviceaccount:shop:admin\"");
    check_refused(a, "\"namespace\":\"shop\"", "\"namespace\":\"kube-system\"");
    check_refused(a, "\"namespace\":\"shop\"", "\"namespace\":7");
    check_refused(a, "\"uid\":\"uid-1\"", "\"uid\":\"\"");
    check_refused(a, "\"serviceaccount\"", "\"account\"");
    check_refused(a, "\"exp\":1000003600", "\"exp\":0");
    check_refused(a, "\"exp\":1000003600", "\"exp\":\"1000003600\"");
    check_refused(a, "[\"https://kubernetes.default.svc.cluster.local\",\"vault\"]", "[]");
    check_refused(a, "[\"https://kubernetes.default.svc.cluster.local\",\"vault\"]", "null");
    check_refused(a, "{\"aud\"", "[{\"aud\"");
    struct token_claims out;
    CHECK(!token_claims_parse(a, SPAN(""), &out));
    CHECK(!token_claims_parse(a, SPAN("{}"), &out));
}

TEST(a_token_of_the_limit_is_read_and_one_longer_is_not)
{
    struct arena *a cleanup_arena = arena_new();
    struct token_key *k = key_new(a);
    struct token_claims in = sample(), out;
    char *filler = arena_alloc(a, LIMIT_TOKEN_BYTES);
    memset(filler, 'x', LIMIT_TOKEN_BYTES);
    size_t n = LIMIT_TOKEN_BYTES / 4 * 3;
    struct span text;
    do {
        struct span one = span_of(filler, n--);
        in.audiences = &one;
        in.audience_count = 1;
        text = token_sign(a, k, &in);
        CHECK_EQ(token_verify(a, k, ISSUER, text, &out),
                 text.n <= LIMIT_TOKEN_BYTES ? TOKEN_GOOD : TOKEN_FOREIGN);
    } while (text.n > LIMIT_TOKEN_BYTES - 1);
    token_key_free(k);
}

TEST(the_cache_answers_as_verifying_does)
{
    struct arena *a cleanup_arena = arena_new();
    struct token_key *k = key_new(a), *other = key_new(a);
    struct token_cache *c = token_cache_new();
    struct token_claims in = sample(), out = {0};
    struct span text = token_sign(a, k, &in), forged = token_sign(a, other, &in);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(token_cache_verify(c, a, k, ISSUER, forged, &out), TOKEN_FORGED);
        out = (struct token_claims){0};
        CHECK_EQ(token_cache_verify(c, a, k, ISSUER, text, &out), TOKEN_GOOD);
        CHECK_SPAN(out.pod.name, "db-0");
        CHECK_EQ(token_cache_verify(c, a, k, ISSUER, SPAN("nonsense"), &out), TOKEN_FOREIGN);
    }
    /* What is in the cache needs no key any more: that it was asked is seen by another's. */
    CHECK_EQ(token_cache_verify(c, a, other, ISSUER, text, &out), TOKEN_GOOD);
    CHECK_EQ(token_verify(a, other, ISSUER, text, &out), TOKEN_FORGED);
    token_cache_free(c);
    token_key_free(k);
    token_key_free(other);
}

TEST(many_tokens_take_bounded_memory_and_all_are_good)
{
    struct arena *a cleanup_arena = arena_new();
    struct token_key *k = key_new(a);
    struct token_cache *c = token_cache_new();
    struct token_claims in = sample(), out;
    for (int i = 0; i < 300; i++) {
        struct arena *b cleanup_arena = arena_new();
        in.id = arena_printf(b, "id-%d", i % 150);
        CHECK_EQ(token_cache_verify(c, b, k, ISSUER, token_sign(b, k, &in), &out), TOKEN_GOOD);
        CHECK(span_eq(out.id, in.id));
    }
    token_cache_free(c);
    token_key_free(k);
}

TEST(a_key_is_a_private_one_of_that_curve)
{
    struct arena *a cleanup_arena = arena_new();
    struct span pem = SPAN_NULL;
    CHECK_EQ(token_key_make(a, &pem), 0);
    CHECK(token_key_load(span_first(pem, pem.n / 2)) == NULL);
    CHECK(token_key_load(SPAN_NULL) == NULL);
    CHECK(token_key_load(SPAN("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8f"
                              "djP+KU53qUr8C9Yl8X6f5k2l8G\n-----END PRIVATE KEY-----\n")) == NULL);
    struct token_key *k = token_key_load(pem);
    struct span jwks = token_key_jwks(a, k);
    yyjson_doc *doc = NULL;
    CHECK_EQ(json_parse(a, jwks, &doc, NULL), 0);
    const yyjson_val *one = json_path(yyjson_doc_get_root(doc), "keys", NULL);
    JSON_EACH(it, one)
    {
        struct span x = SPAN_NULL;
        CHECK_SPAN(json_get_str(it.val, "kty"), "EC");
        CHECK_SPAN(json_get_str(it.val, "alg"), "ES256");
        CHECK_EQ(json_get_str(it.val, "kid").n, 43);
        CHECK(base64url_decode(a, json_get_str(it.val, "x"), &x));
        CHECK_EQ(x.n, 32);
    }
    CHECK_EQ(json_len(one), 1);
    token_key_free(k);
    token_key_free(NULL);
}

TEST(base64_goes_there_and_back)
{
    struct arena *a cleanup_arena = arena_new();
    static const struct {
        const char *bytes, *padded, *url;
    } cases[] = {{"", "", ""},
                 {"f", "Zg==", "Zg"},
                 {"fo", "Zm8=", "Zm8"},
                 {"foo", "Zm9v", "Zm9v"},
                 {"foob", "Zm9vYg==", "Zm9vYg"},
                 {"\xff\xfe?", "//4/", "__4_"},
                 {"\xfb\xef\xbe", "++++", "----"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span bytes = span_cstr(cases[i].bytes), back = SPAN_NULL;
        CHECK_SPAN(base64(a, bytes), cases[i].padded);
        CHECK_SPAN(base64url(a, bytes), cases[i].url);
        CHECK(base64url_decode(a, span_cstr(cases[i].url), &back));
        CHECK(span_eq(back, bytes));
    }
    static const char *const bad[] = {
        "Z", "Zg=", "Zh", "Zm9", "Zm8=", "+A", "/A", "Zm 9v", "Zm9v\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct span back;
        bool fine = base64url_decode(a, span_cstr(bad[i]), &back);
        CHECK(!fine);
    }
}
