/* kubelet/kubelet_step.c: the steps that a plan asks for. Each marks itself in the pod's view, so
 * that it is not planned again, and pokes the pod when its result is there. */
#include <errno.h>
#include <signal.h>

#include "base/check.h"
#include "base/log.h"
#include "codec/base64.h"
#include "kubelet/kubelet_check_priv.h"
#include "kubelet/kubelet_dns.h"
#include "kubelet/kubelet_env_priv.h"
#include "kubelet/kubelet_logs_priv.h"
#include "kubelet/kubelet_start_priv.h"
#include "kubelet/kubelet_volumes_priv.h"

/* ---- preparing: volumes, sandbox, image ---- */

static void prep_failed(struct kubelet_pod *pod, struct pod_prep *p, struct span message)
{
    assert(p->state == POD_PREP_BUSY);
    p->state = POD_PREP_FAILED;
    p->failures++;
    p->failed_ms = env_now_ms(pod->k->env);
    kubelet_keep(&p->message, message);
}

static void prep_done(struct pod_prep *p)
{
    assert(p->state == POD_PREP_BUSY);
    p->state = POD_PREP_DONE;
    p->failures = 0;
}

static void on_volumes(struct kubelet_op *op, int code, struct span detail)
{
    struct arena *keep cleanup_arena = TAKE_PTR(op->arena);
    struct kubelet_pod *pod = kubelet_op_end(op);
    if (!pod) {
        return;
    }
    if (code == 0) {
        prep_done(&pod->view.volumes);
    } else {
        prep_failed(pod, &pod->view.volumes, detail);
        kubelet_event(pod, NULL, EVENT_WARNING, "FailedMount", "%.*s", SPAN_ARG(detail));
    }
    kubelet_pod_poke(pod);
}

static void on_torn_down(struct kubelet_op *op, int code, struct span detail)
{
    struct arena *keep cleanup_arena = TAKE_PTR(op->arena);
    struct kubelet_pod *pod = kubelet_op_end(op);
    if (!pod) {
        return;
    }
    if (code < 0) {
        /* Kept for the next start to try again: a busy mount must not hold up the pod's successor.
         */
        log_event(LOG_WARN, "kubelet_teardown_failed", LOG_S("pod", pod->name),
                  LOG_S("detail", detail));
    }
    assert(pod->view.volumes.state == POD_PREP_UNDOING);
    pod->view.volumes.state = POD_PREP_TODO;
    kubelet_pod_poke(pod);
}

static void on_sandbox(void *data, int code, struct span ip, struct span detail)
{
    struct kubelet_op *op = data;
    struct arena *keep cleanup_arena = TAKE_PTR(op->arena);
    struct kubelet_pod *pod = kubelet_op_end(op);
    if (!pod) {
        return;
    }
    if (code == 0) {
        prep_done(&pod->view.sandbox);
        pod->view.sandbox_broken = false;
        kubelet_keep(&pod->view.pod_ip, ip);
    } else {
        prep_failed(pod, &pod->view.sandbox, detail);
        kubelet_event(pod, NULL, EVENT_WARNING, "FailedCreatePodSandBox",
                      "Failed to create pod sandbox: %.*s",
                      SPAN_ARG(detail.n ? detail : span_cstr(code_text(code))));
    }
    kubelet_pod_poke(pod);
}

static void create_sandbox(struct kubelet_pod *pod)
{
    struct kubelet *k = pod->k;
    struct kubelet_op *op = kubelet_op_new(pod, NULL);
    struct arena *a = op->arena;
    const yyjson_val *root = object_root(pod->object);
    struct span node_conf = SPAN_NULL, node_hosts = SPAN_NULL;
    if (!k->options.no_files) {
        (void)kubelet_read_file(a, arena_cstr(a, k->options.resolv_conf_path), 16384, &node_conf);
        (void)kubelet_read_file(a, "/etc/hosts", 65536, &node_hosts);
    }
    bool missing_dns = false;
    struct runtime_sandbox_spec *s = ARENA_NEW(a, struct runtime_sandbox_spec);
    s->uid = pod->uid;
    s->ns = pod->ns;
    s->name = pod->name;
    s->hostname = kubelet_dns_hostname(a, root, k->options.cluster_domain);
    s->host_network = pod->view.host_network;
    s->resolv_conf = kubelet_dns_resolv(a, root, k->options.cluster_dns, k->options.cluster_domain,
                                        node_conf, &missing_dns);
    s->hosts = kubelet_dns_hosts(a, root, node_hosts);
    s->hosts_names =
        s->host_network ? SPAN_NULL : kubelet_dns_hosts_names(a, root, k->options.cluster_domain);
    const yyjson_val *sysctls = json_path(root, "spec", "securityContext", "sysctls", NULL);
    struct span *texts = ARENA_ARRAY(a, struct span, json_len(sysctls) + 1);
    JSON_EACH(it, sysctls)
    {
        texts[s->sysctl_count++] =
            ARENA_JOIN(a, json_get_str(it.val, "name"), SPAN("="), json_get_str(it.val, "value"));
    }
    s->sysctls = texts;
    const yyjson_val *annotations = json_path(root, "metadata", "annotations", NULL);
    struct span *own = ARENA_ARRAY(a, struct span, json_len(annotations) + 1);
    JSON_EACH(it, annotations)
    {
        if (span_starts(json_str(it.key), SPAN("berth.dev/"))) {
            own[s->annotation_count++] =
                ARENA_JOIN(a, json_str(it.key), SPAN("="), json_str(it.val));
        }
    }
    s->annotations = own;
    struct span ignored = kubelet_view_ignored(a, json_get(root, "spec"), !k->options.no_host_ports,
                                               k->options.kept_port);
    if (ignored.n > 0) {
        kubelet_event(pod, NULL, EVENT_WARNING, "NotSupported", "Berth does not act on: %.*s",
                      SPAN_ARG(ignored));
    }
    if (missing_dns) {
        kubelet_event(
            pod, NULL, EVENT_WARNING, "MissingClusterDNS",
            "pod: \"%.*s_%.*s\". kubelet does not have ClusterDNS IP configured and cannot "
            "create Pod using \"ClusterFirst\" policy. Falling back to \"Default\" policy.",
            SPAN_ARG(pod->name), SPAN_ARG(pod->ns));
    }
    assert(pod->view.sandbox.state != POD_PREP_BUSY);
    assert(pod->object);
    pod->view.sandbox.state = POD_PREP_BUSY;
    k->runtime->ops->sandbox_create(k->runtime, s, on_sandbox, op);
}

static void on_sandbox_removed(void *data, int code, struct span detail)
{
    struct kubelet_op *op = data;
    struct arena *keep cleanup_arena = TAKE_PTR(op->arena);
    struct kubelet_pod *pod = kubelet_op_end(op);
    if (!pod) {
        return;
    }
    assert(pod->view.sandbox.state == POD_PREP_UNDOING);
    if (code < 0) {
        log_event(LOG_WARN, "kubelet_sandbox_remove_failed", LOG_S("pod", pod->name),
                  LOG_S("detail", detail));
        pod->view.sandbox.state = POD_PREP_DONE;
        if (++pod->delete_failures < 5) {
            kubelet_pod_poke_after(pod, 1000);
            return;
        }
    }
    pod->view.sandbox.state = POD_PREP_TODO;
    pod->view.sandbox_broken = false;
    kubelet_keep(&pod->view.pod_ip, SPAN_NULL);
    for (size_t i = 0; i < pod->container_count; i++) {
        pod->containers[i]->v->stale = true;
    }
    kubelet_pod_poke(pod);
}

/* ---- images ---- */

static void on_pulling(void *data)
{
    struct kubelet_op *op = data;
    if (op->pod) {
        kubelet_event(op->pod, op->c, EVENT_NORMAL, "Pulling", "Pulling image \"%.*s\"",
                      SPAN_ARG(op->c->v->image));
        op->c->v->pulling = true;
        kubelet_pod_poke(op->pod);
    }
}

static void copy_spans(struct arena *a, const struct span **list, size_t n)
{
    struct span *out = ARENA_ARRAY(a, struct span, n + 1);
    for (size_t i = 0; i < n; i++) {
        out[i] = arena_dup(a, (*list)[i]);
    }
    *list = out;
}

static void keep_image(struct kubelet_container *c, const struct image_config *config)
{
    arena_free(c->image_arena);
    struct arena *a = c->image_arena = arena_new_small();
    c->image = *config;
    c->image.id = arena_dup(a, config->id);
    c->image.reference = arena_dup(a, config->reference);
    c->image.user = arena_dup(a, config->user);
    c->image.workdir = arena_dup(a, config->workdir);
    c->image.stop_signal = arena_dup(a, config->stop_signal);
    copy_spans(a, &c->image.entrypoint, config->entrypoint_count);
    copy_spans(a, &c->image.cmd, config->cmd_count);
    copy_spans(a, &c->image.env, config->env_count);
    copy_spans(a, &c->image.layers, config->layer_count);
    struct span ref = config->reference;
    size_t slash = span_rfind(ref, '/'), colon = span_rfind(ref, ':'), at = span_find(ref, '@');
    struct span repository =
        span_first(ref, at < ref.n                                           ? at
                        : colon < ref.n && (slash == ref.n || colon > slash) ? colon
                                                                             : ref.n);
    kubelet_keep(&c->v->image_id,
                 arena_printf(a, "%.*s@%.*s", SPAN_ARG(repository), SPAN_ARG(config->id)));
}

static void on_image(void *data, const struct kubelet_image_result *r)
{
    struct kubelet_op *op = data;
    struct kubelet_container *c = op->c;
    struct span image = op->image;
    struct arena *a cleanup_arena = TAKE_PTR(op->arena);
    struct kubelet_pod *pod = kubelet_op_end(op);
    if (!pod) {
        return;
    }
    struct pod_prep *p = &c->v->image_prep;
    c->v->pulling = false;
    kubelet_pod_poke(pod);
    if (!span_eq(image, c->v->image)) { /* another one is wanted by now */
        p->state = POD_PREP_TODO;
        p->failures = 0;
        return;
    }
    if (r->code == 0) {
        keep_image(c, r->config);
        prep_done(p);
        kubelet_keep(&p->reason, SPAN_NULL);
        kubelet_keep(&p->message, SPAN_NULL);
        if (r->warning.n > 0) {
            kubelet_event(pod, c, EVENT_WARNING, "Failed",
                          "Failed to pull image \"%.*s\": %.*s; the image that is present on this "
                          "machine is used",
                          SPAN_ARG(c->v->image), SPAN_ARG(r->warning));
        }
        if (r->pull_ns > 0) {
            struct span took = kubelet_duration(a, r->pull_ns);
            kubelet_event(pod, c, EVENT_NORMAL, "Pulled",
                          "Successfully pulled image \"%.*s\" in %.*s (%.*s including waiting). "
                          "Image size: %llu bytes.",
                          SPAN_ARG(c->v->image), SPAN_ARG(took), SPAN_ARG(took),
                          (unsigned long long)r->config->size_bytes);
        } else {
            kubelet_event(pod, c, EVENT_NORMAL, "Pulled",
                          "Container image \"%.*s\" already present on machine",
                          SPAN_ARG(c->v->image));
        }
        return;
    }
    prep_failed(pod, p, r->message);
    kubelet_keep(&p->reason, r->reason);
    if (span_eq_cstr(r->reason, "ErrImagePull")) {
        kubelet_event(pod, c, EVENT_WARNING, "Failed", "Failed to pull image \"%.*s\": %.*s",
                      SPAN_ARG(c->v->image), SPAN_ARG(r->message));
    } else {
        kubelet_event(pod, c, EVENT_WARNING,
                      r->reason.n && r->reason.p[0] == 'I' ? "InspectFailed" : "ErrImageNeverPull",
                      "%.*s", SPAN_ARG(r->message));
    }
    kubelet_event(pod, c, EVENT_WARNING, "Failed", "Error: %.*s", SPAN_ARG(r->reason));
}

static enum kubelet_pull_policy pull_policy(const yyjson_val *spec)
{
    struct span p = json_get_str(spec, "imagePullPolicy");
    return span_eq_cstr(p, "Always")         ? KUBELET_PULL_ALWAYS
           : span_eq_cstr(p, "IfNotPresent") ? KUBELET_PULL_IF_ABSENT
           : span_eq_cstr(p, "Never")        ? KUBELET_PULL_NEVER
                                             : KUBELET_PULL_DEFAULT;
}

static void pull_secrets(struct kubelet_pod *pod, struct arena *a, struct kubelet_image_request *r)
{
    const yyjson_val *list = json_get(kubelet_pod_spec(pod), "imagePullSecrets");
    struct span *out = ARENA_ARRAY(a, struct span, json_len(list) + 1);
    JSON_EACH(it, list)
    {
        struct object *o = kubelet_ref(pod, "Secret", pod->ns, json_get_str(it.val, "name"));
        struct span text = SPAN_NULL;
        if (o &&
            base64_decode(a, json_str(json_path(object_root(o), "data", ".dockerconfigjson", NULL)),
                          &text) &&
            text.n > 0) {
            out[r->docker_config_count++] = text;
        }
    }
    r->docker_configs = out;
}

static void prepare_image(struct kubelet_container *c)
{
    static const struct kubelet_images_handler handler = {.on_pulling = on_pulling,
                                                          .on_done = on_image};
    struct kubelet_pod *pod = c->pod;
    struct kubelet_op *op = kubelet_op_new(pod, c);
    struct kubelet_image_request r = {
        .reference = c->v->image,
        .policy = pull_policy(kubelet_container_spec(c)),
    };
    pull_secrets(pod, op->arena, &r);
    op->outlives = true;
    op->image = arena_dup(op->arena, c->v->image);
    assert(c->v->image_prep.state != POD_PREP_BUSY);
    c->v->image_prep.state = POD_PREP_BUSY;
    struct kubelet_images *im = pod->k->options.images;
    im->ops->prepare(im, &r, &handler, op);
}

/* ---- ending ---- */

static void on_killed(void *data, int code, struct span detail)
{
    struct kubelet_op *op = data;
    if (code < 0 && code != -ESRCH && code != -ENOENT && op->c) {
        log_event(LOG_WARN, "kubelet_kill_failed", LOG_S("container", op->c->v->name),
                  LOG_I("code", code), LOG_S("detail", detail));
    }
    struct arena *keep cleanup_arena = TAKE_PTR(op->arena);
    (void)kubelet_op_end(op); /* the exit is what counts */
}

static void send_signal(struct kubelet_container *c, int number)
{
    struct kubelet_op *op = kubelet_op_new(c->pod, c);
    struct runtime *rt = c->pod->k->runtime;
    rt->ops->container_kill(rt, kubelet_container_id(op->arena, c, c->v->attempt), number,
                            on_killed, op);
}

int kubelet_stop_signal(const struct kubelet_container *c)
{
    assert(c);
    struct span wanted =
        json_str(json_path(kubelet_container_spec(c), "lifecycle", "stopSignal", NULL));
    return kubelet_signal(wanted.n ? wanted : c->image.stop_signal, SIGTERM);
}

/* As it was when the container was started: its image, and for an orphan its pod, may be gone. */
static int stop_signal(const struct kubelet_container *c)
{
    return c->stop_signal ? c->stop_signal : kubelet_stop_signal(c);
}

static void on_pre_stop(void *data, enum kubelet_check_result result, struct span output)
{
    struct kubelet_container *c = data;
    c->hook = NULL;
    if (result != KUBELET_CHECK_OK) {
        kubelet_event(c->pod, c, EVENT_WARNING, "FailedPreStopHook", "PreStopHook failed: %.*s",
                      SPAN_ARG(output));
    }
    if (c->v->instance == POD_INSTANCE_STOPPING && !c->v->kill_sent) {
        send_signal(c, stop_signal(c));
    }
}

static void stop_container(struct kubelet_container *c, const struct pod_view *view)
{
    struct kubelet_pod *pod = c->pod;
    kubelet_container_quiet(c);
    kubelet_container_event(c, POD_EVENT_TERM);
    assert(c->v->instance == POD_INSTANCE_STOPPING);
    assert(!c->hook);
    c->v->stop_ms = view->now_ms;
    c->v->kill_sent = false;
    if (!c->v->unhealthy || pod_is_ending(view)) {
        kubelet_event(pod, c, EVENT_NORMAL, "Killing", "Stopping container %.*s",
                      SPAN_ARG(c->v->name));
    }
    const yyjson_val *hook = json_path(kubelet_container_spec(c), "lifecycle", "preStop", NULL);
    if (hook) {
        c->hook = kubelet_check_new(c, hook, view->grace_ms, on_pre_stop, c);
    } else {
        send_signal(c, stop_signal(c));
    }
    kubelet_pod_poke(pod);
}

static void on_removed(void *data, int code, struct span detail)
{
    struct kubelet_op *op = data;
    struct kubelet_container *c = op->c;
    struct arena *keep cleanup_arena = TAKE_PTR(op->arena);
    struct kubelet_pod *pod = kubelet_op_end(op);
    if (!pod) {
        return;
    }
    if (code < 0) {
        log_event(LOG_WARN, "kubelet_container_remove_failed", LOG_S("container", c->v->name),
                  LOG_I("code", code), LOG_S("detail", detail));
        pod->delete_failures++;
    }
    /* What cannot be removed now is found and tried again at the next start. */
    bool give_up = code == 0 || code == -ENOENT || pod->delete_failures > 5;
    assert(c->v->instance == POD_INSTANCE_REMOVING);
    kubelet_container_event(c, give_up ? POD_EVENT_REMOVED : POD_EVENT_REMOVE_FAILED);
    kubelet_pod_poke(pod);
}

static void remove_container(struct kubelet_container *c)
{
    struct kubelet_op *op = kubelet_op_new(c->pod, c);
    struct runtime *rt = c->pod->k->runtime;
    kubelet_container_event(c, POD_EVENT_REMOVE);
    assert(c->v->instance == POD_INSTANCE_REMOVING);
    if (pull_policy(kubelet_container_spec(c)) == KUBELET_PULL_ALWAYS &&
        c->v->image_prep.state == POD_PREP_DONE) {
        c->v->image_prep.state = POD_PREP_TODO; /* looked up again before the next start */
    }
    rt->ops->container_remove(rt, kubelet_container_id(op->arena, c, c->v->attempt), on_removed,
                              op);
}

static void on_delete_reply(void *data, const struct client_reply *reply)
{
    struct kubelet_pod *pod = data;
    if (reply->err.reason == ERR_NONE) {
        kubelet_write_ended(pod, true);
        return; /* the watch tells the rest */
    }
    /* Absent or another: by a write that may still fail. Asked again until the watch says so. */
    if (reply->err.reason != ERR_NOT_FOUND && reply->err.reason != ERR_CONFLICT) {
        log_event(LOG_WARN, "kubelet_pod_delete_failed", LOG_S("pod", pod->name),
                  LOG_S("error", reply->err.message));
    }
    pod->view.object_deleted = false;
    kubelet_write_ended(pod, false);
}

static void delete_object(struct kubelet_pod *pod)
{
    assert(!pod->view.object_deleted);
    assert(pod->view.exists);
    if (!kubelet_may_write(pod)) {
        return;
    }
    pod->view.object_deleted = true;
    client_do(pod->k->client,
              &(struct client_request){.grace_s = 0,
                                       .verb = CLIENT_DELETE,
                                       .kind = kubelet_kind("", "Pod"),
                                       .ns = pod->ns,
                                       .name = pod->name,
                                       .precondition_uid = pod->uid,
                                       .field_manager = SPAN("kubelet")},
              on_delete_reply, pod);
}

/* ---- all ---- */

void kubelet_started(struct kubelet_container *c)
{
    assert(c->v->instance == POD_INSTANCE_RUNNING);
    if (!c->hook) {
        kubelet_probes_start(c);
    }
    if (!c->rotation && !c->pod->k->options.no_files) {
        c->rotation = kubelet_rotation_new(c);
    }
}

void kubelet_step_run(struct kubelet_pod *pod, const struct pod_view *view,
                      const struct pod_step *step)
{
    struct kubelet *k = pod->k;
    size_t at = step->container + (step->init ? 0 : pod->view.init_count) +
                (step->extra ? pod->view.main_count : 0);
    struct kubelet_container *c = at < pod->container_count ? pod->containers[at] : NULL;
    struct kubelet_op *op = NULL;
    assert(!pod->dead);
    assert(at <= pod->container_count);
    switch (step->type) {
    case POD_STEP_PREPARE_VOLUMES:
        pod->view.volumes.state = POD_PREP_BUSY;
        kubelet_volumes_prepare(pod, on_volumes);
        break;
    case POD_STEP_CREATE_SANDBOX:
        create_sandbox(pod);
        break;
    case POD_STEP_PREPARE_IMAGE:
        prepare_image(c);
        break;
    case POD_STEP_START:
        kubelet_step_start(c, step->attempt);
        break;
    case POD_STEP_TERM:
        stop_container(c, view);
        break;
    case POD_STEP_KILL:
        c->v->kill_sent = true;
        send_signal(c, SIGKILL);
        break;
    case POD_STEP_REMOVE:
        remove_container(c);
        break;
    case POD_STEP_REMOVE_SANDBOX:
        op = kubelet_op_new(pod, NULL);
        pod->view.sandbox.state = POD_PREP_UNDOING;
        k->runtime->ops->sandbox_remove(k->runtime, pod->uid, on_sandbox_removed, op);
        break;
    case POD_STEP_TEARDOWN_VOLUMES:
        pod->view.volumes.state = POD_PREP_UNDOING;
        kubelet_volumes_teardown(pod, on_torn_down);
        break;
    case POD_STEP_DELETE_OBJECT:
        delete_object(pod);
        break;
    case POD_STEP_FORGET:
        pod->dead = true;
        if (!view->stop_only) {
            kubelet_logs_remove(pod);
        }
        break;
    }
}
