/* Import of OCI and Docker archives. The outer tar is spooled into a work directory file by file
 * (hashed on the way), so that a pipe works and the order of entries does not matter; then its
 * index says what to keep. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/check.h"
#include "base/map.h"
#include "codec/json.h"
#include "image/image_priv.h"
#include "os/os_fs.h"

enum { ARCHIVE_ENTRIES_MAX = 4096, SPOOL_BYTES = 65536, INDEX_DEPTH_MAX = 4, REFS_MAX = 64 };

struct spooled {
    struct span name;    /* as in the archive, "./" removed */
    const char *path;    /* where its bytes are; NULL for a link */
    struct span digest;  /* of its bytes */
    struct span link_to; /* archive name, for links */
    uint64_t size;
};

struct import {
    struct image_store *store;
    struct arena *a;
    struct image_tmp tmp;
    struct map files; /* name -> struct spooled */
    struct map by_digest;
    void (*on_ref)(void *data, struct span ref, struct span digest);
    void *data;
    struct span as;
    struct span *detail;
};

/* ---- spooling ---- */

static struct span entry_name(struct arena *a, const char *in)
{
    struct span s = span_cstr(in);
    while (span_starts(s, SPAN("./"))) {
        s = span_from(s, 2);
    }
    return arena_dup(a, s);
}

static int spool_bytes(struct import *im, struct archive *tar, struct spooled *f)
{
    int fd cleanup_close = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail(im->a, im->detail, -errno, "cannot write %s: %s", f->path, strerror(errno));
    }
    char buf[SPOOL_BYTES];
    struct digest_ctx d;
    digest_begin(&d);
    la_ssize_t n;
    while ((n = archive_read_data(tar, buf, sizeof buf)) > 0) {
        digest_add(&d, buf, (size_t)n);
        f->size += (uint64_t)n;
        ssize_t wrote = write(fd, buf, (size_t)n);
        if (wrote != n) { /* half of it: there was no more room */
            int code = wrote < 0 ? -errno : -ENOSPC;
            digest_abandon(&d);
            return fail(im->a, im->detail, code, "cannot write \"%.*s\" to %s: %s",
                        SPAN_ARG(f->name), im->tmp.path, strerror(-code));
        }
    }
    f->digest = digest_end(&d, im->a);
    if (n < 0) {
        return fail(im->a, im->detail, E_CORRUPT, "the archive is damaged at \"%.*s\": %s",
                    SPAN_ARG(f->name), archive_error_string(tar));
    }
    return 0;
}

static int spool_entry(struct import *im, struct archive *tar, struct archive_entry *e,
                       size_t number)
{
    struct spooled *f = ARENA_NEW(im->a, struct spooled);
    f->name = entry_name(im->a, archive_entry_pathname(e) ? archive_entry_pathname(e) : "");
    const char *link =
        archive_entry_symlink(e) ? archive_entry_symlink(e) : archive_entry_hardlink(e);
    if (link) {
        f->link_to = entry_name(im->a, link);
    } else if (archive_entry_filetype(e) != AE_IFREG) {
        return 0;
    } else {
        f->path = arena_printf(im->a, "%s/f%zu", im->tmp.path, number).p;
        int code = spool_bytes(im, tar, f);
        if (code < 0) {
            return code;
        }
        (void)map_put(&im->by_digest, f->digest, f);
    }
    (void)map_put(&im->files, f->name, f);
    return 0;
}

static int spool_all(struct import *im, int fd)
{
    struct archive *tar = archive_read_new();
    struct archive_entry *e;
    assert(tar);
    archive_read_support_filter_all(tar);
    archive_read_support_format_tar(tar);
    int code = 0, r = archive_read_open_fd(tar, fd, SPOOL_BYTES);
    for (size_t n = 0; code == 0 && r == ARCHIVE_OK; n++) {
        r = archive_read_next_header(tar, &e);
        if (r == ARCHIVE_WARN) {
            r = ARCHIVE_OK;
        }
        if (r == ARCHIVE_OK && n == ARCHIVE_ENTRIES_MAX) {
            code = fail(im->a, im->detail, E_LIMIT, "the archive has more than %d entries",
                        ARCHIVE_ENTRIES_MAX);
        } else if (r == ARCHIVE_OK) {
            code = spool_entry(im, tar, e, n);
        }
    }
    if (code == 0 && r != ARCHIVE_EOF) {
        code = fail(im->a, im->detail, E_SYNTAX, "not a readable image archive: %s",
                    archive_error_string(tar));
    }
    archive_read_free(tar);
    return code;
}

/* Follows links inside the archive (old `docker save` shares layers so). */
static struct spooled *find_file(struct import *im, struct span name)
{
    struct spooled *f = map_get(&im->files, name);
    for (int hops = 0; f && !f->path && hops < 8; hops++) {
        struct span to = f->link_to;
        size_t slash = span_rfind(f->name, '/');
        struct span dir = slash < f->name.n ? span_first(f->name, slash) : SPAN_NULL;
        while (span_starts(to, SPAN("../"))) { /* relative to the link's directory */
            to = span_from(to, 3);
            size_t up = span_rfind(dir, '/');
            dir = up < dir.n ? span_first(dir, up) : SPAN_NULL;
        }
        struct spooled *next = map_get(&im->files, to);
        f = next ? next
                 : map_get(&im->files, arena_printf(im->a, "%.*s%s%.*s", SPAN_ARG(dir),
                                                    dir.n ? "/" : "", SPAN_ARG(to)));
    }
    return f && f->path ? f : NULL;
}

static int parse_file(struct import *im, struct span name, yyjson_val **ret)
{
    struct spooled *f = find_file(im, name);
    struct span text;
    yyjson_doc *doc;
    struct err e = {0};
    if (!f) {
        return fail(im->a, im->detail, E_SYNTAX, "the archive lacks \"%.*s\"", SPAN_ARG(name));
    }
    int code = os_fs_read(im->a, AT_FDCWD, f->path, 4 * 1024 * 1024, &text);
    if (code < 0) {
        return fail(im->a, im->detail, code, "\"%.*s\": %s", SPAN_ARG(name), code_text(code));
    }
    if (json_parse(im->a, text, &doc, &e) != 0) {
        return fail(im->a, im->detail, E_SYNTAX, "\"%.*s\": %.*s", SPAN_ARG(name),
                    SPAN_ARG(e.message));
    }
    *ret = yyjson_doc_get_root(doc);
    return 0;
}

/* Moves the blob of that digest into the store; the digest was computed from the bytes. */
static int adopt(struct import *im, struct span digest)
{
    if (!digest_ok(digest)) {
        return fail(im->a, im->detail, E_SYNTAX, "malformed digest \"%.*s\"", SPAN_ARG(digest));
    }
    if (blob_exists(im->store, digest)) {
        return 0;
    }
    struct spooled *f = map_get(&im->by_digest, digest);
    if (!f) {
        struct span name = arena_printf(im->a, "blobs/sha256/%.*s", SPAN_ARG(digest_hex(digest)));
        struct spooled *wrong = map_get(&im->files, name);
        if (wrong) {
            return fail(im->a, im->detail, E_DIGEST, "\"%.*s\" is damaged: its digest is %.*s",
                        SPAN_ARG(name), SPAN_ARG(wrong->digest));
        }
        return fail(im->a, im->detail, E_SYNTAX, "the archive lacks blob %.*s", SPAN_ARG(digest));
    }
    int code = blob_adopt(im->store, f->path, digest);
    return code < 0 ? fail(im->a, im->detail, code, "cannot store blob %.*s: %s", SPAN_ARG(digest),
                           code_text(code))
                    : 0;
}

/* ---- publishing what the index names ---- */

static int publish(struct import *im, struct span manifest, struct span *raw_refs, size_t n)
{
    struct span refs[REFS_MAX];
    size_t count = 0;
    if (im->as.n) {
        raw_refs = &im->as;
        n = 1;
    }
    for (size_t i = 0; i < n && count < REFS_MAX; i++) {
        if (!image_reference_normalise(im->a, raw_refs[i], &refs[count], im->detail)) {
            return E_SYNTAX;
        }
        count++;
    }
    if (count == 0) {
        return fail(im->a, im->detail, E_SYNTAX,
                    "the archive names no reference for image %.*s: give one with --as NAME:TAG",
                    SPAN_ARG(manifest));
    }
    int code = image_publish(im->store, im->a, manifest, refs, count, false, im->detail);
    for (size_t i = 0; i < count && code == 0; i++) {
        im->on_ref(im->data, refs[i], manifest);
    }
    return code;
}

static bool is_index(const yyjson_val *v)
{
    return json_get(v, "manifests") != NULL;
}

static bool platform_fits(const yyjson_val *descriptor)
{
    yyjson_val *p = json_get(descriptor, "platform");
    struct span arch = json_get_str(p, "architecture"), os = json_get_str(p, "os");
    return !p || ((arch.n == 0 || span_eq(arch, image_host_arch())) &&
                  (os.n == 0 || span_eq(os, SPAN("linux"))));
}

static int adopt_manifest(struct import *im, struct span digest, yyjson_val *manifest)
{
    int code = adopt(im, json_str(json_path(manifest, "config", "digest", NULL)));
    JSON_EACH(it, json_get(manifest, "layers"))
    {
        code = code < 0 ? code : adopt(im, json_get_str(it.val, "digest"));
    }
    return code < 0 ? code : adopt(im, digest);
}

static int import_descriptor(struct import *im, const yyjson_val *descriptor, struct span ref,
                             int depth)
{
    struct span digest = json_get_str(descriptor, "digest");
    yyjson_val *v;
    if (!digest_ok(digest) || depth > INDEX_DEPTH_MAX) {
        return fail(im->a, im->detail, E_SYNTAX, "index.json has a malformed or too deep entry");
    }
    struct span name = arena_printf(im->a, "blobs/sha256/%.*s", SPAN_ARG(digest_hex(digest)));
    int code = parse_file(im, name, &v);
    if (code < 0) {
        return code;
    }
    if (!is_index(v)) {
        code = adopt_manifest(im, digest, v);
        return code < 0 ? code : publish(im, digest, &ref, ref.n ? 1 : 0);
    }
    JSON_EACH(it, json_get(v, "manifests"))
    {
        if (platform_fits(it.val)) {
            return import_descriptor(im, it.val, ref, depth + 1);
        }
    }
    return fail(im->a, im->detail, E_SYNTAX,
                "the archive has no image for this machine (linux/%.*s)",
                SPAN_ARG(image_host_arch()));
}

/* The reference of an index entry: containerd's full name, else the OCI name when it looks like
 * more than a tag. */
static struct span descriptor_ref(const yyjson_val *descriptor)
{
    yyjson_val *ann = json_get(descriptor, "annotations");
    struct span full = json_get_str(ann, "io.containerd.image.name");
    return full.n ? full : json_get_str(ann, "org.opencontainers.image.ref.name");
}

static int import_oci(struct import *im)
{
    yyjson_val *index = NULL;
    int code = parse_file(im, SPAN("index.json"), &index);
    if (code == 0 && json_len(json_get(index, "manifests")) == 0) {
        code = fail(im->a, im->detail, E_SYNTAX, "index.json names no image");
    }
    if (code < 0) {
        return code;
    }
    JSON_EACH(it, json_get(index, "manifests"))
    {
        if (platform_fits(it.val)) {
            code = import_descriptor(im, it.val, descriptor_ref(it.val), 0);
            if (code < 0) {
                return code;
            }
        }
    }
    return 0;
}

/* ---- Docker's format: manifest.json names a config and layer tars; the OCI manifest is ours to
 * write ---- */

static yyjson_mut_val *descriptor_new(yyjson_mut_doc *doc, const char *type,
                                      const struct spooled *f)
{
    yyjson_mut_val *d = yyjson_mut_obj(doc);
    json_put_str(doc, d, "mediaType", span_cstr(type));
    json_put_str(doc, d, "digest", f->digest);
    json_put_int(doc, d, "size", (int64_t)f->size);
    return d;
}

static int docker_manifest(struct import *im, const yyjson_val *entry, struct span *ret_digest)
{
    yyjson_mut_doc *doc = json_mut_new(im->a);
    yyjson_mut_val *m = yyjson_mut_obj(doc), *layers = yyjson_mut_arr(doc);
    struct spooled *config = find_file(im, json_get_str(entry, "Config"));
    if (!config) {
        return fail(im->a, im->detail, E_SYNTAX,
                    "manifest.json names a configuration that the archive lacks");
    }
    json_put_int(doc, m, "schemaVersion", 2);
    json_put_str(doc, m, "mediaType", SPAN("application/vnd.oci.image.manifest.v1+json"));
    json_put(doc, m, "config",
             descriptor_new(doc, "application/vnd.oci.image.config.v1+json", config));
    int code = adopt(im, config->digest);
    JSON_EACH(it, json_get(entry, "Layers"))
    {
        struct spooled *layer = find_file(im, json_str(it.val));
        if (!layer) {
            return fail(im->a, im->detail, E_SYNTAX,
                        "manifest.json names layer \"%.*s\", which the archive lacks",
                        SPAN_ARG(json_str(it.val)));
        }
        yyjson_mut_arr_append(layers,
                              descriptor_new(doc, "application/vnd.oci.image.layer.v1.tar", layer));
        code = code < 0 ? code : adopt(im, layer->digest);
    }
    json_put(doc, m, "layers", layers);
    struct span text = json_write_mut(im->a, m);
    *ret_digest = digest_of(im->a, text);
    code = code < 0 ? code : blob_write(im->store, im->a, text, *ret_digest);
    return code;
}

static int import_docker(struct import *im)
{
    yyjson_val *list = NULL;
    int code = parse_file(im, SPAN("manifest.json"), &list);
    if (code == 0 && json_len(list) == 0) {
        code = fail(im->a, im->detail, E_SYNTAX, "manifest.json names no image");
    }
    if (code < 0) {
        return code;
    }
    JSON_EACH(it, list)
    {
        struct span digest, refs[REFS_MAX];
        size_t n = 0;
        JSON_EACH(tag, json_get(it.val, "RepoTags"))
        {
            if (n < REFS_MAX) {
                refs[n++] = json_str(tag.val);
            }
        }
        code = docker_manifest(im, it.val, &digest);
        code = code < 0 ? code : publish(im, digest, refs, n);
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

int image_import(struct image_store *s, int fd, struct span as, struct arena *a,
                 void (*on_ref)(void *data, struct span ref, struct span digest), void *data,
                 struct span *ret_detail)
{
    assert(fd >= 0);
    assert(on_ref);
    assert(ret_detail);
    struct import im = {
        .store = s, .a = a, .on_ref = on_ref, .data = data, .as = as, .detail = ret_detail};
    int code = image_tmp_new(s, a, &im.tmp);
    if (code < 0) {
        return fail(a, ret_detail, code, "cannot make a work directory in %s: %s", s->root,
                    code_text(code));
    }
    code = spool_all(&im, fd);
    int busy cleanup_close = code < 0 ? code : image_busy(s, a, LOCK_SH);
    if (code == 0 && busy < 0) {
        code = fail(a, ret_detail, busy, "cannot lock %s: %s", s->root, code_text(busy));
    }
    if (code == 0 && map_get(&im.files, SPAN("index.json"))) {
        code = import_oci(&im);
    } else if (code == 0 && map_get(&im.files, SPAN("manifest.json"))) {
        code = import_docker(&im);
    } else if (code == 0) {
        code = fail(a, ret_detail, E_SYNTAX,
                    "neither index.json (OCI) nor manifest.json (Docker) is in the archive");
    }
    image_tmp_done(&im.tmp);
    map_done(&im.files);
    map_done(&im.by_digest);
    return code;
}
