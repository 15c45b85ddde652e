/* References, manifests, configurations, removal. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "codec/json.h"
#include "image/image_priv.h"
#include "os/os_fs.h"

enum { MANIFEST_BYTES_MAX = 2 * 1024 * 1024, LAYERS_MAX = 256 };

int image_store_open(struct span data_dir, struct arena *a, struct image_store **ret,
                     struct span *ret_detail)
{
    assert(data_dir.n > 0);
    assert(ret);
    assert(ret_detail);
    struct image_store s = {
        .root = (char *)(uintptr_t)arena_printf(a, "%.*s/images", SPAN_ARG(data_dir)).p};
    static const char *const dirs[] = {"", "/blobs", "/blobs/sha256", "/layers", "/tmp"};
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        const char *path = arena_printf(a, "%s%s", s.root, dirs[i]).p;
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            return fail(a, ret_detail, -errno, "cannot make the image directory %s: %s", path,
                        strerror(errno));
        }
    }
    *ret = MEM_NEW(struct image_store);
    (*ret)->root = mem_strdup(s.root);
    return 0;
}

void image_store_free(struct image_store *s)
{
    if (s) {
        free(s->root);
        free(s);
    }
}

/* ---- blobs and layers ---- */

static const char *blob_path(const struct image_store *s, struct arena *a, struct span digest)
{
    return image_path(s, a, "blobs/sha256/%.*s", SPAN_ARG(digest_hex(digest)));
}

static const char *layer_path(const struct image_store *s, struct arena *a, struct span diff_id)
{
    return image_path(s, a, "layers/%.*s", SPAN_ARG(digest_hex(diff_id)));
}

bool blob_exists(const struct image_store *s, struct span digest)
{
    assert(s);
    struct arena *a cleanup_arena = arena_new();
    return access(blob_path(s, a, digest), R_OK) == 0;
}

int blob_adopt(const struct image_store *s, const char *path, struct span digest)
{
    assert(path);
    struct arena *a cleanup_arena = arena_new();
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        return -errno;
    }
    return rename(path, blob_path(s, a, digest)) != 0 ? -errno : 0;
}

int blob_write(const struct image_store *s, struct arena *a, struct span content,
               struct span digest)
{
    return os_fs_write_atomic(blob_path(s, a, digest), content, 0644, true);
}

static bool layer_exists(const struct image_store *s, struct span diff_id)
{
    struct arena *a cleanup_arena = arena_new();
    return access(layer_path(s, a, diff_id), F_OK) == 0;
}

/* ---- references ---- */

static int refs_lock(const struct image_store *s, struct arena *a, int mode)
{
    int fd = open(image_path(s, a, "lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && flock(fd, mode) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

int image_busy(const struct image_store *s, struct arena *a, int mode)
{
    int fd = open(image_path(s, a, "busy"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -errno;
    }
    if (flock(fd, mode) != 0) {
        int code = -errno;
        (void)close(fd);
        return code;
    }
    return fd;
}

/* {"refs": {REF: DIGEST}, "pulled": {REF: true}}, or NULL when there is no file yet. */
static int refs_load(const struct image_store *s, struct arena *a, yyjson_val **ret)
{
    struct span text;
    yyjson_doc *doc;
    *ret = NULL;
    int code = os_fs_read(a, AT_FDCWD, image_path(s, a, "refs.json"), MANIFEST_BYTES_MAX, &text);
    if (code == -ENOENT) {
        return 0;
    }
    if (code < 0) {
        return code;
    }
    if (json_parse(a, text, &doc, NULL) != 0) {
        return E_CORRUPT;
    }
    *ret = yyjson_doc_get_root(doc);
    return 0;
}

static int refs_save(const struct image_store *s, struct arena *a, const yyjson_mut_val *root)
{
    return os_fs_write_atomic(image_path(s, a, "refs.json"), json_write_mut(a, root), 0644, true);
}

/* Points references at a manifest, under the lock. */
static int refs_set(const struct image_store *s, struct arena *a, const struct span *refs, size_t n,
                    struct span digest, bool pulled)
{
    int lock cleanup_close = refs_lock(s, a, LOCK_EX);
    yyjson_val *old = NULL;
    int code = lock < 0 ? -errno : refs_load(s, a, &old);
    if (code < 0) {
        return code;
    }
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *root = old ? json_mut_copy(doc, old) : yyjson_mut_obj(doc);
    yyjson_mut_val *all = json_mut_obj(doc, root, "refs");
    yyjson_mut_val *origin = json_mut_obj(doc, root, "pulled");
    for (size_t i = 0; i < n; i++) {
        json_put_span(doc, all, refs[i], json_new_str(doc, digest));
        if (pulled) {
            json_put_span(doc, origin, refs[i], yyjson_mut_true(doc));
        } else {
            json_remove_span(origin, refs[i]);
        }
    }
    return refs_save(s, a, root);
}

/* ---- manifests ---- */

static struct span *string_array(struct arena *a, const yyjson_val *arr, size_t *ret_count)
{
    struct span *out = ARENA_ARRAY(a, struct span, json_len(arr) + 1);
    size_t n = 0;
    JSON_EACH(it, arr)
    {
        out[n++] = arena_dup(a, json_str(it.val));
    }
    *ret_count = n;
    return out;
}

static int load_blob_json(const struct image_store *s, struct arena *a, struct span digest,
                          yyjson_val **ret, struct span *detail)
{
    struct span text;
    yyjson_doc *doc;
    int code = os_fs_read(a, AT_FDCWD, blob_path(s, a, digest), MANIFEST_BYTES_MAX, &text);
    if (code < 0) {
        return fail(a, detail, code, "blob %.*s: %s", SPAN_ARG(digest), code_text(code));
    }
    struct err e = {0};
    if (json_parse(a, text, &doc, &e) != 0) {
        return fail(a, detail, E_SYNTAX, "blob %.*s: %.*s", SPAN_ARG(digest), SPAN_ARG(e.message));
    }
    *ret = yyjson_doc_get_root(doc);
    return 0;
}

static int read_layers(const struct image_store *s, struct arena *a, yyjson_val *manifest,
                       yyjson_val *config, struct image_manifest *ret, struct image_config *out,
                       struct span *detail)
{
    yyjson_val *layers = json_get(manifest, "layers");
    size_t diff_count;
    ret->layer_count = json_len(layers);
    ret->diff_ids = string_array(a, json_path(config, "rootfs", "diff_ids", NULL), &diff_count);
    if (diff_count != ret->layer_count || diff_count > LAYERS_MAX) {
        return fail(a, detail, E_SYNTAX,
                    "the manifest has %zu layers but the configuration names %zu (at most %d)",
                    ret->layer_count, diff_count, LAYERS_MAX);
    }
    ret->layer_digests = ARENA_ARRAY(a, struct span, ret->layer_count + 1);
    struct span *dirs = ARENA_ARRAY(a, struct span, ret->layer_count + 1);
    size_t i = 0;
    JSON_EACH(it, layers)
    {
        ret->layer_digests[i] = arena_dup(a, json_get_str(it.val, "digest"));
        out->size_bytes += (uint64_t)json_get_int(it.val, "size", 0);
        if (!digest_ok(ret->layer_digests[i]) || !digest_ok(ret->diff_ids[i])) {
            return fail(a, detail, E_SYNTAX, "layer %zu has a malformed digest", i);
        }
        dirs[i] = span_cstr(layer_path(s, a, ret->diff_ids[i]));
        i++;
    }
    out->layers = dirs;
    out->layer_count = i;
    return 0;
}

/* Reads and checks a stored manifest and its config. */
static int manifest_load(const struct image_store *s, struct arena *a, struct span digest,
                         struct image_manifest *ret, struct image_config *ret_config,
                         struct span *detail)
{
    yyjson_val *manifest = NULL, *config = NULL;
    int code = load_blob_json(s, a, digest, &manifest, detail);
    if (code < 0) {
        return code;
    }
    struct span config_digest = json_str(json_path(manifest, "config", "digest", NULL));
    if (!digest_ok(config_digest)) {
        return fail(a, detail, E_SYNTAX, "%.*s is not an image manifest: it names no configuration",
                    SPAN_ARG(digest));
    }
    *ret = (struct image_manifest){.config_digest = config_digest};
    code = load_blob_json(s, a, config_digest, &config, detail);
    if (code < 0) {
        return code;
    }
    yyjson_val *c = json_get(config, "config");
    *ret_config = (struct image_config){
        .id = arena_dup(a, digest),
        .user = json_get_str(c, "User"),
        .workdir = json_get_str(c, "WorkingDir"),
        .stop_signal = json_get_str(c, "StopSignal"),
    };
    ret_config->entrypoint =
        string_array(a, json_get(c, "Entrypoint"), &ret_config->entrypoint_count);
    ret_config->cmd = string_array(a, json_get(c, "Cmd"), &ret_config->cmd_count);
    ret_config->env = string_array(a, json_get(c, "Env"), &ret_config->env_count);
    return read_layers(s, a, manifest, config, ret, ret_config, detail);
}

static int config_of(struct image_store *s, struct arena *a, struct span ref, struct span digest,
                     struct image_config *ret)
{
    struct image_manifest m = {0};
    if (!digest_ok(digest)) {
        return E_CORRUPT;
    }
    int code = manifest_load(s, a, digest, &m, ret, NULL);
    if (code < 0) {
        return code;
    }
    for (size_t i = 0; i < m.layer_count; i++) {
        if (!layer_exists(s, m.diff_ids[i])) {
            return -ENOENT;
        }
    }
    ret->reference = arena_dup(a, ref);
    return 0;
}

int image_find(struct image_store *s, struct span ref, struct arena *a, struct image_config *ret)
{
    assert(ret);
    yyjson_val *root;
    if (digest_ok(ref)) {
        return config_of(s, a, ref, ref, ret);
    }
    int code = refs_load(s, a, &root);
    if (code < 0) {
        return code;
    }
    yyjson_val *refs = json_get(root, "refs");
    yyjson_val *digest = refs ? yyjson_obj_getn(refs, ref.p, ref.n) : NULL;
    size_t at = span_find(ref, '@');
    if (!digest && at < ref.n && digest_ok(span_from(ref, at + 1))) {
        /* By digest: whatever reference brought it. */
        return config_of(s, a, ref, span_from(ref, at + 1), ret);
    }
    return digest ? config_of(s, a, ref, json_str(digest), ret) : -ENOENT;
}

static int by_reference(const void *x, const void *y)
{
    const struct image_config *a = x, *b = y;
    return span_cmp(a->reference, b->reference);
}

int image_list(struct image_store *s, struct arena *a, struct image_config **ret, size_t *ret_count)
{
    assert(ret);
    assert(ret_count);
    yyjson_val *root;
    int code = refs_load(s, a, &root);
    if (code < 0) {
        return code;
    }
    const yyjson_val *refs = json_get(root, "refs"), *pulled = json_get(root, "pulled");
    *ret = ARENA_ARRAY(a, struct image_config, json_len(refs) + 1);
    size_t n = 0;
    JSON_EACH(it, refs)
    {
        if (config_of(s, a, json_str(it.key), json_str(it.val), &(*ret)[n]) == 0) {
            (*ret)[n++].is_imported = !json_get_span(pulled, json_str(it.key));
        }
    }
    qsort(*ret, n, sizeof **ret, by_reference);
    *ret_count = n;
    return 0;
}

/* ---- removal ---- */

struct keep_set {
    struct map names; /* hexadecimal names of blobs and layers that references need */
};

static void keep(struct keep_set *k, struct span digest)
{
    static char yes;
    if (digest_ok(digest)) {
        (void)map_put(&k->names, digest_hex(digest), &yes);
    }
}

static void keep_manifest(const struct image_store *s, struct arena *a, struct keep_set *k,
                          struct span digest)
{
    struct image_manifest m;
    struct image_config c;
    keep(k, digest);
    if (!digest_ok(digest) || manifest_load(s, a, digest, &m, &c, NULL) < 0) {
        return;
    }
    keep(k, m.config_digest);
    for (size_t i = 0; i < m.layer_count; i++) {
        keep(k, m.layer_digests[i]);
        keep(k, m.diff_ids[i]);
    }
}

/* True when an overlay mount of this machine stands on the layer. */
static bool layer_in_use(struct span mountinfo, struct span hex)
{
    return memmem(mountinfo.p, mountinfo.n, hex.p, hex.n) != NULL;
}

static struct span read_mountinfo(struct arena *a)
{
    FILE *f cleanup_fclose = fopen("/proc/self/mountinfo", "re");
    char *p = NULL;
    size_t n = 0;
    if (f && getdelim(&p, &n, '\0', f) > 0) {
        struct span text = arena_dup(a, span_cstr(p));
        free(p);
        return text;
    }
    free(p);
    return SPAN("");
}

static int keep_used(const struct image_store *s, struct arena *a, struct keep_set *k,
                     const struct image_users *users)
{
    struct image_user *list = NULL;
    size_t n = 0;
    int code = users->list ? users->list(users->data, a, &list, &n) : 0;
    for (size_t i = 0; i < n && code == 0; i++) {
        keep_manifest(s, a, k, list[i].image_id);
    }
    return code;
}

static bool is_wanted(const struct keep_set *k, struct span name, struct span mounts)
{
    return name.n != DIGEST_HEX_BYTES || map_get(&k->names, name) || layer_in_use(mounts, name);
}

/* Moves to the directory `to` what is not wanted (back: what is). */
static void move_some(const struct keep_set *k, struct arena *a, const char *from, const char *to,
                      bool back)
{
    struct span mounts = read_mountinfo(a);
    DIR *d = opendir(from);
    struct dirent *e;
    while (d && (e = readdir(d)) != NULL) {
        struct span name = span_cstr(e->d_name);
        if (name.n == DIGEST_HEX_BYTES && is_wanted(k, name, mounts) == back) {
            (void)rename(arena_printf(a, "%s/%s", from, e->d_name).p,
                         arena_printf(a, "%s/%s", to, e->d_name).p);
        }
    }
    if (d) {
        (void)closedir(d);
    }
}

/* A container that is being made says so first and looks for its layers last (runtime/). So they
 * are put aside first, and lost only when nobody has come for them meanwhile. */
static int sweep_layers(const struct image_store *s, struct arena *a, struct keep_set *k,
                        const struct image_users *users)
{
    struct image_tmp aside;
    int code = image_tmp_new(s, a, &aside);
    if (code < 0) {
        return code;
    }
    const char *layers = image_path(s, a, "layers");
    move_some(k, a, layers, aside.path, false);
    code = keep_used(s, a, k, users);
    if (code == 0) {
        move_some(k, a, aside.path, layers, true);
    } else { /* not known: nothing is lost */
        struct keep_set none = {MAP_INIT};
        move_some(&none, a, aside.path, layers, false);
    }
    image_tmp_done(&aside);
    return code;
}

static void sweep_blobs(const struct image_store *s, struct arena *a, const struct keep_set *k)
{
    DIR *d = opendir(image_path(s, a, "blobs/sha256"));
    struct dirent *e;
    while (d && (e = readdir(d)) != NULL) {
        struct span name = span_cstr(e->d_name);
        if (name.n == DIGEST_HEX_BYTES && !map_get(&k->names, name)) {
            (void)unlink(image_path(s, a, "blobs/sha256/%s", e->d_name));
        }
    }
    if (d) {
        (void)closedir(d);
    }
}

/* What a container was made from stays: it may be started again. */
static int check_unused(struct arena *a, struct span digest, const struct image_users *users,
                        struct span *detail)
{
    struct image_user *list = NULL;
    size_t n = 0;
    int code = users->list ? users->list(users->data, a, &list, &n) : 0;
    if (code < 0) {
        return fail(a, detail, code, "cannot tell which containers use it: %s", code_text(code));
    }
    for (size_t i = 0; i < n; i++) {
        if (span_eq(list[i].image_id, digest)) {
            return fail(a, detail, -EBUSY,
                        "container %.*s uses it: delete its pod first, then remove the image",
                        SPAN_ARG(list[i].container));
        }
    }
    return 0;
}

/* What pulls and imports under way have brought has no reference yet: it is left to the next
 * removal. */
static int sweep(const struct image_store *s, struct arena *a, struct keep_set *k,
                 const struct image_users *users)
{
    int alone cleanup_close = image_busy(s, a, LOCK_EX | LOCK_NB);
    if (alone == -EWOULDBLOCK) {
        return 0;
    }
    int code = alone < 0 ? alone : sweep_layers(s, a, k, users);
    if (code == 0) {
        sweep_blobs(s, a, k);
    }
    return code;
}

/* Takes away the reference (id empty), or every reference to the image. Under the lock. */
static int drop(const struct image_store *s, struct arena *a, const yyjson_val *root,
                struct span ref, struct span id, const struct image_users *users)
{
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *left = yyjson_mut_obj(doc);
    yyjson_mut_val *refs = json_mut_obj(doc, left, "refs");
    yyjson_mut_val *pulled = json_mut_obj(doc, left, "pulled");
    struct keep_set k = {MAP_INIT};
    JSON_EACH(it, json_get(root, "refs"))
    {
        struct span name = json_str(it.key), digest = json_str(it.val);
        if (id.n ? span_eq(digest, id) : span_eq(name, ref)) {
            continue;
        }
        json_put_span(doc, refs, name, json_new_str(doc, digest));
        if (json_get_span(json_get(root, "pulled"), name)) {
            json_put_span(doc, pulled, name, yyjson_mut_true(doc));
        }
        keep_manifest(s, a, &k, digest);
    }
    int code = keep_used(s, a, &k, users);
    code = code ? code : refs_save(s, a, left);
    code = code ? code : sweep(s, a, &k, users);
    map_done(&k.names);
    return code;
}

/* One of ref and id is empty. */
static int remove_some(struct image_store *s, struct span ref, struct span id,
                       const struct image_users *users, struct arena *a, struct span *detail)
{
    static const struct image_users nobody = {NULL, NULL};
    users = users ? users : &nobody;
    *detail = SPAN_NULL;
    int lock cleanup_close = refs_lock(s, a, LOCK_EX);
    yyjson_val *root = NULL;
    int code = lock < 0 ? -errno : refs_load(s, a, &root);
    if (code < 0) {
        return fail(a, detail, code, "the references cannot be read: %s", code_text(code));
    }
    const yyjson_val *refs = json_get(root, "refs");
    struct span digest = id.n ? id : json_str(json_get_span(refs, ref));
    if (!digest.n) {
        return fail(a, detail, -ENOENT, "no such image");
    }
    size_t others = 0;
    JSON_EACH(it, refs)
    {
        others += !id.n && span_eq(json_str(it.val), digest) && !span_eq(json_str(it.key), ref);
    }
    code = others ? 0 : check_unused(a, digest, users, detail);
    if (code < 0) {
        return code;
    }
    code = drop(s, a, root, ref, id, users);
    return code < 0 ? fail(a, detail, code, "not removed: %s", code_text(code)) : 0;
}

int image_remove(struct image_store *s, struct span ref, const struct image_users *users,
                 struct arena *a, struct span *ret_detail)
{
    assert(ref.n > 0);
    assert(ret_detail);
    return remove_some(s, ref, SPAN_NULL, users, a, ret_detail);
}

int image_remove_id(struct image_store *s, struct span id, const struct image_users *users,
                    struct arena *a, struct span *ret_detail)
{
    assert(digest_ok(id));
    assert(ret_detail);
    return remove_some(s, SPAN_NULL, id, users, a, ret_detail);
}

int image_disk(const struct image_store *s, uint64_t *ret_available, uint64_t *ret_capacity)
{
    assert(ret_available);
    assert(ret_capacity);
    struct os_fs_space space = {0};
    int code = os_fs_space(s->root, &space);
    if (code == 0) {
        *ret_available = space.free_bytes;
        *ret_capacity = space.total_bytes;
    }
    return code;
}

/* ---- publishing ---- */

int image_publish(struct image_store *s, struct arena *a, struct span manifest_digest,
                  const struct span *refs, size_t ref_count, bool pulled, struct span *detail)
{
    struct image_manifest m = {0};
    struct image_config c;
    struct image_tmp tmp;
    int code = manifest_load(s, a, manifest_digest, &m, &c, detail);
    if (code < 0) {
        return code;
    }
    code = image_tmp_new(s, a, &tmp);
    if (code < 0) {
        return fail(a, detail, code, "cannot make a work directory: %s", code_text(code));
    }
    bool any = false;
    for (size_t i = 0; i < m.layer_count && code == 0; i++) {
        if (!layer_exists(s, m.diff_ids[i])) {
            const char *into = arena_printf(a, "%s/%zu", tmp.path, i).p;
            code =
                layer_unpack(a, blob_path(s, a, m.layer_digests[i]), into, m.diff_ids[i], detail);
            any = true;
        }
    }
    if (code == 0 && any && (code = sync_tree(tmp.path)) < 0) {
        (void)fail(a, detail, code, "cannot sync the layers: %s", code_text(code));
    }
    for (size_t i = 0; i < m.layer_count && code == 0; i++) {
        const char *from = arena_printf(a, "%s/%zu", tmp.path, i).p;
        if (access(from, F_OK) == 0 && rename(from, layer_path(s, a, m.diff_ids[i])) != 0 &&
            errno != EEXIST && errno != ENOTEMPTY) { /* another process was first: as good */
            code = fail(a, detail, -errno, "cannot publish layer %zu: %s", i, strerror(errno));
        }
    }
    image_tmp_done(&tmp);
    if (code == 0 && (code = refs_set(s, a, refs, ref_count, manifest_digest, pulled)) < 0) {
        (void)fail(a, detail, code, "cannot write the references: %s", code_text(code));
    }
    return code;
}
