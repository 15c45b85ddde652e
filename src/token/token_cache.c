/* The cache of token.h: a table of places, each found by the token's SHA-256. Only what a good
 * signature vouches for gets in, so nobody outside can choose what is pushed out but by asking with
 * many good tokens. */
#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "token/token_priv.h"

enum { PAYLOAD_MAX = 2048 }; /* 600 bytes are usual; longer ones are verified each time */

struct place {
    char hash[TOKEN_HASH_BYTES];
    char *payload; /* NULL: nothing here */
    size_t n;
};

struct token_cache {
    struct place places[LIMIT_TOKENS_VERIFIED];
};
_Static_assert((LIMIT_TOKENS_VERIFIED & (LIMIT_TOKENS_VERIFIED - 1)) == 0, "a power of two");

struct token_cache *token_cache_new(void)
{
    return MEM_NEW(struct token_cache);
}

void token_cache_free(struct token_cache *c)
{
    for (size_t i = 0; c && i < LIMIT_TOKENS_VERIFIED; i++) {
        free(c->places[i].payload);
    }
    free(c);
}

static struct place *find(struct token_cache *c, const char hash[TOKEN_HASH_BYTES])
{
    uint32_t at;
    memcpy(&at, hash, sizeof at);
    return &c->places[at & (LIMIT_TOKENS_VERIFIED - 1)];
}

static void keep(struct place *p, const char hash[TOKEN_HASH_BYTES], struct span payload)
{
    assert(payload.n > 0);
    if (payload.n <= PAYLOAD_MAX) {
        free(p->payload);
        p->payload = mem_new(payload.n);
        memcpy(p->payload, payload.p, payload.n);
        memcpy(p->hash, hash, TOKEN_HASH_BYTES);
        p->n = payload.n;
    }
}

enum token_fault token_cache_verify(struct token_cache *c, struct arena *a,
                                    const struct token_key *k, struct span issuer, struct span text,
                                    struct token_claims *ret)
{
    char hash[TOKEN_HASH_BYTES];
    struct token_text t;
    if (text.n == 0 || text.n > LIMIT_TOKEN_BYTES) {
        return TOKEN_FOREIGN;
    }
    token_hash(text, hash);
    struct place *p = find(c, hash);
    if (p->payload && memcmp(p->hash, hash, sizeof hash) == 0) {
        bool good = token_claims_parse(a, arena_dup(a, span_of(p->payload, p->n)), ret);
        assert(good);
        return TOKEN_GOOD;
    }
    enum token_fault fault = token_verify(a, k, issuer, text, ret);
    if (fault == TOKEN_GOOD && token_split(a, text, &t)) {
        keep(p, hash, t.payload);
    }
    return fault;
}
