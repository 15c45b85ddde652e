/* Tokens of accounts: nothing that was not signed is good, and claims that are taken are whole. */
#include "base/check.h"
#include "token/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena *a cleanup_arena = arena_new();
    struct span text = span_of((const char *)bytes, n);
    struct token_text t;
    struct token_claims c;
    if (token_split(a, text, &t)) {
        assert(t.signed_part.n < n && t.payload.n < n);
        (void)token_issuer(a, t.payload);
    }
    /* The payload as it is: no fuzzer finds one in base64. */
    if (token_claims_parse(a, text, &c)) {
        assert(c.ns.n && c.account.name.n && c.account.uid.n && c.subject.n);
        assert(c.audience_count ? c.expires_s > 0 : c.secret.name.n > 0);
    }
    return 0;
}
