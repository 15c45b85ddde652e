/* The text of token.h: put together, taken apart, verified. */
#include "token/token.h"

#include "base/check.h"
#include "base/limits.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "token/token_priv.h"

#define KUBERNETES "kubernetes.io"
#define FLAT "kubernetes.io/serviceaccount/"

/* ---- made ---- */

static void put_ref(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *name,
                    const struct token_ref *ref)
{
    if (ref->name.n) {
        yyjson_mut_val *v = json_mut_obj(doc, obj, name);
        json_put_str(doc, v, "name", ref->name);
        if (ref->uid.n) {
            json_put_str(doc, v, "uid", ref->uid);
        }
    }
}

static void put_new(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct token_claims *c)
{
    yyjson_mut_val *list = yyjson_mut_arr(doc), *k = yyjson_mut_obj(doc);
    for (size_t i = 0; i < c->audience_count; i++) {
        (void)yyjson_mut_arr_append(list, json_new_str(doc, c->audiences[i]));
    }
    json_put(doc, root, "aud", list);
    json_put_int(doc, root, "exp", c->expires_s);
    json_put_int(doc, root, "iat", c->issued_s);
    json_put_str(doc, root, "iss", c->issuer);
    json_put_str(doc, root, "jti", c->id);
    json_put(doc, root, KUBERNETES, k);
    json_put_str(doc, k, "namespace", c->ns);
    put_ref(doc, k, "node", &c->node);
    put_ref(doc, k, "pod", &c->pod);
    put_ref(doc, k, "secret", &c->secret);
    put_ref(doc, k, "serviceaccount", &c->account);
    if (c->warn_after_s) {
        json_put_int(doc, k, "warnafter", c->warn_after_s);
    }
    json_put_int(doc, root, "nbf", c->not_before_s);
}

static void put_old(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct token_claims *c)
{
    json_put_str(doc, root, "iss", c->issuer);
    json_put_str(doc, root, FLAT "namespace", c->ns);
    json_put_str(doc, root, FLAT "secret.name", c->secret.name);
    json_put_str(doc, root, FLAT "service-account.name", c->account.name);
    json_put_str(doc, root, FLAT "service-account.uid", c->account.uid);
}

struct span token_sign(struct arena *a, const struct token_key *k, const struct token_claims *c)
{
    char signature[TOKEN_SIGNATURE_BYTES];
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    assert(c->subject.n);
    assert(c->ns.n);
    (span_eq(c->issuer, SPAN(TOKEN_OLD_ISSUER)) ? put_old : put_new)(doc, root, c);
    json_put_str(doc, root, "sub", c->subject);
    struct span head =
        arena_printf(a, "{\"alg\":\"ES256\",\"kid\":\"%.*s\"}", SPAN_ARG(token_key_id(k)));
    struct span text = arena_printf(a, "%.*s.%.*s", SPAN_ARG(base64url(a, head)),
                                    SPAN_ARG(base64url(a, json_write_mut(a, root))));
    if (!token_key_sign(k, text, signature)) {
        return SPAN_NULL;
    }
    return arena_printf(a, "%.*s.%.*s", SPAN_ARG(text),
                        SPAN_ARG(base64url(a, span_of(signature, sizeof signature))));
}

/* ---- taken apart ---- */

static const yyjson_val *parse_object(struct arena *a, struct span json)
{
    yyjson_doc *doc = NULL;
    if (json.n == 0 || json_parse(a, json, &doc, NULL)) {
        return NULL;
    }
    yyjson_val *root = yyjson_doc_get_root(doc);
    return yyjson_is_obj(root) ? root : NULL;
}

bool token_split(struct arena *a, struct span text, struct token_text *ret)
{
    struct span rest = text, head;
    if (text.n == 0 || text.n > LIMIT_TOKEN_BYTES) {
        return false;
    }
    struct span first = span_cut(&rest, '.'), second = span_cut(&rest, '.');
    ret->signed_part = span_first(text, first.n + 1 + second.n);
    if (!base64url_decode(a, first, &head) || !base64url_decode(a, second, &ret->payload) ||
        !base64url_decode(a, rest, &ret->signature) || ret->signature.n != TOKEN_SIGNATURE_BYTES) {
        return false;
    }
    const yyjson_val *h = parse_object(a, head);
    return h && span_eq(json_get_str(h, "alg"), SPAN("ES256")) && !json_get(h, "crit");
}

struct span token_issuer(struct arena *a, struct span payload)
{
    return json_get_str(parse_object(a, payload), "iss");
}

static struct token_ref get_ref(const yyjson_val *from, const char *name)
{
    const yyjson_val *v = json_get(from, name);
    return (struct token_ref){json_get_str(v, "name"), json_get_str(v, "uid")};
}

/* One text or a list of them. */
static bool get_audiences(struct arena *a, const yyjson_val *v, struct token_claims *c)
{
    struct span *list = ARENA_ARRAY(a, struct span, json_len(v) + 1);
    size_t n = 0;
    if (yyjson_is_str((yyjson_val *)(uintptr_t)v)) {
        list[n++] = json_str(v);
    } else {
        JSON_EACH(it, v)
        {
            list[n++] = json_str(it.val);
        }
    }
    c->audiences = list;
    c->audience_count = n;
    return n > 0;
}

bool token_claims_parse(struct arena *a, struct span payload, struct token_claims *ret)
{
    const yyjson_val *root = parse_object(a, payload), *k = json_get(root, KUBERNETES);
    struct token_claims c = {.issuer = json_get_str(root, "iss"),
                             .subject = json_get_str(root, "sub"),
                             .id = json_get_str(root, "jti"),
                             .expires_s = json_get_int(root, "exp", 0),
                             .issued_s = json_get_int(root, "iat", 0),
                             .not_before_s = json_get_int(root, "nbf", 0),
                             .warn_after_s = json_get_int(k, "warnafter", 0),
                             .ns = json_get_str(k, "namespace"),
                             .account = get_ref(k, "serviceaccount"),
                             .pod = get_ref(k, "pod"),
                             .secret = get_ref(k, "secret"),
                             .node = get_ref(k, "node")};
    bool good = true;
    if (span_eq(c.issuer, SPAN(TOKEN_OLD_ISSUER))) {
        c.ns = json_get_str(root, FLAT "namespace");
        c.secret.name = json_get_str(root, FLAT "secret.name");
        c.account.name = json_get_str(root, FLAT "service-account.name");
        c.account.uid = json_get_str(root, FLAT "service-account.uid");
        good = c.secret.name.n > 0;
    } else {
        good = get_audiences(a, json_get(root, "aud"), &c) && c.expires_s > 0;
    }
    *ret = c;
    struct span subject = arena_printf(a, "system:serviceaccount:%.*s:%.*s", SPAN_ARG(c.ns),
                                       SPAN_ARG(c.account.name));
    return good && c.ns.n && c.account.name.n && c.account.uid.n && span_eq(c.subject, subject);
}

/* ---- verified ---- */

enum token_fault token_verify(struct arena *a, const struct token_key *k, struct span issuer,
                              struct span text, struct token_claims *ret)
{
    struct token_text t;
    assert(k);
    assert(issuer.n);
    if (!token_split(a, text, &t)) {
        return TOKEN_FOREIGN;
    }
    struct span by = token_issuer(a, t.payload);
    if (!span_eq(by, issuer) && !span_eq(by, SPAN(TOKEN_OLD_ISSUER))) {
        return TOKEN_FOREIGN;
    }
    if (!token_key_verify(k, t.signed_part, t.signature)) {
        return TOKEN_FORGED;
    }
    return token_claims_parse(a, t.payload, ret) ? TOKEN_GOOD : TOKEN_MALFORMED;
}
