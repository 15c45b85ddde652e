/* Pulling: index -> manifest for this machine -> blobs (resumed, verified) -> layers. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "codec/json.h"
#include "image/image_priv.h"
#include "image/image_registry.h"

enum { INDEX_HOPS_MAX = 3 };

struct pull {
    struct image_store *store;
    struct arena *a;
    const struct image_pull_options *options;
    struct registry *registry;
    struct span *detail;
};

static struct span arch_of(const struct pull *p)
{
    return p->options->platform_arch.n ? p->options->platform_arch : image_host_arch();
}

static const yyjson_val *choose(const struct pull *p, const yyjson_val *index)
{
    JSON_EACH(it, json_get(index, "manifests"))
    {
        yyjson_val *platform = json_get(it.val, "platform");
        if (span_eq(json_get_str(platform, "os"), SPAN("linux")) &&
            span_eq(json_get_str(platform, "architecture"), arch_of(p))) {
            return it.val;
        }
    }
    return NULL;
}

/* The image manifest for this machine and its digest. */
static int fetch_manifest(struct pull *p, yyjson_val **ret, struct span *ret_text,
                          struct span *ret_digest)
{
    struct span version = registry_version(p->registry);
    for (int hop = 0; hop < INDEX_HOPS_MAX; hop++) {
        yyjson_doc *doc;
        struct err e = {0};
        int code = registry_get_manifest(p->registry, version, ret_text, p->detail);
        if (code < 0) {
            return code;
        }
        *ret_digest = digest_of(p->a, *ret_text);
        if (digest_ok(version) && !span_eq(version, *ret_digest)) {
            return fail(p->a, p->detail, E_DIGEST, "the manifest's digest is %.*s, not %.*s",
                        SPAN_ARG(*ret_digest), SPAN_ARG(version));
        }
        if (json_parse(p->a, *ret_text, &doc, &e) != 0) {
            return fail(p->a, p->detail, E_SYNTAX, "manifest: %.*s", SPAN_ARG(e.message));
        }
        *ret = yyjson_doc_get_root(doc);
        if (!json_get(*ret, "manifests")) {
            return 0;
        }
        const yyjson_val *chosen = choose(p, *ret);
        version = json_get_str(chosen, "digest");
        if (!digest_ok(version)) {
            return fail(p->a, p->detail, -ENOENT, "there is no image for linux/%.*s",
                        SPAN_ARG(arch_of(p)));
        }
    }
    return fail(p->a, p->detail, E_SYNTAX, "indexes point at indexes");
}

static int fetch_blob(struct pull *p, const yyjson_val *descriptor)
{
    struct span digest = json_get_str(descriptor, "digest");
    int64_t size = json_get_int(descriptor, "size", -1);
    if (!digest_ok(digest) || size < 0) {
        return fail(p->a, p->detail, E_SYNTAX, "the manifest has a malformed descriptor");
    }
    if (blob_exists(p->store, digest)) {
        return 0;
    }
    const char *path = image_path(p->store, p->a, "tmp/partial-%.*s", SPAN_ARG(digest_hex(digest)));
    int fd cleanup_close = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        return fail(p->a, p->detail, -errno, "cannot open %s: %s", path, strerror(errno));
    }
    if (blob_exists(p->store, digest)) {
        return 0; /* another pull was faster while we waited */
    }
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_size > size) {
        (void)!ftruncate(fd, 0);
    }
    int code = registry_get_blob(p->registry, digest, fd, (uint64_t)size, p->detail);
    if (code < 0) {
        return code; /* what has arrived stays: the next pull resumes */
    }
    struct span got = digest_of_file(p->a, path);
    if (!span_eq(got, digest)) {
        (void)unlink(path);
        return fail(p->a, p->detail, E_DIGEST, "blob %.*s arrived as %.*s", SPAN_ARG(digest),
                    SPAN_ARG(got));
    }
    code = blob_adopt(p->store, path, digest);
    return code < 0 ? fail(p->a, p->detail, code, "cannot store blob %.*s: %s", SPAN_ARG(digest),
                           code_text(code))
                    : 0;
}

static int pull_all(struct pull *p, struct span ref)
{
    yyjson_val *manifest = NULL;
    struct span text, digest;
    int code = fetch_manifest(p, &manifest, &text, &digest);
    if (code == 0 && !json_get(manifest, "config")) {
        code = fail(p->a, p->detail, E_SYNTAX,
                    "the registry answered with a manifest of an unsupported old form");
    }
    code = code < 0 ? code : fetch_blob(p, json_get(manifest, "config"));
    JSON_EACH(it, json_get(manifest, "layers"))
    {
        code = code < 0 ? code : fetch_blob(p, it.val);
    }
    code = code < 0 ? code : blob_write(p->store, p->a, text, digest);
    return code < 0 ? code : image_publish(p->store, p->a, digest, &ref, 1, true, p->detail);
}

int image_pull(struct image_store *s, struct span ref, const struct image_pull_options *options,
               struct arena *a, struct image_config *ret, struct span *ret_detail)
{
    assert(options);
    assert(ret);
    assert(ret_detail);
    struct span why = SPAN_NULL;
    int busy cleanup_close = image_busy(s, a, LOCK_SH);
    if (busy < 0) {
        return fail(a, ret_detail, busy, "failed to pull image \"%.*s\": cannot lock %s: %s",
                    SPAN_ARG(ref), s->root, code_text(busy));
    }
    struct pull p = {.store = s, .a = a, .options = options, .detail = &why};
    p.registry = registry_new(a, ref, options);
    int code = pull_all(&p, ref);
    registry_free(p.registry);
    code = code < 0 ? code : image_find(s, ref, a, ret);
    if (code < 0) {
        return fail(a, ret_detail, code, "failed to pull image \"%.*s\": %.*s", SPAN_ARG(ref),
                    SPAN_ARG(why.n ? why : span_cstr(code_text(code))));
    }
    return 0;
}
