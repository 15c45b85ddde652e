/* References: [HOST[:PORT]/]PATH[:TAG][@DIGEST], with Docker's defaults for what is left out. */
#include <ctype.h>

#include "base/check.h"
#include "image/image_priv.h"

enum { REFERENCE_BYTES_MAX = 512, TAG_BYTES_MAX = 128 };

static bool path_ok(struct span path)
{
    if (path.n == 0 || path.p[0] == '/' || path.p[path.n - 1] == '/') {
        return false;
    }
    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool joint = c == '.' || c == '_' || c == '-' || c == '/';
        if (!word && !joint) {
            return false;
        }
        if (c == '/' && path.p[i - 1] == '/') {
            return false;
        }
    }
    return true;
}

static bool tag_ok(struct span tag)
{
    for (size_t i = 0; i < tag.n; i++) {
        if (!isalnum((unsigned char)tag.p[i]) && !strchr("_.-", tag.p[i])) {
            return false;
        }
    }
    return tag.n > 0 && tag.n <= TAG_BYTES_MAX && tag.p[0] != '.' && tag.p[0] != '-';
}

static bool host_ok(struct span host)
{
    for (size_t i = 0; i < host.n; i++) {
        if (!isalnum((unsigned char)host.p[i]) && !strchr(".-:[]", host.p[i])) {
            return false;
        }
    }
    return host.n > 0;
}

/* The part before the first '/' names a host when it has a dot or a port, or is localhost. */
static bool looks_like_host(struct span first)
{
    return span_find(first, '.') < first.n || span_find(first, ':') < first.n ||
           span_eq(first, SPAN("localhost"));
}

bool image_reference_normalise(struct arena *a, struct span in, struct span *ret,
                               struct span *ret_detail)
{
    assert(ret);
    assert(ret_detail);
    struct span rest = in, host = SPAN("docker.io"), tag = SPAN_NULL, digest = SPAN_NULL;
    const char *wrong = NULL;
    size_t at = span_find(rest, '@');
    if (at < rest.n) {
        digest = span_from(rest, at + 1);
        rest = span_first(rest, at);
    }
    size_t slash = span_find(rest, '/');
    if (slash < rest.n && looks_like_host(span_first(rest, slash))) {
        host = span_first(rest, slash);
        rest = span_from(rest, slash + 1);
    }
    if (span_eq(host, SPAN("index.docker.io"))) {
        host = SPAN("docker.io");
    }
    size_t colon = span_rfind(rest, ':');
    if (colon < rest.n) {
        tag = span_from(rest, colon + 1);
        rest = span_first(rest, colon);
    }
    if (in.n == 0 || in.n > REFERENCE_BYTES_MAX) {
        wrong = "it is empty or longer than 512 bytes";
    } else if (!host_ok(host)) {
        wrong = "the host part has a character that no host name has";
    } else if (!path_ok(rest)) {
        wrong = "the name may have lower-case letters, digits, '.', '_', '-' and '/' only";
    } else if (colon < SIZE_MAX && tag.p && !tag_ok(tag)) {
        wrong = "the tag is malformed";
    } else if (digest.p && !digest_ok(digest)) {
        wrong = "the digest is not sha256: and 64 hexadecimal digits";
    }
    if (wrong) {
        *ret_detail = arena_printf(a, "invalid image reference \"%.*s\": %s",
                                   SPAN_ARG(span_first(in, REFERENCE_BYTES_MAX)), wrong);
        return false;
    }
    bool library = span_eq(host, SPAN("docker.io")) && span_find(rest, '/') == rest.n;
    struct span name =
        arena_printf(a, "%.*s/%s%.*s", SPAN_ARG(host), library ? "library/" : "", SPAN_ARG(rest));
    if (digest.p) {
        *ret = arena_printf(a, "%.*s@%.*s", SPAN_ARG(name), SPAN_ARG(digest));
    } else {
        *ret = arena_printf(a, "%.*s:%.*s", SPAN_ARG(name), SPAN_ARG(tag.p ? tag : SPAN("latest")));
    }
    return true;
}

bool image_reference_is_latest(struct span ref)
{
    return span_find(ref, '@') == ref.n && span_ends(ref, SPAN(":latest"));
}

struct span image_host_arch(void)
{
#if defined(__x86_64__)
    return SPAN("amd64");
#elif defined(__aarch64__)
    return SPAN("arm64");
#elif defined(__arm__)
    return SPAN("arm");
#elif defined(__riscv)
    return SPAN("riscv64");
#elif defined(__powerpc64__)
    return SPAN("ppc64le");
#elif defined(__s390x__)
    return SPAN("s390x");
#else
    return SPAN("386");
#endif
}
