/* apiserver/op_eviction.c: pods/eviction: a delete that disruption budgets may refuse.
 *
 * A pod that ended, waits to start or is leaving already costs nothing and goes without a question.
 * For others the one budget that selects the pod decides: its status is counted down by a
 * conditional write, which notes the pod as well, and only then is the pod deleted. What the
 * controller makes of the budget meanwhile fails on that write, and looks again. */
#include "apiserver/server.h"
#include "apiserver/write.h"
#include "base/check.h"
#include "base/limits.h"
#include "codec/selector.h"
#include "codec/time.h"
#include "schema/kinds.h"
#include "schema/status.h"
#include "watch/watch.h"

#define REFUSED SPAN("Cannot evict pod as it would violate the pod's disruption budget.")

enum { RETRY_SOON_S = 10 };

/* ---- the delete ---- */

static void on_evicted(struct api_op *child)
{
    struct api_op *op = child->parent;
    if (child->err.reason != ERR_NONE) {
        op->err = child->err; /* the same arena */
    }
    api_op_release(child);
    api_op_finish(op);
}

static bool is_dry(const struct api_op *op)
{
    return op->options.dry_run ||
           json_len(json_path(op->body, "deleteOptions", "dryRun", NULL)) > 0;
}

static struct api_op *child_of(struct api_op *op, enum api_verb verb,
                               const struct schema_kind *kind, struct span name,
                               void (*done)(struct api_op *child))
{
    struct api_op *child = ARENA_NEW(op->arena, struct api_op);
    *child = (struct api_op){.server = op->server,
                             .arena = op->arena,
                             .verb = verb,
                             .kind = kind,
                             .ns = op->ns,
                             .name = name,
                             .options = op->options,
                             .done = done,
                             .parent = op};
    child->options.dry_run = is_dry(op);
    return child;
}

/* rev: of the pod that needs no budget's leave, so that it cannot have become one that does; 0:
 * any.
 */
static void delete_pod(struct api_op *op, int64_t rev)
{
    static const struct {
        const char *text;
        enum client_propagation value;
    } policies[] = {{"Background", CLIENT_PROPAGATION_BACKGROUND},
                    {"Foreground", CLIENT_PROPAGATION_FOREGROUND},
                    {"Orphan", CLIENT_PROPAGATION_ORPHAN}};
    const yyjson_val *in = json_get(op->body, "deleteOptions");
    const yyjson_val *pre = json_get(in, "preconditions");
    struct api_op *child = child_of(op, API_DELETE, op->kind, op->name, on_evicted);
    child->is_eviction = true;
    child->options.grace_s = json_get_int(in, "gracePeriodSeconds", -1);
    child->options.precondition_uid = json_get_str(pre, "uid");
    child->options.precondition_rev = json_get_str(pre, "resourceVersion");
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        if (span_eq_cstr(json_get_str(in, "propagationPolicy"), policies[i].text)) {
            child->options.propagation = policies[i].value;
        }
    }
    if (rev && child->options.precondition_rev.n == 0) {
        child->options.precondition_rev = arena_printf(op->arena, "%lld", (long long)rev);
    }
    api_op_run(child);
}

/* ---- the budget ---- */

static int refuse(struct api_op *op, int32_t retry_s, struct span cause)
{
    op->err =
        (struct err){.reason = ERR_TOO_MANY_REQUESTS, .message = REFUSED, .retry_after_s = retry_s};
    err_add_cause(op->arena, &op->err, "DisruptionBudget", SPAN_NULL, cause);
    return -1;
}

static const yyjson_val *allowed_condition(const yyjson_val *status)
{
    return json_find(json_get(status, "conditions"), "type", SPAN("DisruptionAllowed"));
}

/* No disruption is allowed: why. */
static int refuse_because(struct api_op *op, const yyjson_val *status)
{
    const yyjson_val *c = allowed_condition(status);
    int64_t desired = json_get_int(status, "desiredHealthy", 0);
    int64_t healthy = json_get_int(status, "currentHealthy", 0);
    struct span cause;
    if (span_eq(json_get_str(c, "status"), SPAN("False")) &&
        span_eq(json_get_str(c, "reason"), SPAN("SyncFailed"))) {
        cause = arena_printf(op->arena,
                             "The disruption budget %.*s does not allow evicting pods currently "
                             "because it failed sync: %.*s",
                             SPAN_ARG(op->name), SPAN_ARG(json_get_str(c, "message")));
    } else if (healthy <= desired) {
        cause = arena_printf(op->arena,
                             "The disruption budget %.*s needs %lld healthy pods and has %lld "
                             "currently",
                             SPAN_ARG(op->name), (long long)desired, (long long)healthy);
    } else {
        cause = arena_printf(op->arena,
                             "The disruption budget %.*s does not allow evicting pods currently",
                             SPAN_ARG(op->name));
    }
    return refuse(op, 0, cause);
}

static int check_budget(struct api_op *op, const yyjson_val *budget)
{
    const yyjson_val *status = json_get(budget, "status");
    int64_t generation = json_int(json_path(budget, "metadata", "generation", NULL), 0);
    int64_t allowed = json_get_int(status, "disruptionsAllowed", 0);
    if (json_get_int(status, "observedGeneration", 0) < generation) {
        return refuse(op, RETRY_SOON_S,
                      arena_printf(op->arena,
                                   "The disruption budget %.*s is still being processed by the "
                                   "server.",
                                   SPAN_ARG(op->name)));
    }
    if (allowed < 0) {
        return api_op_err(op, ERR_FORBIDDEN,
                          "poddisruptionbudget.policy \"%.*s\" is forbidden: pdb disruptions "
                          "allowed is negative",
                          SPAN_ARG(op->name));
    }
    if (json_len(json_get(status, "disruptedPods")) > LIMIT_DISRUPTED_PODS) {
        return api_op_err(op, ERR_FORBIDDEN,
                          "poddisruptionbudget.policy \"%.*s\" is forbidden: DisruptedPods map too "
                          "big - too many evictions not confirmed by PDB controller",
                          SPAN_ARG(op->name));
    }
    return allowed == 0 ? refuse_because(op, status) : 0;
}

static void say_none_allowed(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *status)
{
    size_t i, n;
    yyjson_mut_val *c;
    yyjson_mut_arr_foreach(json_mut_get(status, "conditions"), i, n, c)
    {
        if (span_eq(json_mut_str(json_mut_get(c, "type")), SPAN("DisruptionAllowed"))) {
            json_put_str(doc, c, "status", SPAN("False"));
            json_put_str(doc, c, "reason", SPAN("InsufficientPods"));
            json_put_str(doc, c, "lastTransitionTime",
                         time_format(op->arena, env_now_ms(op->server->env)));
        }
    }
}

/* Of the child that writes the budget's status. */
static int count_down(struct api_op *op, struct object *current, yyjson_mut_doc *doc,
                      yyjson_mut_val **ret)
{
    const yyjson_val *old = object_root(current);
    if (check_budget(op, old)) {
        return -1;
    }
    yyjson_mut_val *obj = json_mut_copy(doc, old);
    yyjson_mut_val *status = json_mut_obj(doc, obj, "status");
    int64_t left = json_int(json_path(old, "status", "disruptionsAllowed", NULL), 0) - 1;
    assert(left >= 0);
    json_put_int(doc, status, "disruptionsAllowed", left);
    if (left == 0) {
        say_none_allowed(op, doc, status);
    }
    json_put_span(doc, json_mut_obj(doc, status, "disruptedPods"), op->parent->name,
                  json_new_str(doc, time_format(op->arena, env_now_ms(op->server->env))));
    *ret = obj;
    return 0;
}

static void on_counted(struct api_op *child)
{
    struct api_op *op = child->parent;
    bool gone = child->err.reason == ERR_NOT_FOUND; /* the budget: it protects nothing any more */
    if (child->err.reason != ERR_NONE && !gone) {
        op->err = child->err;
    }
    api_op_release(child);
    if (op->err.reason != ERR_NONE) {
        api_op_finish(op);
        return;
    }
    delete_pod(op, 0);
}

static const struct schema_subresource *status_of(const struct schema_kind *kind)
{
    for (size_t i = 0; i < kind->subresource_count; i++) {
        if (strcmp(kind->subresources[i].name, "status") == 0) {
            return &kind->subresources[i];
        }
    }
    assert(!"budgets have a status");
    return NULL;
}

static void ask_budget(struct api_op *op, struct object *budget)
{
    struct api_op *child = child_of(op, API_UPDATE, SCHEMA_KIND(PodDisruptionBudget),
                                    arena_dup(op->arena, object_name(budget)), on_counted);
    child->sub = status_of(child->kind);
    child->body = op->body;
    child->mutate = count_down;
    child->is_untracked = true;
    api_op_run(child);
}

/* ---- which budget ---- */

struct search {
    struct api_op *op;
    const yyjson_val *labels;
    struct object *found; /* borrowed */
    size_t count;
};

static bool see_budget(void *data, struct object *budget)
{
    struct search *x = data;
    struct selector sel;
    const yyjson_val *selector = json_path(object_root(budget), "spec", "selector", NULL);
    if (selector_from_object(x->op->arena, selector, &sel, NULL) == 0 &&
        selector_matches(&sel, x->labels)) {
        x->found = budget;
        x->count++;
    }
    return x->count < 2;
}

/* A pod that ended, has not started or is leaving: it serves nobody. */
static bool is_idle(const yyjson_val *pod)
{
    struct span phase = status_phase(pod);
    return status_phase_ended(phase) || span_eq(phase, SPAN("Pending")) ||
           json_path(pod, "metadata", "deletionTimestamp", NULL) != NULL;
}

/* A pod that is not ready does not count as healthy: it may go while those that are suffice. */
static bool may_go_unready(const yyjson_val *budget)
{
    const yyjson_val *status = json_get(budget, "status");
    int64_t desired = json_get_int(status, "desiredHealthy", 0);
    return span_eq(json_str(json_path(budget, "spec", "unhealthyPodEvictionPolicy", NULL)),
                   SPAN("AlwaysAllow")) ||
           (desired > 0 && json_get_int(status, "currentHealthy", 0) >= desired);
}

static int evict_attempt(struct api_op *op)
{
    struct object *pod = store_peek(op->server->store, op->key);
    if (!pod) {
        return api_op_not_found(op);
    }
    const yyjson_val *root = object_root(pod);
    if (is_idle(root)) {
        delete_pod(op, object_rev(pod));
        return 0;
    }
    struct search x = {.op = op, .labels = json_path(root, "metadata", "labels", NULL)};
    struct watch_filter budgets = {.resource = SPAN("poddisruptionbudgets.policy"), .ns = op->ns};
    (void)watch_hub_list(op->server->hub, &budgets, SPAN_NULL, see_budget, &x);
    if (x.count > 1) {
        return api_op_err(op, ERR_INTERNAL,
                          "This pod has more than one PodDisruptionBudget, which the eviction "
                          "subresource does not support.");
    }
    if (x.count == 0) {
        delete_pod(op, 0);
    } else if (!status_condition_true(root, "Ready") && may_go_unready(object_root(x.found))) {
        delete_pod(op, object_rev(pod));
    } else {
        ask_budget(op, x.found);
    }
    return 0; /* the child's end is ours */
}

void op_eviction(struct api_op *op)
{
    assert(op->kind == SCHEMA_KIND(Pod));
    assert(op->sub);
    struct span version = json_get_str(op->body, "apiVersion");
    struct span name = json_str(json_path(op->body, "metadata", "name", NULL));
    op->present = op_present_success;
    op->http_status = 201;
    if ((version.n && !span_starts(version, SPAN("policy/v1"))) ||
        (name.n && !span_eq(name, op->name))) {
        (void)api_op_err(op, ERR_BAD_REQUEST,
                         "name in URL does not match name in Eviction object, "
                         "or it is not a policy/v1 Eviction");
        api_op_finish(op);
        return;
    }
    if (write_decode_body(op, SCHEMA_KIND(Eviction))) {
        api_op_finish(op);
        return;
    }
    op->attempt = evict_attempt;
    write_start(op);
}
