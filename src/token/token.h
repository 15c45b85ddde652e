/* token/token.h: tokens of service accounts: JSON web tokens (RFC 7519), signed with ES256 by a key
 * that the server keeps. Pure but for the randomness of signing: a text and a key in, claims out.
 * Whether the account and the object that a token names are still there is not asked here.
 *
 * The claims are Kubernetes': iss, sub, aud, exp, iat, nbf, jti, and "kubernetes.io" with the
 * namespace and references to the account and to the object that the token ends with. Tokens in
 * Secrets are of the older form: without end and audience, with flat names and an issuer of their
 * own. */
#ifndef TOKEN_TOKEN_H
#define TOKEN_TOKEN_H

#include "base/arena.h"
#include "base/span.h"

#define TOKEN_OLD_ISSUER "kubernetes/serviceaccount"

struct token_key;

/* A fresh P-256 key as PEM. 0, or a negative code when there is no randomness. */
int token_key_make(struct arena *a, struct span *ret_pem);
/* NULL: no private P-256 key. */
struct token_key *token_key_load(struct span pem);
void token_key_free(struct token_key *k);
/* The public half, as the document that is served at /openid/v1/jwks. */
struct span token_key_jwks(struct arena *a, const struct token_key *k);

struct token_ref {
    struct span name, uid; /* name empty: none */
};

struct token_claims {
    struct span issuer, subject, id;
    const struct span *audiences; /* none: of the older form */
    size_t audience_count;
    int64_t expires_s, issued_s, not_before_s, warn_after_s; /* since 1970; 0: none */
    struct span ns;
    struct token_ref account, pod, secret, node;
};

/* A signed token. The issuer TOKEN_OLD_ISSUER makes one of the older form. Empty: OpenSSL failed.
 */
struct span token_sign(struct arena *a, const struct token_key *k, const struct token_claims *c);

/* What a text that claims to be a token is; each check is made only after those before it. */
enum token_fault {
    TOKEN_GOOD,
    TOKEN_FOREIGN,  /* too long, no JSON web token, or somebody else's */
    TOKEN_FORGED,   /* not signed with our key */
    TOKEN_MALFORMED /* ours, and yet its claims are not as ours are */
};

/* The parts of the text, taken apart and not verified. */
struct token_text {
    struct span signed_part, payload, signature;
};
bool token_split(struct arena *a, struct span text, struct token_text *ret);
/* The issuer that an unverified payload names: whom to ask. */
struct span token_issuer(struct arena *a, struct span payload);
bool token_claims_parse(struct arena *a, struct span payload, struct token_claims *ret);
/* All of it: the signature too. */
enum token_fault token_verify(struct arena *a, const struct token_key *k, struct span issuer,
                              struct span text, struct token_claims *ret);

/* The payloads of tokens that were found good, so that the next request with one need not verify
 * the signature again. Bounded; the newer of two that want the same place stays. */
struct token_cache;
struct token_cache *token_cache_new(void);
void token_cache_free(struct token_cache *c);
/* token_verify() by way of the cache. */
enum token_fault token_cache_verify(struct token_cache *c, struct arena *a,
                                    const struct token_key *k, struct span issuer, struct span text,
                                    struct token_claims *ret);

/* SHA-256. */
enum { TOKEN_HASH_BYTES = 32 };
void token_hash(struct span bytes, char ret[TOKEN_HASH_BYTES]);

#endif
