/* kubelet/kubelet_start.c: the start of one container: its complete description for the runtime,
 * and what follows. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "kubelet/kubelet_check_priv.h"
#include "kubelet/kubelet_env_priv.h"
#include "kubelet/kubelet_logs_priv.h"
#include "kubelet/kubelet_resize.h"
#include "kubelet/kubelet_start_priv.h"
#include "kubelet/kubelet_volumes_priv.h"

/* Logs of all but this and the previous attempt are dropped. */
static void prune_logs(struct kubelet_container *c, uint32_t attempt)
{
    struct arena *a cleanup_arena = arena_new();
    struct span path = kubelet_log_path(a, c, attempt);
    struct span dir = arena_dup(a, span_first(path, span_rfind(path, '/')));
    DIR *d = attempt >= 2 ? opendir(dir.p) : NULL;
    if (!d) {
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct span rest = span_cstr(e->d_name);
        uint64_t n = 0;
        if (span_to_u64(span_cut(&rest, '.'), &n) && n + 1 < attempt) {
            (void)unlinkat(dirfd(d), e->d_name, 0);
        }
    }
    (void)closedir(d);
}

static int make_files(struct kubelet_container *c, const yyjson_val *spec, struct arena *a,
                      struct runtime_container_spec *s)
{
    if (c->pod->k->options.no_files) {
        return 0;
    }
    s->log_path = kubelet_log_path(a, c, s->attempt);
    struct span dir = arena_dup(a, span_first(s->log_path, span_rfind(s->log_path, '/')));
    int code = kubelet_mkdirs(dir.p, 0755);
    prune_logs(c, s->attempt);
    struct span term = arena_printf(a, "%.*s/termination", SPAN_ARG(kubelet_pod_dir(a, c->pod)));
    if (code == 0) {
        code = kubelet_mkdirs(term.p, 0755);
    }
    s->termination_log =
        arena_printf(a, "%.*s/%.*s-%u", SPAN_ARG(term), SPAN_ARG(c->v->name), s->attempt);
    s->termination_log_target = json_get_str(spec, "terminationMessagePath");
    if (s->termination_log_target.n == 0) {
        s->termination_log_target = SPAN("/dev/termination-log");
    }
    cleanup_close int fd =
        code == 0 ? open(s->termination_log.p, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666) : -1;
    if (code == 0 && fd < 0) {
        code = -errno;
    }
    if (fd >= 0) {
        (void)fchmod(fd, 0666); /* the process may have any uid */
    }
    return code;
}

static void put_capabilities(struct arena *a, const yyjson_val *list, const struct span **ret,
                             size_t *ret_n)
{
    struct span *out = ARENA_ARRAY(a, struct span, json_len(list) + 1);
    JSON_EACH(it, list)
    {
        struct span name = json_str(it.val);
        out[(*ret_n)++] = span_starts(name, SPAN("CAP_")) ? span_from(name, 4) : name;
    }
    *ret = out;
}

static void put_security(struct kubelet_container *c, const yyjson_val *spec, struct arena *a,
                         struct runtime_container_spec *s)
{
    const yyjson_val *mine = json_get(spec, "securityContext");
    const yyjson_val *pods = json_get(kubelet_pod_spec(c->pod), "securityContext");
    s->host_pid = json_get_bool(kubelet_pod_spec(c->pod), "hostPID", false);
    s->host_ipc = json_get_bool(kubelet_pod_spec(c->pod), "hostIPC", false);
    s->privileged = json_get_bool(mine, "privileged", false);
    s->read_only_root = json_get_bool(mine, "readOnlyRootFilesystem", false);
    s->no_new_privileges = !s->privileged && !json_get_bool(mine, "allowPrivilegeEscalation", true);
    const yyjson_val *caps = json_get(mine, "capabilities");
    put_capabilities(a, json_get(caps, "add"), &s->add_capabilities, &s->add_capability_count);
    put_capabilities(a, json_get(caps, "drop"), &s->drop_capabilities, &s->drop_capability_count);
    const yyjson_val *groups = json_get(pods, "supplementalGroups");
    uint32_t *out = ARENA_ARRAY(a, uint32_t, json_len(groups) + 1);
    JSON_EACH(it, groups)
    {
        out[s->group_count++] = (uint32_t)json_int(it.val, 0);
    }
    if (json_get(pods, "fsGroup")) {
        out[s->group_count++] = (uint32_t)json_get_int(pods, "fsGroup", 0);
    }
    s->groups = out;
}

enum { PROFILE_MAX_BYTES = 256 * 1024 };

/* A profile of the node: DATA/seccomp/NAME, which must not lead out of there. */
static bool read_profile(struct kubelet_container *c, struct span name, struct arena *a,
                         struct span *ret, struct span *ret_why)
{
    struct span root = c->pod->k->options.data_dir;
    struct span path = arena_printf(a, "%.*s/seccomp/%.*s", SPAN_ARG(root), SPAN_ARG(name));
    bool leaves = name.n == 0 || name.p[0] == '/';
    for (struct span rest = name; rest.n > 0;) {
        leaves |= span_eq_cstr(span_cut(&rest, '/'), "..");
    }
    if (leaves) {
        *ret_why = arena_printf(a,
                                "localhostProfile \"%.*s\" must be a path below the node's "
                                "directory %.*s/seccomp",
                                SPAN_ARG(name), SPAN_ARG(root));
        return false;
    }
    int code = kubelet_read_file(a, path.p, PROFILE_MAX_BYTES, ret);
    yyjson_doc *doc = NULL;
    struct err err = {0};
    if (code < 0) {
        *ret_why = arena_printf(a, "cannot load seccomp profile \"%.*s\": %s", SPAN_ARG(path),
                                code_text(code));
        return false;
    }
    if (json_parse(a, *ret, &doc, &err) != 0 || !yyjson_is_obj(yyjson_doc_get_root(doc))) {
        *ret_why = arena_printf(a, "seccomp profile \"%.*s\" is not a JSON object: %.*s",
                                SPAN_ARG(path), SPAN_ARG(err.message));
        return false;
    }
    return true;
}

/* The container's own profile, or the pod's; none is Unconfined, as on Kubernetes. */
static bool put_seccomp(struct kubelet_container *c, const yyjson_val *spec, struct arena *a,
                        struct runtime_container_spec *s, struct span *ret_why)
{
    const yyjson_val *profile = json_path(spec, "securityContext", "seccompProfile", NULL);
    if (!profile) {
        profile = json_path(kubelet_pod_spec(c->pod), "securityContext", "seccompProfile", NULL);
    }
    struct span type = json_get_str(profile, "type");
    if (span_eq_cstr(type, "RuntimeDefault")) {
        s->seccomp = RUNTIME_SECCOMP_DEFAULT;
    } else if (span_eq_cstr(type, "Localhost")) {
        s->seccomp = RUNTIME_SECCOMP_PROFILE;
        return read_profile(c, json_get_str(profile, "localhostProfile"), a, &s->seccomp_profile,
                            ret_why);
    }
    return true;
}

static void put_resources(struct kubelet_container *c, struct arena *a,
                          struct runtime_container_spec *s)
{
    struct runtime_limits limits;
    kubelet_limits(kubelet_resize_start(c, a), &limits, &s->memory_request_bytes);
    s->memory_limit_bytes = limits.memory_limit_bytes;
    s->cpu_milli_limit = limits.cpu_milli_limit;
    s->cpu_milli_request = limits.cpu_milli_request;
}

/* An ephemeral container that was told to look at another one shares its process namespace. */
static void put_target(struct kubelet_container *c, const yyjson_val *spec, struct arena *a,
                       struct runtime_container_spec *s)
{
    struct span name = c->extra ? json_get_str(spec, "targetContainerName") : SPAN_NULL;
    const struct kubelet_container *target = name.n ? kubelet_pod_container(c->pod, name) : NULL;
    if (target && !s->host_pid) {
        s->pid_of = kubelet_container_id(a, target, target->v->attempt);
    }
}

static void start_failed(struct kubelet_container *c, int32_t exit_code, struct span message)
{
    int64_t now = env_now_ms(c->pod->k->env);
    kubelet_container_event(c, POD_EVENT_START_FAILED);
    c->v->has_result = true;
    c->v->result = (struct pod_result){.exit_code = exit_code,
                                       .start_failed = true,
                                       .started_ms = now,
                                       .finished_ms = now,
                                       .attempt = c->v->attempt};
    kubelet_keep(&c->v->result.message, message);
    kubelet_keep(&c->v->end_cause, SPAN_NULL);
    if (c->v->image_prep.state == POD_PREP_DONE) {
        c->v->image_prep.state = POD_PREP_TODO; /* the image may be what is gone */
    }
    kubelet_event(c->pod, c, EVENT_WARNING, "Failed", "Error: %.*s", SPAN_ARG(message));
    kubelet_pod_poke(c->pod);
}

static void on_post_start(void *data, enum kubelet_check_result result, struct span output)
{
    struct kubelet_container *c = data;
    c->hook = NULL;
    if (result != KUBELET_CHECK_OK) {
        c->v->unhealthy = true;
        kubelet_cause_hook(c, output);
        kubelet_event(c->pod, c, EVENT_WARNING, "FailedPostStartHook", "PostStartHook failed: %.*s",
                      SPAN_ARG(output));
    } else if (c->v->instance == POD_INSTANCE_RUNNING) {
        kubelet_keep(&c->v->unready_cause, SPAN_NULL);
        kubelet_probes_start(c);
    }
    kubelet_pod_poke(c->pod);
}

static void on_start(void *data, int code, const struct runtime_status *status, struct span detail)
{
    struct kubelet_op *op = data;
    struct kubelet_container *c = op->c;
    uint32_t attempt = op->attempt;
    struct arena *keep cleanup_arena = TAKE_PTR(op->arena);
    struct kubelet_pod *pod = kubelet_op_end(op);
    if (!pod || c->v->attempt != attempt) {
        return;
    }
    if (code < 0 && c->v->instance == POD_INSTANCE_STARTING) {
        int32_t exit_code = code == -ENOENT ? 127 : code == -EACCES ? 126 : 128;
        start_failed(c, exit_code, detail.n ? detail : span_cstr(code_text(code)));
        return;
    }
    if (code < 0) {
        return; /* its exit came first and says more */
    }
    kubelet_event(pod, c, EVENT_NORMAL, "Created", "Created container: %.*s", SPAN_ARG(c->v->name));
    kubelet_event(pod, c, EVENT_NORMAL, "Started", "Started container %.*s", SPAN_ARG(c->v->name));
    kubelet_pod_poke(pod);
    if (c->v->instance != POD_INSTANCE_STARTING) {
        return; /* it has ended already */
    }
    kubelet_container_event(c, POD_EVENT_STARTED);
    c->v->started_ms = status && status->started_ms ? status->started_ms : env_now_ms(pod->k->env);
    const yyjson_val *hook = json_path(kubelet_container_spec(c), "lifecycle", "postStart", NULL);
    if (hook && !c->hook) {
        /* As on Kubernetes, nobody takes it for started before its hook has ended. */
        kubelet_keep(&c->v->unready_cause, SPAN("its postStart hook has not ended yet"));
        c->hook = kubelet_check_new(c, hook, 0, on_post_start, c);
    }
    kubelet_started(c);
    kubelet_resize_started(c);
}

/* Supplied before anything is handed over, so that a failure leaves nothing behind. */
static bool describe(struct kubelet_container *c, const yyjson_val *spec, struct arena *a,
                     struct runtime_container_spec *s, struct span *ret_why)
{
    struct kubelet_env_result env;
    struct runtime_mount *mounts = NULL;
    kubelet_env_build(c->pod, spec, &c->image, a, &env);
    if (env.reason.n > 0) {
        *ret_why = env.message;
        return false;
    }
    s->args = env.args;
    s->arg_count = env.arg_count;
    s->env = env.env;
    s->env_count = env.env_count;
    s->cwd = env.cwd;
    s->user = env.user;
    if (s->arg_count == 0) {
        *ret_why = SPAN("no command specified");
        return false;
    }
    if (kubelet_volumes_mounts(c->pod, spec, a, &mounts, &s->mount_count, ret_why) < 0) {
        return false;
    }
    s->mounts = mounts;
    if (!put_seccomp(c, spec, a, s, ret_why)) {
        return false;
    }
    int code = make_files(c, spec, a, s);
    if (code < 0) {
        *ret_why = arena_printf(a, "cannot make the container's files: %s", code_text(code));
        return false;
    }
    return true;
}

void kubelet_step_start(struct kubelet_container *c, uint32_t attempt)
{
    struct kubelet_pod *pod = c->pod;
    struct pod_container_view *v = c->v;
    assert(v->instance == POD_INSTANCE_NONE);
    v->restarts_in_a_row = pod_restarts_after(v);
    if (v->has_result) {
        kubelet_keep(&v->last.message, SPAN_NULL);
        v->last = v->result;
        v->result = (struct pod_result){0};
        v->has_last = true;
        v->has_result = false;
    }
    v->attempt = attempt;
    v->has_attempt = true;
    v->stale = v->unhealthy = v->renewed = v->kill_sent = v->ready = v->started = false;
    v->unhealthy_grace_ms = 0;
    kubelet_container_event(c, POD_EVENT_START);
    kubelet_keep(&v->ran_image, v->image);
    const yyjson_val *spec = kubelet_container_spec(c);
    struct kubelet_op *op = kubelet_op_new(pod, c);
    struct arena *a = op->arena;
    struct runtime_container_spec *s = ARENA_NEW(a, struct runtime_container_spec);
    s->sandbox_uid = pod->uid;
    s->name = v->name;
    s->attempt = attempt;
    s->rootfs_image = c->image.id;
    s->stop_signal = c->stop_signal = kubelet_stop_signal(c);
    s->image = v->image;
    s->tty = json_get_bool(spec, "tty", false);
    s->with_stdin = json_get_bool(spec, "stdin", false);
    s->stdin_once = json_get_bool(spec, "stdinOnce", false);
    put_security(c, spec, a, s);
    put_resources(c, a, s);
    put_target(c, spec, a, s);
    struct span why = SPAN_NULL;
    if (!describe(c, spec, a, s, &why)) {
        struct arena *keep cleanup_arena = TAKE_PTR(op->arena);
        (void)kubelet_op_end(op);
        start_failed(c, 128, why);
        return;
    }
    pod->k->runtime->ops->container_start(pod->k->runtime, s, on_start, op);
}
