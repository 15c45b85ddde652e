#include <fcntl.h>

#include "base/check.h"
#include "image/image_priv.h"

bool digest_ok(struct span digest)
{
    assert(digest.p || digest.n == 0);
    if (digest.n != 7 + DIGEST_HEX_BYTES || !span_starts(digest, SPAN("sha256:"))) {
        return false;
    }
    for (size_t i = 7; i < digest.n; i++) {
        char c = digest.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
}

struct span digest_hex(struct span digest)
{
    assert(digest_ok(digest));
    return span_from(digest, 7);
}

void digest_begin(struct digest_ctx *d)
{
    d->md = EVP_MD_CTX_new();
    assert(d->md);
    int ok = EVP_DigestInit_ex(d->md, EVP_sha256(), NULL);
    assert(ok == 1);
}

void digest_add(struct digest_ctx *d, const void *p, size_t n)
{
    int ok = EVP_DigestUpdate(d->md, p, n);
    assert(ok == 1);
}

struct span digest_end(struct digest_ctx *d, struct arena *a)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char raw[32];
    unsigned n = 0;
    int ok = EVP_DigestFinal_ex(d->md, raw, &n);
    assert(ok == 1);
    assert(n == sizeof raw);
    digest_abandon(d);
    struct span out = arena_dup(
        a, SPAN("sha256:0000000000000000000000000000000000000000000000000000000000000000"));
    char *p = (char *)(uintptr_t)out.p + 7;
    for (size_t i = 0; i < sizeof raw; i++) {
        p[2 * i] = hex[raw[i] >> 4];
        p[2 * i + 1] = hex[raw[i] & 15];
    }
    return out;
}

void digest_abandon(struct digest_ctx *d)
{
    EVP_MD_CTX_free(d->md);
    d->md = NULL;
}

struct span digest_of(struct arena *a, struct span bytes)
{
    assert(a);
    struct digest_ctx d;
    digest_begin(&d);
    digest_add(&d, bytes.p, bytes.n);
    return digest_end(&d, a);
}

struct span digest_of_file(struct arena *a, const char *path)
{
    assert(path);
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return SPAN_NULL;
    }
    struct digest_ctx d;
    digest_begin(&d);
    char buf[65536];
    ssize_t n;
    while ((n = read(fd, buf, sizeof buf)) > 0) {
        digest_add(&d, buf, (size_t)n);
    }
    if (n < 0) {
        digest_abandon(&d);
        return SPAN_NULL;
    }
    return digest_end(&d, a);
}
