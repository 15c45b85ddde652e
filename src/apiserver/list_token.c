#include "apiserver/list_token.h"

#include "base/check.h"

struct span list_token_make(struct arena *a, const struct list_token *t)
{
    assert(t->rev >= 0);
    assert(t->key.n);
    return arena_printf(a, "%llx.%llx.%llx.%llx.%.*s", (unsigned long long)t->rev,
                        (unsigned long long)t->snapshot, (unsigned long long)t->at,
                        (unsigned long long)t->query, SPAN_ARG(t->key));
}

static bool take_hex(struct span *rest, uint64_t *ret)
{
    struct span text = span_cut(rest, '.');
    *ret = 0;
    if (text.n == 0 || text.n > 16) {
        return false;
    }
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
        *ret = *ret << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

/* Keys of the store are plain text. */
static bool is_key(struct span text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] <= ' ' || text.p[i] > '~') {
            return false;
        }
    }
    return text.n > 0;
}

bool list_token_parse(struct span text, struct list_token *ret)
{
    assert(ret);
    struct list_token t;
    uint64_t rev;
    if (!take_hex(&text, &rev) || !take_hex(&text, &t.snapshot) || !take_hex(&text, &t.at) ||
        !take_hex(&text, &t.query) || rev > INT64_MAX || !is_key(text)) {
        return false;
    }
    t.rev = (int64_t)rev;
    t.key = text;
    *ret = t;
    return true;
}

/* FNV-1a. The hash of the maps has a new seed in each life of the server. */
static uint64_t add(uint64_t hash, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        hash = (hash ^ (unsigned char)s.p[i]) * UINT64_C(0x100000001b3);
    }
    return (hash ^ 0xff) * UINT64_C(0x100000001b3); /* between parts: in no text */
}

uint64_t list_token_query(struct span resource, struct span ns, struct span labels,
                          struct span fields)
{
    assert(resource.n > 0);
    return add(add(add(add(UINT64_C(0xcbf29ce484222325), resource), ns), labels), fields);
}
