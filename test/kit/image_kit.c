#include "kit/image_kit.h"

#include <archive.h>
#include <archive_entry.h>
#include <openssl/sha.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kit/kit.h"

static la_ssize_t append(struct archive *a, void *data, const void *p, size_t n)
{
    (void)a;
    strbuf_put(data, span_of(p, n));
    return (la_ssize_t)n;
}

void kit_tar(struct strbuf *out, const struct kit_entry *entries, size_t n, bool gzip)
{
    struct archive *a = archive_write_new();
    archive_write_set_format_pax_restricted(a);
    if (gzip) {
        archive_write_add_filter_gzip(a);
    }
    archive_write_set_bytes_in_last_block(a, 1);
    archive_write_open(a, out, NULL, append, NULL);
    for (size_t i = 0; i < n; i++) {
        const struct kit_entry *e = &entries[i];
        struct archive_entry *ae = archive_entry_new();
        archive_entry_set_pathname(ae, e->name);
        archive_entry_set_perm(ae, e->mode ? e->mode : 0755);
        archive_entry_set_mtime(ae, 1000000000, 0);
        archive_entry_set_filetype(ae, e->symlink                  ? AE_IFLNK
                                       : e->content || e->hardlink ? AE_IFREG
                                                                   : AE_IFDIR);
        if (e->symlink) {
            archive_entry_set_symlink(ae, e->symlink);
        }
        if (e->hardlink) {
            archive_entry_set_hardlink(ae, e->hardlink);
        }
        if (e->content) {
            archive_entry_set_size(ae, (la_int64_t)strlen(e->content));
        }
        if (e->xattr_name) {
            archive_entry_xattr_add_entry(ae, e->xattr_name, e->xattr_value,
                                          strlen(e->xattr_value));
        }
        CHECK_EQ(archive_write_header(a, ae), ARCHIVE_OK);
        if (e->content) {
            CHECK_EQ(archive_write_data(a, e->content, strlen(e->content)), strlen(e->content));
        }
        archive_entry_free(ae);
    }
    archive_write_close(a);
    archive_write_free(a);
}

struct span kit_digest(struct arena *a, struct span bytes)
{
    unsigned char raw[32];
    SHA256((const unsigned char *)bytes.p, bytes.n, raw);
    struct strbuf b cleanup_strbuf = STRBUF_INIT;
    strbuf_puts(&b, "sha256:");
    for (int i = 0; i < 32; i++) {
        strbuf_printf(&b, "%02x", raw[i]);
    }
    return arena_dup(a, strbuf_span(&b));
}

struct span kit_oci_archive(struct arena *a, struct strbuf *out, const char *ref,
                            const struct strbuf *tars, const struct strbuf *blobs, size_t layers,
                            bool break_layer)
{
    struct strbuf diffs cleanup_strbuf = STRBUF_INIT, descs cleanup_strbuf = STRBUF_INIT;
    struct archive *w = archive_write_new();
    archive_write_set_format_pax_restricted(w);
    archive_write_open(w, out, NULL, append, NULL);
    struct {
        struct span name, content;
    } files[16];
    size_t n = 0;
    for (size_t i = 0; i < layers; i++) {
        struct span d = kit_digest(a, strbuf_span(&blobs[i]));
        struct span diff = kit_digest(a, strbuf_span(&tars[i]));
        strbuf_printf(&diffs, "%s\"%s\"", i ? "," : "", diff.p);
        strbuf_printf(&descs,
                      "%s{\"mediaType\":\"application/"
                      "vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}",
                      i ? "," : "", d.p, blobs[i].n);
        struct span content = arena_dup(a, strbuf_span(&blobs[i]));
        if (break_layer && i == 0) {
            ((char *)(uintptr_t)content.p)[content.n / 2] ^= 1;
        }
        files[n].name = arena_printf(a, "blobs/sha256/%s", d.p + 7);
        files[n++].content = content;
    }
    struct span config =
        arena_printf(a,
                     "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Entrypoint\":[\"/"
                     "bin/e\"],\"Cmd\":[\"c\"],"
                     "\"Env\":[\"A=b\"],\"WorkingDir\":\"/"
                     "w\",\"User\":\"7:8\"},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
                     diffs.p ? diffs.p : "");
    struct span cd = kit_digest(a, config);
    struct span manifest = arena_printf(
        a, "{\"schemaVersion\":2,\"config\":{\"digest\":\"%s\",\"size\":%zu},\"layers\":[%s]}",
        cd.p, config.n, descs.p ? descs.p : "");
    struct span md = kit_digest(a, manifest);
    struct span index = arena_printf(
        a,
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/"
        "vnd.oci.image.manifest.v1+json\","
        "\"digest\":\"%s\",\"size\":%zu%s%s%s}]}",
        md.p, manifest.n, ref ? ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"" : "",
        ref ? ref : "", ref ? "\"}" : "");
    files[n].name = arena_printf(a, "blobs/sha256/%s", cd.p + 7);
    files[n++].content = config;
    files[n].name = arena_printf(a, "blobs/sha256/%s", md.p + 7);
    files[n++].content = manifest;
    files[n].name = SPAN("oci-layout");
    files[n++].content = SPAN("{\"imageLayoutVersion\":\"1.0.0\"}");
    files[n].name = SPAN("index.json");
    files[n++].content = index;
    for (size_t i = 0; i < n; i++) {
        struct archive_entry *ae = archive_entry_new();
        archive_entry_set_pathname(ae, files[i].name.p);
        archive_entry_set_perm(ae, 0644);
        archive_entry_set_filetype(ae, AE_IFREG);
        archive_entry_set_size(ae, (la_int64_t)files[i].content.n);
        CHECK_EQ(archive_write_header(w, ae), ARCHIVE_OK);
        CHECK_EQ(archive_write_data(w, files[i].content.p, files[i].content.n), files[i].content.n);
        archive_entry_free(ae);
    }
    archive_write_close(w);
    archive_write_free(w);
    return md;
}

int kit_fd_of(struct span content)
{
    int fd = memfd_create("kit", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, content.p, content.n), content.n);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}
