/* kubelet/kubelet_volumes.c: a pod's volumes: from the spec and the referenced objects to
 * descriptions (loop thread), which volume_write.c then makes real (work thread). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "client/client_body.h"
#include "codec/base64.h"
#include "kubelet/kubelet_env_priv.h"
#include "kubelet/kubelet_priv.h"
#include "kubelet/kubelet_volumes_priv.h"
#include "kubelet/volume_write.h"
#include "os/os_fs.h"
#include "schema/status.h"

struct span kubelet_pod_dir(struct arena *a, const struct kubelet_pod *pod)
{
    assert(pod->uid.n > 0);
    return ARENA_JOIN(a, pod->k->options.data_dir, SPAN("/pods/"), pod->uid);
}

/* ---- describing ---- */

struct describe {
    struct kubelet_pod *pod;
    struct arena *a;
    struct volume_desc *v;
    size_t file_cap;
    struct span why;  /* not empty: cannot be had, a sentence */
    bool only_places; /* of volumes that are written already: what is in them is not asked for */
};

static bool refuse(struct describe *d, struct span why)
{
    d->why = why;
    return false;
}

static bool add_file(struct describe *d, struct span path, struct span bytes, mode_t mode)
{
    struct volume_desc *v = d->v;
    struct span rest = path;
    bool bad = path.n == 0 || path.p[0] == '/';
    while (rest.n > 0) {
        struct span part = span_cut(&rest, '/');
        bad |= span_eq_cstr(part, "..") || span_eq_cstr(part, ".") || part.n == 0;
    }
    if (bad || span_starts(path, SPAN(".."))) {
        return refuse(d, arena_printf(d->a, "invalid path \"%.*s\" in volume \"%.*s\"",
                                      SPAN_ARG(path), SPAN_ARG(v->name)));
    }
    if (v->file_count == d->file_cap) {
        size_t cap = d->file_cap ? d->file_cap * 2 : 16;
        struct volume_file *files = ARENA_ARRAY(d->a, struct volume_file, cap);
        for (size_t i = 0; i < v->file_count; i++) {
            files[i] = v->files[i];
        }
        v->files = files;
        d->file_cap = cap;
    }
    v->files[v->file_count++] = (struct volume_file){
        .path = arena_dup(d->a, path), .bytes = arena_dup(d->a, bytes), .mode = mode & 0777};
    return true;
}

/* Bytes of one key of a ConfigMap (data, binaryData) or Secret (data). */
static bool key_bytes(struct describe *d, struct object *o, struct span key, bool secret,
                      struct span *ret)
{
    JSON_EACH(it, json_get(object_root(o), "data"))
    {
        if (span_eq(json_str(it.key), key)) {
            *ret = json_str(it.val);
            return !secret || base64_decode(d->a, *ret, ret);
        }
    }
    JSON_EACH(it, json_get(object_root(o), "binaryData"))
    {
        if (span_eq(json_str(it.key), key)) {
            return base64_decode(d->a, json_str(it.val), ret);
        }
    }
    return false;
}

static bool add_all_keys(struct describe *d, struct object *o, bool secret, mode_t mode)
{
    const char *const lists[] = {"data", "binaryData"};
    for (size_t l = 0; l < 2; l++) {
        JSON_EACH(it, json_get(object_root(o), lists[l]))
        {
            struct span bytes = SPAN_NULL;
            if (!key_bytes(d, o, json_str(it.key), secret, &bytes)) {
                return refuse(d, arena_printf(d->a, "key \"%.*s\" is not valid base64",
                                              SPAN_ARG(json_str(it.key))));
            }
            if (!add_file(d, json_str(it.key), bytes, mode)) {
                return false;
            }
        }
    }
    return true;
}

/* The files of one ConfigMap or Secret source, in a volume of its own or projected. */
static bool add_object(struct describe *d, const yyjson_val *source, const char *kind,
                       struct span name, mode_t mode)
{
    struct kubelet_pod *pod = d->pod;
    bool secret = strcmp(kind, "Secret") == 0;
    const char *word = secret ? "secret" : "configmap";
    bool optional = json_get_bool(source, "optional", false);
    struct object *o = kubelet_ref(pod, kind, pod->ns, name);
    d->v->in_memory |= secret && pod->k->options.secrets_in_memory;
    if (!o) {
        return optional ||
               refuse(d, arena_printf(d->a, "%s \"%.*s\" not found", word, SPAN_ARG(name)));
    }
    const yyjson_val *items = json_get(source, "items");
    if (json_len(items) == 0) {
        return add_all_keys(d, o, secret, mode);
    }
    JSON_EACH(it, items)
    {
        struct span key = json_get_str(it.val, "key"), bytes = SPAN_NULL;
        if (!key_bytes(d, o, key, secret, &bytes)) {
            if (optional) {
                continue;
            }
            return refuse(d, arena_printf(d->a, "references non-existent %s key: %.*s",
                                          secret ? "secret" : "config", SPAN_ARG(key)));
        }
        mode_t item_mode = (mode_t)json_get_int(it.val, "mode", mode);
        if (!add_file(d, json_get_str(it.val, "path"), bytes, item_mode)) {
            return false;
        }
    }
    return true;
}

static bool add_downward(struct describe *d, const yyjson_val *source, mode_t mode)
{
    JSON_EACH(it, json_get(source, "items"))
    {
        const yyjson_val *field = json_get(it.val, "fieldRef");
        const yyjson_val *resource = json_get(it.val, "resourceFieldRef");
        struct span path = json_get_str(field, "fieldPath"), value = SPAN_NULL;
        if (resource && !kubelet_resource_value(d->pod, NULL, resource, d->a, &value)) {
            return refuse(d, arena_printf(d->a,
                                          "unsupported container resource %.*s of container %.*s",
                                          SPAN_ARG(json_get_str(resource, "resource")),
                                          SPAN_ARG(json_get_str(resource, "containerName"))));
        }
        if (!resource && !kubelet_field_value(d->pod, d->a, path, &value)) {
            return refuse(d, arena_printf(d->a, "unsupported fieldPath: %.*s", SPAN_ARG(path)));
        }
        if (!add_file(d, json_get_str(it.val, "path"), value,
                      (mode_t)json_get_int(it.val, "mode", mode))) {
            return false;
        }
    }
    return true;
}

/* Readable by all, unless it is known who needs it: the one user, or the pod's group. */
static bool add_token(struct describe *d, const yyjson_val *source, mode_t mode)
{
    struct span text = kubelet_token(d->pod, json_get_str(source, "audience"),
                                     json_get_int(source, "expirationSeconds", 3600), &d->why);
    int64_t user = kubelet_pod_user(d->pod);
    d->v->in_memory |= d->pod->k->options.secrets_in_memory;
    mode = user >= 0 || d->v->fs_group >= 0 ? 0600 : mode;
    if (text.n == 0 || !add_file(d, json_get_str(source, "path"), text, mode)) {
        return false;
    }
    d->v->files[d->v->file_count - 1].owner = user > 0 ? (uint32_t)user : 0;
    return true;
}

static bool add_projected(struct describe *d, const yyjson_val *projected)
{
    mode_t mode = (mode_t)json_get_int(projected, "defaultMode", 0644);
    JSON_EACH(it, json_get(projected, "sources"))
    {
        const yyjson_val *s = NULL;
        bool ok = false;
        if ((s = json_get(it.val, "configMap")) != NULL) {
            ok = add_object(d, s, "ConfigMap", json_get_str(s, "name"), mode);
        } else if ((s = json_get(it.val, "secret")) != NULL) {
            ok = add_object(d, s, "Secret", json_get_str(s, "name"), mode);
        } else if ((s = json_get(it.val, "downwardAPI")) != NULL) {
            ok = add_downward(d, s, mode);
        } else if ((s = json_get(it.val, "serviceAccountToken")) != NULL) {
            ok = add_token(d, s, mode);
        } else {
            return refuse(d, SPAN("this kind of projected source is not supported by Berth yet "
                                  "(configMap, secret, downwardAPI and serviceAccountToken are)"));
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool describe_claim(struct describe *d, const yyjson_val *claim)
{
    struct kubelet_pod *pod = d->pod;
    struct span name = json_get_str(claim, "claimName");
    struct object *pvc = kubelet_ref(pod, "PersistentVolumeClaim", pod->ns, name);
    if (!pvc) {
        return refuse(
            d, arena_printf(d->a, "persistentvolumeclaim \"%.*s\" not found", SPAN_ARG(name)));
    }
    const yyjson_val *root = object_root(pvc);
    struct span volume = json_str(json_path(root, "spec", "volumeName", NULL));
    if (volume.n == 0 || !span_eq_cstr(status_phase(root), "Bound")) {
        return refuse(d, arena_printf(d->a,
                                      "persistentvolumeclaim \"%.*s\" is not bound to a volume yet",
                                      SPAN_ARG(name)));
    }
    struct object *pv = kubelet_ref(pod, "PersistentVolume", SPAN_NULL, volume);
    if (!pv) {
        return refuse(d,
                      arena_printf(d->a, "persistentvolume \"%.*s\" not found", SPAN_ARG(volume)));
    }
    const yyjson_val *spec = client_spec(pv);
    struct span claimed = json_str(json_path(spec, "claimRef", "uid", NULL));
    if (claimed.n > 0 && !span_eq(claimed, object_uid(pvc))) {
        return refuse(d, arena_printf(d->a, "persistentvolume \"%.*s\" is bound to another claim",
                                      SPAN_ARG(volume)));
    }
    struct span path = json_str(json_path(spec, "local", "path", NULL));
    d->v->kind = VOLUME_LOCAL;
    if (path.n == 0) {
        path = json_str(json_path(spec, "hostPath", "path", NULL));
        d->v->host_type = arena_dup(d->a, json_str(json_path(spec, "hostPath", "type", NULL)));
        d->v->kind = VOLUME_HOST;
    }
    if (path.n == 0 || path.p[0] != '/') {
        return refuse(d,
                      arena_printf(d->a,
                                   "persistentvolume \"%.*s\" is of a kind that Berth cannot mount "
                                   "(local and hostPath are)",
                                   SPAN_ARG(volume)));
    }
    d->v->path = arena_dup(d->a, path);
    return true;
}

static bool describe_files(struct describe *d, const yyjson_val *volume)
{
    static const char *const kinds[] = {"configMap", "secret", "downwardAPI", "projected"};
    const yyjson_val *s = NULL;
    d->v->kind = VOLUME_FILES;
    for (size_t i = 0; d->only_places && i < sizeof kinds / sizeof *kinds; i++) {
        if (json_get(volume, kinds[i])) {
            return true;
        }
    }
    if ((s = json_get(volume, "configMap")) != NULL) {
        return add_object(d, s, "ConfigMap", json_get_str(s, "name"),
                          (mode_t)json_get_int(s, "defaultMode", 0644));
    }
    if ((s = json_get(volume, "secret")) != NULL) {
        return add_object(d, s, "Secret", json_get_str(s, "secretName"),
                          (mode_t)json_get_int(s, "defaultMode", 0644));
    }
    if ((s = json_get(volume, "downwardAPI")) != NULL) {
        return add_downward(d, s, (mode_t)json_get_int(s, "defaultMode", 0644));
    }
    if ((s = json_get(volume, "projected")) != NULL) {
        return add_projected(d, s);
    }
    struct span type = SPAN_NULL;
    JSON_EACH(it, volume)
    {
        if (!span_eq_cstr(json_str(it.key), "name")) {
            type = json_str(it.key);
        }
    }
    return refuse(d, arena_printf(d->a, "volumes of kind %.*s are not supported by Berth yet",
                                  SPAN_ARG(type.n ? type : SPAN("unknown"))));
}

/* False: d->why tells what is missing. */
static bool describe_volume(struct describe *d, const yyjson_val *volume)
{
    struct kubelet_pod *pod = d->pod;
    struct volume_desc *v = d->v;
    const yyjson_val *s = NULL;
    *v =
        (struct volume_desc){.name = arena_dup(d->a, json_get_str(volume, "name")), .fs_group = -1};
    d->file_cap = 0;
    struct span dir = kubelet_pod_dir(d->a, pod);
    v->path = ARENA_JOIN(d->a, dir, SPAN("/volumes/"), v->name);
    v->fs_group = json_get_int(json_get(kubelet_pod_spec(pod), "securityContext"), "fsGroup", -1);
    if ((s = json_get(volume, "persistentVolumeClaim")) != NULL) {
        return describe_claim(d, s);
    }
    if ((s = json_get(volume, "emptyDir")) != NULL) {
        struct span medium = json_get_str(s, "medium");
        v->kind = span_eq_cstr(medium, "Memory") ? VOLUME_TMPFS : VOLUME_EMPTY;
        int64_t size = kubelet_quantity_or(json_get(s, "sizeLimit"), 0);
        v->size_bytes = size > 0 ? (uint64_t)size : 0;
        return true;
    }
    if ((s = json_get(volume, "hostPath")) != NULL) {
        v->kind = VOLUME_HOST;
        v->path = arena_dup(d->a, json_get_str(s, "path"));
        v->host_type = arena_dup(d->a, json_get_str(s, "type"));
        v->fs_group = -1;
        return v->path.n > 0 && v->path.p[0] == '/'
                   ? true
                   : refuse(d, SPAN("hostPath: the path is not absolute"));
    }
    return describe_files(d, volume);
}

void kubelet_volumes_missing(struct kubelet_pod *pod, struct arena *a, struct span *ret_reason,
                             struct span *ret_message)
{
    assert(ret_reason);
    assert(ret_message);
    JSON_EACH(it, json_get(kubelet_pod_spec(pod), "volumes"))
    {
        struct volume_desc v;
        struct describe d = {.pod = pod, .a = a, .v = &v};
        bool pending = pod->refs_pending;
        pod->refs_pending = false;
        bool ok = describe_volume(&d, it.val);
        bool looked_up = !pod->refs_pending;
        pod->refs_pending |= pending;
        if (!ok && looked_up && ret_message->n == 0) {
            *ret_reason = SPAN("FailedMount");
            *ret_message = arena_printf(a, "MountVolume.SetUp failed for volume \"%.*s\" : %.*s",
                                        SPAN_ARG(v.name), SPAN_ARG(d.why));
        }
    }
}

/* ---- the work ---- */

struct job {
    struct env_work work;
    struct env_task task;
    struct kubelet_op *op;
    struct arena *arena;
    struct volume_desc *volumes;
    size_t count;
    struct span dir; /* teardown: DATA/pods/UID */
    bool teardown, remove;
    void (*done)(struct kubelet_op *op, int code, struct span detail);
    int code;
    struct span detail, warning;
};

static struct job *job_new(struct kubelet_pod *pod,
                           void (*done)(struct kubelet_op *op, int code, struct span detail))
{
    struct job *j = MEM_NEW(struct job);
    j->arena = arena_new();
    j->op = kubelet_op_new(pod, NULL);
    j->op->outlives = true;
    j->done = done;
    return j;
}

static void job_end(struct job *j)
{
    if (j->warning.n && j->op->pod) {
        kubelet_event(j->op->pod, NULL, EVENT_WARNING, "VolumeSizeNotEnforced", "%.*s",
                      SPAN_ARG(j->warning));
    }
    j->done(j->op, j->code, j->detail);
    arena_free(j->arena);
    free(j);
}

static void job_run(struct env_work *work)
{
    struct job *j = CONTAINER_OF(work, struct job, work);
    if (j->teardown) {
        j->code = volume_teardown(j->dir.p, j->remove, j->arena, &j->detail);
        return;
    }
    for (size_t i = 0; i < j->count && j->code == 0; i++) {
        struct span why = SPAN_NULL, warning = SPAN_NULL;
        j->code = volume_prepare(&j->volumes[i], j->arena, &warning, &why);
        if (warning.n) {
            j->warning = arena_printf(j->arena, "volume \"%.*s\" %.*s",
                                      SPAN_ARG(j->volumes[i].name), SPAN_ARG(warning));
        }
        if (j->code < 0) {
            j->detail =
                arena_printf(j->arena, "MountVolume.SetUp failed for volume \"%.*s\" : %.*s",
                             SPAN_ARG(j->volumes[i].name), SPAN_ARG(why));
        }
    }
}

static void job_work_done(struct env_work *work)
{
    job_end(CONTAINER_OF(work, struct job, work));
}

static void job_task(struct env_task *task)
{
    job_end(CONTAINER_OF(task, struct job, task));
}

static void job_start(struct job *j)
{
    struct kubelet *k = j->op->pod->k;
    if (k->options.no_files || (!j->teardown && (j->count == 0 || j->code < 0))) {
        env_post(k->env, &j->task, job_task);
        return;
    }
    env_work_start(k->env, &j->work, job_run, job_work_done);
}

void kubelet_volumes_prepare(struct kubelet_pod *pod,
                             void (*done)(struct kubelet_op *op, int code, struct span detail))
{
    assert(done);
    struct job *j = job_new(pod, done);
    const yyjson_val *list = json_get(kubelet_pod_spec(pod), "volumes");
    j->volumes = ARENA_ARRAY(j->arena, struct volume_desc, json_len(list) + 1);
    JSON_EACH(it, list)
    {
        struct describe d = {.pod = pod, .a = j->arena, .v = &j->volumes[j->count++]};
        if (!describe_volume(&d, it.val)) {
            j->code = -ENOENT; /* went away since the check of this turn */
            j->detail = d.why;
            break;
        }
    }
    pod->volumes_stale = false;
    job_start(j);
}

static void on_refreshed(struct kubelet_op *op, int code, struct span detail)
{
    struct arena *keep cleanup_arena = TAKE_PTR(op->arena);
    struct kubelet_pod *pod = kubelet_op_end(op);
    if (!pod) {
        return;
    }
    pod->volumes_writing = false;
    if (code < 0) {
        kubelet_event(pod, NULL, EVENT_WARNING, "FailedMount", "%.*s", SPAN_ARG(detail));
    }
    if (pod->volumes_stale && !pod->refs_pending) { /* a reference that arrives pokes by itself */
        kubelet_pod_poke(pod);
    }
}

void kubelet_volumes_refresh(struct kubelet_pod *pod)
{
    assert(pod->k);
    if (!pod->volumes_stale || pod->volumes_writing || pod->view.volumes.state != POD_PREP_DONE ||
        !pod->object) {
        return;
    }
    struct job *j = job_new(pod, on_refreshed);
    const yyjson_val *list = json_get(kubelet_pod_spec(pod), "volumes");
    j->volumes = ARENA_ARRAY(j->arena, struct volume_desc, json_len(list) + 1);
    pod->refs_pending = false;
    JSON_EACH(it, list)
    {
        struct volume_desc v;
        struct describe d = {.pod = pod, .a = j->arena, .v = &v};
        /* What vanished stays as it was last written. */
        if (describe_volume(&d, it.val) && v.kind == VOLUME_FILES) {
            j->volumes[j->count++] = v;
        }
    }
    pod->volumes_stale = pod->refs_pending;
    pod->volumes_writing = true;
    job_start(j);
}

void kubelet_volumes_teardown(struct kubelet_pod *pod,
                              void (*done)(struct kubelet_op *op, int code, struct span detail))
{
    assert(done);
    struct job *j = job_new(pod, done);
    j->teardown = true;
    j->remove = !pod->k->stopping || !pod->view.exists;
    j->dir = kubelet_pod_dir(j->arena, pod);
    job_start(j);
}

/* ---- mounts of one container ---- */

/* Opens sub in the volume as a process whose root it is would; made when absent, with the volume's
 * own mode and group (fsGroup). Links that a container planted cannot lead out. */
static int open_sub_path(struct arena *a, int volume, struct span sub)
{
    const char *name = arena_cstr(a, sub);
    int fd = os_fs_open_in_root(volume, name, O_PATH);
    if (fd != -ENOENT) {
        return fd;
    }
    struct stat st;
    int code = fstat(volume, &st) == 0 ? os_fs_mkdirs_in_root(a, volume, sub, 0777) : -errno;
    fd = code == 0 ? os_fs_open_in_root(volume, name, O_RDONLY | O_DIRECTORY) : code;
    if (fd >= 0) {
        (void)fchmod(fd, st.st_mode & 07777);
        (void)fchown(fd, (uid_t)-1, st.st_gid);
    }
    return fd;
}

/* The host path of a path inside a volume. */
static int sub_path(struct describe *d, struct span sub, struct span *path)
{
    struct arena *a = d->a;
    struct span rest = sub;
    if (sub.p[0] == '/') {
        d->why = arena_printf(a, "subPath \"%.*s\" must not be an absolute path", SPAN_ARG(sub));
        return -1;
    }
    while (rest.n > 0) {
        if (span_eq_cstr(span_cut(&rest, '/'), "..")) {
            d->why = arena_printf(a, "subPath \"%.*s\" contains \"..\"", SPAN_ARG(sub));
            return -1;
        }
    }
    cleanup_close int volume = open(arena_cstr(a, *path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int fd = volume >= 0 ? open_sub_path(a, volume, sub) : -errno;
    char full[PATH_MAX];
    struct span link = arena_printf(a, "/proc/self/fd/%d", fd);
    ssize_t n = fd >= 0 ? readlink(link.p, full, sizeof full) : -1;
    if (n < 0 || (size_t)n == sizeof full) {
        d->why = arena_printf(a, "subPath \"%.*s\" of %.*s: %s", SPAN_ARG(sub), SPAN_ARG(*path),
                              code_text(fd < 0 ? fd : -errno));
        return -1;
    }
    *path = arena_dup(a, span_of(full, (size_t)n));
    return 0;
}

static const yyjson_val *find_volume(struct kubelet_pod *pod, struct span name)
{
    return json_find(json_get(kubelet_pod_spec(pod), "volumes"), "name", name);
}

int kubelet_volumes_mounts(struct kubelet_pod *pod, const yyjson_val *container, struct arena *a,
                           struct runtime_mount **ret, size_t *ret_count, struct span *ret_detail)
{
    assert(ret);
    assert(ret_count);
    assert(ret_detail);
    const yyjson_val *list = json_get(container, "volumeMounts");
    struct runtime_mount *out = ARENA_ARRAY(a, struct runtime_mount, json_len(list) + 1);
    size_t n = 0;
    JSON_EACH(it, list)
    {
        struct volume_desc v;
        struct describe d = {.pod = pod, .a = a, .v = &v, .only_places = true};
        struct span name = json_get_str(it.val, "name");
        const yyjson_val *volume = find_volume(pod, name);
        if (!volume || !describe_volume(&d, volume)) {
            *ret_detail = volume ? d.why : arena_printf(a, "no volume \"%.*s\"", SPAN_ARG(name));
            return -1;
        }
        struct span sub = json_get_str(it.val, "subPath");
        struct span expr = json_get_str(it.val, "subPathExpr");
        if (expr.n > 0) {
            struct kubelet_env_result env;
            kubelet_env_build(pod, container, NULL, a, &env);
            sub = kubelet_env_expand(a, expr, env.env, env.env_count, NULL);
        }
        if (sub.n > 0 && !pod->k->options.no_files && sub_path(&d, sub, &v.path) < 0) {
            *ret_detail = d.why;
            return -1;
        }
        bool claim_ro = json_get_bool(json_get(volume, "persistentVolumeClaim"), "readOnly", false);
        out[n++] = (struct runtime_mount){
            .source = v.path,
            .target = json_get_str(it.val, "mountPath"),
            .read_only =
                json_get_bool(it.val, "readOnly", false) || claim_ro || v.kind == VOLUME_FILES,
        };
    }
    *ret = out;
    *ret_count = n;
    return 0;
}
