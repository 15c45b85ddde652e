/* controller/daemonset_view.c: from objects to the planner's view. */
#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"
#include "base/vec.h"
#include "controller/daemonset_priv.h"
#include "plan/schedule_plan.h"
#include "schema/status.h"

/* ---- nodes ---- */

struct nodes {
    struct daemon_sync *x;
    VEC(struct object *) objects;
};

static bool see_node(void *data, struct object *node)
{
    struct nodes *k = data;
    VEC_PUSH(&k->objects, node);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return span_cmp(object_name(*(struct object *const *)a),
                    object_name(*(struct object *const *)b));
}

/* What keeps a running pod's place: taints that end pods. */
static bool may_stay(const yyjson_val *taints, const yyjson_val *tolerations)
{
    JSON_EACH(it, taints)
    {
        struct span effect = json_get_str(it.val, "effect");
        if (span_eq_cstr(effect, "NoExecute") &&
            !schedule_tolerates(tolerations, json_get_str(it.val, "key"),
                                json_get_str(it.val, "value"), effect)) {
            return false;
        }
    }
    return true;
}

static struct daemonset_node judge(struct daemon_sync *x, struct object *node)
{
    yyjson_val *spec = json_path(x->own.spec, "template", "spec", NULL);
    yyjson_val *root = object_root(node), *taints = json_path(root, "spec", "taints", NULL);
    yyjson_val *labels = json_path(root, "metadata", "labels", NULL);
    yyjson_val *required = json_path(spec, "affinity", "nodeAffinity",
                                     "requiredDuringSchedulingIgnoredDuringExecution", NULL);
    struct span fixed = json_get_str(spec, "nodeName"), name = object_name(node);
    bool fits =
        (fixed.n == 0 || span_eq(fixed, name)) &&
        schedule_selector_matches(json_get(spec, "nodeSelector"), labels) &&
        (!required || schedule_terms_match(json_get(required, "nodeSelectorTerms"), labels, name));
    if (!fits || object_is_deleting(node)) {
        return (struct daemonset_node){false, false};
    }
    if (schedule_untolerated(x->own.a, taints, x->tolerations).n == 0) {
        return (struct daemonset_node){true, true};
    }
    return (struct daemonset_node){false, may_stay(taints, x->tolerations)};
}

/* Nodes in order of their names: plans do not depend on the order of a map. */
static void observe_nodes(struct daemon_sync *x)
{
    struct nodes k = {.x = x};
    informer_each(x->c->nodes, see_node, &k);
    if (k.objects.n) {
        qsort(k.objects.at, k.objects.n, sizeof *k.objects.at, by_name);
    }
    struct daemonset_node *nodes = ARENA_ARRAY(x->own.a, struct daemonset_node, k.objects.n + 1);
    x->node_names = ARENA_ARRAY(x->own.a, struct span, k.objects.n + 1);
    for (size_t i = 0; i < k.objects.n; i++) {
        nodes[i] = judge(x, k.objects.at[i]);
        x->node_names[i] = arena_dup(x->own.a, object_name(k.objects.at[i]));
    }
    x->view.nodes = nodes;
    x->view.node_count = k.objects.n;
    VEC_DONE(&k.objects);
}

/* ---- pods ---- */

struct located {
    struct object *pod;
    int32_t node;
};

static int32_t find_node(const struct daemon_sync *x, struct span name)
{
    assert(x->node_names || x->view.node_count == 0);
    size_t low = 0, high = x->view.node_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        assert(mid < x->view.node_count);
        int order = span_cmp(x->node_names[mid], name);
        if (order == 0) {
            return (int32_t)mid;
        }
        *(order < 0 ? &low : &high) = order < 0 ? mid + 1 : mid;
    }
    return DAEMONSET_NO_NODE;
}

static int by_node(const void *va, const void *vb)
{
    const struct located *a = va, *b = vb;
    if (a->node != b->node) {
        return a->node < b->node ? -1 : 1;
    }
    return span_cmp(object_name(a->pod), object_name(b->pod));
}

static struct span daemonset_pod_hash(struct object *pod)
{
    return json_get_str(client_labels(pod), DAEMONSET_HASH_LABEL);
}

static struct daemonset_pod pod_of(const struct daemon_sync *x, const struct located *l)
{
    struct span phase = status_phase(object_root(l->pod));
    return (struct daemonset_pod){.rank = owned_pod_rank(l->pod),
                                  .node = l->node,
                                  .updated = span_eq(daemonset_pod_hash(l->pod), x->history.hash),
                                  .failed = span_eq_cstr(phase, "Failed"),
                                  .succeeded = span_eq_cstr(phase, "Succeeded")};
}

/* Pods that were bound to a node which is gone are the node controller's to end. */
static void observe_pods(struct daemon_sync *x)
{
    struct located *all = ARENA_ARRAY(x->own.a, struct located, x->pods.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < x->pods.n; i++) {
        struct object *pod = x->pods.at[i];
        int32_t node = find_node(x, daemonset_node_of(pod));
        bool bound = json_get_str(client_spec(pod), "nodeName").n > 0;
        if (node != DAEMONSET_NO_NODE || !bound) {
            all[n++] = (struct located){pod, node};
        }
    }
    qsort(all, n, sizeof *all, by_node);
    struct daemonset_pod *pods = ARENA_ARRAY(x->own.a, struct daemonset_pod, n + 1);
    for (size_t i = 0; i < n; i++) {
        x->pods.at[i] = all[i].pod;
        pods[i] = pod_of(x, &all[i]);
    }
    x->pods.n = n;
    x->view.pods = pods;
    x->view.pod_count = n;
}

void daemonset_mark_live(struct daemon_sync *x)
{
    for (size_t i = 0; i < x->history.n; i++) {
        struct revision_entry *e = &x->history.entries[i];
        assert(e->from < x->history.n);
        struct span hash = owned_revision_hash(x->history.objects[e->from], DAEMONSET_HASH_LABEL);
        for (size_t p = 0; p < x->pods.n && !e->live; p++) {
            e->live = span_eq(hash, daemonset_pod_hash(x->pods.at[p]));
        }
    }
}

void daemonset_observe(struct daemon_sync *x)
{
    struct owned_sync *own = &x->own;
    assert(x->own.owner);
    assert(x->own.s);
    yyjson_val *strategy = json_get(own->spec, "updateStrategy");
    yyjson_val *rolling = json_get(strategy, "rollingUpdate");
    x->view = (struct daemonset_view){
        .now_ms = own->s->now_ms,
        .deleting = object_is_deleting(own->owner),
        .on_delete = span_eq_cstr(json_get_str(strategy, "type"), "OnDelete"),
        .surge = owned_amount(json_get(rolling, "maxSurge")),
        .unavailable = owned_amount(json_get(rolling, "maxUnavailable")),
        .min_ready_s = owned_int32(own->spec, "minReadySeconds", 0)};
    x->tolerations = daemonset_tolerations(own->a, json_path(own->spec, "template", "spec", NULL));
    observe_nodes(x);
    observe_pods(x);
}
