/* Streams of a pod: log, exec, attach, portforward. Chooses the container and refuses what cannot
 * work; the rest is in remote.h. */
#include "base/check.h"
#include "front/front_priv.h"
#include "remote/remote.h"
#include "schema/status.h"
#include "watch/watch.h"

static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
static const char *const status_lists[] = {"containerStatuses", "initContainerStatuses",
                                           "ephemeralContainerStatuses"};

static bool has_container(const yyjson_val *pod, struct span name)
{
    for (size_t i = 0; i < 3; i++) {
        JSON_EACH(it, json_path(pod, "spec", lists[i], NULL))
        {
            if (span_eq(json_get_str(it.val, "name"), name)) {
                return true;
            }
        }
    }
    return false;
}

static const yyjson_val *container_status(const yyjson_val *pod, struct span name)
{
    for (size_t i = 0; i < 3; i++) {
        JSON_EACH(it, json_path(pod, "status", status_lists[i], NULL))
        {
            if (span_eq(json_get_str(it.val, "name"), name)) {
                return it.val;
            }
        }
    }
    return NULL;
}

/* "a b" */
static struct span names_of(struct front *f, const yyjson_val *containers)
{
    struct span out = SPAN_NULL;
    JSON_EACH(it, containers)
    {
        out = arena_printf(f->arena, "%.*s%s%.*s", SPAN_ARG(out), out.n ? " " : "",
                           SPAN_ARG(json_get_str(it.val, "name")));
    }
    return out;
}

/* The one that was asked for, else the only one: which of several a client takes by default is its
 * own matter. -1 with op.err. */
static int choose(struct front *f, const yyjson_val *pod, struct span asked, struct span *ret)
{
    const yyjson_val *mains = json_path(pod, "spec", "containers", NULL);
    const yyjson_val *inits = json_path(pod, "spec", "initContainers", NULL);
    struct span name = asked;
    if (name.n == 0 && json_len(mains) > 1) {
        struct span also = json_len(inits)
                               ? arena_printf(f->arena, " or one of the init containers: [%.*s]",
                                              SPAN_ARG(names_of(f, inits)))
                               : SPAN_NULL;
        return api_op_err(&f->op, ERR_BAD_REQUEST,
                          "a container name must be specified for pod %.*s, choose one of: "
                          "[%.*s]%.*s",
                          SPAN_ARG(f->op.name), SPAN_ARG(names_of(f, mains)), SPAN_ARG(also));
    }
    if (name.n == 0) {
        name = json_get_str(yyjson_arr_get_first((yyjson_val *)(uintptr_t)mains), "name");
    }
    if (!has_container(pod, name)) {
        return api_op_err(&f->op, ERR_BAD_REQUEST, "container %.*s is not valid for pod %.*s",
                          SPAN_ARG(name), SPAN_ARG(f->op.name));
    }
    *ret = arena_dup(f->arena, name);
    return 0;
}

/* Logs exist once the container has been started. */
static int check_logs(struct front *f, const yyjson_val *pod, const struct node_log_request *q)
{
    struct api_op *op = &f->op;
    const yyjson_val *st = container_status(pod, q->container);
    bool had_one = json_path(st, "lastState", "terminated", NULL) != NULL;
    if (q->previous) {
        return had_one ? 0
                       : api_op_err(op, ERR_BAD_REQUEST,
                                    "previous terminated container \"%.*s\" in pod \"%.*s\" not "
                                    "found",
                                    SPAN_ARG(q->container), SPAN_ARG(op->name));
    }
    if (json_path(st, "state", "running", NULL) || json_path(st, "state", "terminated", NULL) ||
        had_one) {
        return 0;
    }
    struct span why = json_str(json_path(st, "state", "waiting", "reason", NULL));
    if (span_eq(why, SPAN("ErrImagePull")) || span_eq(why, SPAN("ImagePullBackOff"))) {
        why = SPAN("trying and failing to pull image");
    }
    return api_op_err(op, ERR_BAD_REQUEST,
                      "container \"%.*s\" in pod \"%.*s\" is waiting to start: %.*s",
                      SPAN_ARG(q->container), SPAN_ARG(op->name),
                      SPAN_ARG(why.n ? why : SPAN("ContainerCreating")));
}

static int start_logs(struct front *f, const yyjson_val *pod)
{
    struct node_log_request q = {.pod = f->op.name};
    if (remote_logs_parse(f->server->env, f->x, &q, &f->op.err)) {
        return -1;
    }
    q.ns = f->op.ns;
    if (choose(f, pod, q.container, &q.container)) {
        return -1;
    }
    if (json_str(json_path(pod, "spec", "nodeName", NULL)).n == 0) {
        front_count(f, 200);
        http_reply(f->x, 200, "text/plain", SPAN_NULL); /* nothing has run anywhere */
        return 0;
    }
    if (check_logs(f, pod, &q)) {
        return -1;
    }
    front_count(f, 200);
    remote_logs(f->end->remote, f->x, &q);
    return 0;
}

/* Only where its containers are, or will be, can a connection lead. what: "exec into ...". */
static int check_reachable(struct api_op *op, const yyjson_val *pod, const char *what)
{
    struct span phase = status_phase(pod);
    if (json_str(json_path(pod, "spec", "nodeName", NULL)).n == 0) {
        return api_op_err(op, ERR_BAD_REQUEST, "pod %.*s does not have a host assigned",
                          SPAN_ARG(op->name));
    }
    if (status_phase_ended(phase)) {
        return api_op_err(op, ERR_BAD_REQUEST, "cannot %s a completed pod; current phase is %.*s",
                          what, SPAN_ARG(phase));
    }
    return 0;
}

static int start_exec(struct front *f, const yyjson_val *pod, bool with_command)
{
    struct node_exec_request q = {0};
    struct api_op *op = &f->op;
    if (remote_exec_parse(f->x, with_command, &q, &op->err)) {
        return -1;
    }
    q.ns = op->ns;
    q.pod = op->name;
    if (choose(f, pod, q.container, &q.container) ||
        check_reachable(op, pod, "exec into a container in")) {
        return -1;
    }
    front_count(f, 101);
    remote_exec(f->end->remote, f->x, &q);
    return 0;
}

static int start_forward(struct front *f, const yyjson_val *pod)
{
    struct api_op *op = &f->op;
    if (check_reachable(op, pod, "forward a port of")) {
        return -1;
    }
    front_count(f, 101);
    remote_forward(f->end->remote, f->x, op->ns, op->name);
    return 0;
}

void front_pod_stream(struct front *f)
{
    struct api_op *op = &f->op;
    assert(op->sub);
    op->key = object_key(f->arena, span_cstr(op->kind->resource), op->ns, op->name);
    struct object *pod = watch_hub_get(f->server->hub, op->key);
    int rc;
    if (op->verb != API_GET && op->verb != API_CREATE) {
        rc = api_op_err(op, ERR_METHOD_NOT_ALLOWED,
                        "the server does not allow this method on the requested resource");
    } else if (!pod) {
        rc = api_op_not_found(op);
    } else if (api_sub_is(op, "log")) {
        rc = start_logs(f, object_root(pod));
    } else if (api_sub_is(op, "portforward")) {
        rc = start_forward(f, object_root(pod));
    } else {
        rc = start_exec(f, object_root(pod), api_sub_is(op, "exec"));
    }
    if (rc) {
        front_fail(f, &op->err);
    }
}
