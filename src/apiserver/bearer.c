#include "apiserver/bearer.h"

#include "apiserver/op.h"
#include "apiserver/server.h"
#include "base/check.h"
#include "base/strbuf.h"
#include "codec/base64.h"
#include "codec/time.h"

/* Clocks may differ by so much, and what is deleted counts as there for so long. */
enum { LEEWAY_S = 60 };

struct look {
    struct apiserver *s;
    struct arena *a;
    struct span text;
    struct token_claims claims;
    int64_t now_s;
};

struct span bearer_list_text(struct arena *a, const struct span *list, size_t n)
{
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    strbuf_putc(&b, '[');
    for (size_t i = 0; i < n; i++) {
        strbuf_printf(&b, "%s\"%.*s\"", i ? " " : "", SPAN_ARG(list[i]));
    }
    strbuf_putc(&b, ']');
    return arena_dup(a, strbuf_span(&b));
}

/* ---- is it worth something still? Empty: yes; else why not. ---- */

static struct span check_times(const struct look *l)
{
    const struct token_claims *c = &l->claims;
    if (c->expires_s && l->now_s - LEEWAY_S > c->expires_s) {
        return SPAN("service account token has expired");
    }
    if (l->now_s + LEEWAY_S < c->not_before_s) {
        return SPAN("service account token is not valid yet");
    }
    if (l->now_s + LEEWAY_S < c->issued_s) {
        return SPAN("service account token is issued in the future");
    }
    return SPAN_NULL;
}

/* Deleted, and that not just now. */
static bool is_deleted(const struct look *l, struct object *o)
{
    struct span at = json_str(json_path(object_root(o), "metadata", "deletionTimestamp", NULL));
    return at.n && time_or(at, 0) / 1000 < l->now_s - LEEWAY_S;
}

static struct span check_account(const struct look *l, bool old)
{
    const struct token_claims *c = &l->claims;
    assert(c->ns.n);
    assert(c->account.name.n); /* token_claims_parse() sees to it */
    struct object *o = api_peek(l->s, l->a, "serviceaccounts", c->ns, c->account.name);
    if (!o) {
        return arena_printf(l->a, "serviceaccount \"%.*s\" not found", SPAN_ARG(c->account.name));
    }
    if (!span_eq(object_uid(o), c->account.uid)) {
        return arena_printf(l->a, "%s UID (%.*s) does not match claim (%.*s)",
                            old ? "ServiceAccount" : "service account", SPAN_ARG(object_uid(o)),
                            SPAN_ARG(c->account.uid));
    }
    if (old ? object_is_deleting(o) : is_deleted(l, o)) {
        return arena_printf(l->a, "%s %.*s/%.*s has been deleted",
                            old ? "ServiceAccount" : "service account", SPAN_ARG(c->ns),
                            SPAN_ARG(c->account.name));
    }
    return SPAN_NULL;
}

/* The object that the token ends with. */
static struct span check_bound(const struct look *l)
{
    const struct token_claims *c = &l->claims;
    const struct {
        const char *resource, *word;
        const struct token_ref *ref;
        struct span ns;
    } kinds[] = {{"secrets", "secret", &c->secret, c->ns},
                 {"pods", "pod", &c->pod, c->ns},
                 {"nodes", "node", c->pod.name.n ? NULL : &c->node, SPAN_NULL}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct token_ref *ref = kinds[i].ref;
        if (!ref || !ref->name.n) {
            continue;
        }
        struct object *o = api_peek(l->s, l->a, kinds[i].resource, kinds[i].ns, ref->name);
        if (!o || is_deleted(l, o)) {
            return SPAN("service account token has been invalidated");
        }
        if (!span_eq(object_uid(o), ref->uid)) {
            return arena_printf(
                l->a, "%s UID (%.*s) does not match service account %s ref claim (%.*s)",
                kinds[i].word, SPAN_ARG(object_uid(o)), kinds[i].word, SPAN_ARG(ref->uid));
        }
    }
    return SPAN_NULL;
}

/* A token of the older form is good as long as its Secret holds it. */
static struct span check_secret(const struct look *l)
{
    const struct token_claims *c = &l->claims;
    assert(c->secret.name.n);
    assert(c->audience_count == 0);
    struct object *o = api_peek(l->s, l->a, "secrets", c->ns, c->secret.name);
    if (!o || object_is_deleting(o)) {
        return SPAN("Token has been invalidated");
    }
    if (!span_eq(json_str(json_path(object_root(o), "data", "token", NULL)),
                 base64(l->a, l->text))) {
        return SPAN("Token does not match server's copy");
    }
    return SPAN_NULL;
}

static struct span check_live(const struct look *l)
{
    bool old = l->claims.audience_count == 0;
    struct span why = old ? check_secret(l) : check_times(l);
    if (!why.n) {
        why = check_account(l, old);
    }
    return why.n || old ? why : check_bound(l);
}

/* ---- whom it speaks for ---- */

static void put_extra(yyjson_mut_doc *doc, yyjson_mut_val *extra, const char *key,
                      struct span value)
{
    if (value.n) {
        yyjson_mut_val *list = yyjson_mut_arr(doc);
        (void)yyjson_mut_arr_append(list, json_new_str(doc, value));
        json_put(doc, extra, key, list);
    }
}

static void take_user(const struct look *l, struct bearer *b)
{
    const struct token_claims *c = &l->claims;
    yyjson_mut_doc *doc = json_mut_new(l->a);
    yyjson_mut_val *extra = yyjson_mut_obj(doc);
    assert(!b->is_known);
    assert(!b->why.n);
    b->name = c->subject;
    b->uid = c->account.uid;
    b->groups = arena_printf(
        l->a, "system:serviceaccounts\nsystem:serviceaccounts:%.*s\nsystem:authenticated",
        SPAN_ARG(c->ns));
    if (c->id.n) {
        put_extra(doc, extra, "authentication.kubernetes.io/credential-id",
                  arena_printf(l->a, "JTI=%.*s", SPAN_ARG(c->id)));
    }
    put_extra(doc, extra, "authentication.kubernetes.io/node-name", c->node.name);
    put_extra(doc, extra, "authentication.kubernetes.io/node-uid", c->node.uid);
    put_extra(doc, extra, "authentication.kubernetes.io/pod-name", c->pod.name);
    put_extra(doc, extra, "authentication.kubernetes.io/pod-uid", c->pod.uid);
    b->extra = yyjson_mut_obj_size(extra) ? json_freeze(l->a, extra) : NULL;
    b->is_known = true;
}

/* False: for none of those. */
static bool take_audiences(const struct look *l, struct bearer *b, const struct span *wanted,
                           size_t wanted_count)
{
    const struct token_claims *c = &l->claims;
    const struct span *of = c->audiences, *own = &l->s->options.token_issuer;
    size_t count = c->audience_count;
    if (count == 0) { /* of the older form: for this server */
        of = own;
        count = 1;
    }
    assert(wanted_count > 0);
    assert(own->n > 0);
    struct span *both = ARENA_ARRAY(l->a, struct span, count);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t w = 0; w < wanted_count; w++) {
            if (span_eq(of[i], wanted[w])) {
                both[n++] = of[i];
                break;
            }
        }
    }
    b->audiences = both;
    b->audience_count = n;
    if (n == 0) {
        b->why = arena_printf(l->a, "token audiences %.*s is invalid for the target audiences %.*s",
                              SPAN_ARG(bearer_list_text(l->a, of, count)),
                              SPAN_ARG(bearer_list_text(l->a, wanted, wanted_count)));
    }
    return n > 0;
}

static struct span fault_text(enum token_fault fault)
{
    switch (fault) {
    case TOKEN_FORGED:
        return SPAN("go-jose/go-jose: error in cryptographic primitive");
    case TOKEN_MALFORMED:
        return SPAN("service account token claims could not be validated");
    case TOKEN_FOREIGN:
    case TOKEN_GOOD:
        break;
    }
    return SPAN_NULL;
}

struct bearer bearer_find(struct apiserver *s, struct arena *a, struct span token,
                          const struct span *audiences, size_t audience_count)
{
    assert(s);
    assert(a);
    struct look l = {.s = s, .a = a, .text = token, .now_s = env_now_ms(s->env) / 1000};
    struct bearer b = {0};
    struct span own = s->options.token_issuer;
    enum token_fault fault = TOKEN_FOREIGN;
    if (s->token_key) {
        fault = token_cache_verify(s->token_cache, a, s->token_key, own, token, &l.claims);
    }
    b.why = fault_text(fault);
    if (fault == TOKEN_GOOD && take_audiences(&l, &b, audience_count ? audiences : &own,
                                              audience_count ? audience_count : 1)) {
        b.why = check_live(&l);
        if (!b.why.n) {
            take_user(&l, &b);
            return b;
        }
    }
    b.why = b.why.n ? arena_printf(a, "[invalid bearer token, %.*s]", SPAN_ARG(b.why))
                    : SPAN("invalid bearer token");
    return b;
}
