/* sim/users_pods.c: what users do to pods, claims and nodes, and what they tidy up at the end. */
#include <stdio.h>

#include "client/client_body.h"
#include "sim/neighbours.h"
#include "sim/ranks.h"
#include "sim/users_priv.h"

/* ---- pods ---- */

/* Mostly one that is there. */
static struct span some_pod(struct platform *w, struct arena *a)
{
    size_t at = (size_t)sim_roll(w, ORDINALS);
    bool blind = sim_roll(w, 8) == 0;
    for (size_t i = 0; !blind && i < ORDINALS && !w->seats[at].exists; i++) {
        at = (at + 1) % ORDINALS;
    }
    return arena_printf(a, "redis-%d", (int)at);
}

void sim_declare_dead(struct platform *w, struct object *pod)
{
    struct span uid = object_uid(pod);
    char *kept = mem_new(uid.n + 1);
    memcpy(kept, uid.p, uid.n);
    VEC_PUSH(&w->forced, kept);
}

static void force(struct platform *w, struct span name)
{
    struct arena *a cleanup_arena = arena_new();
    struct object *pod = record_get(w->record, object_key(a, SPAN("pods"), SPAN("default"), name));
    if (!pod) {
        return;
    }
    sim_declare_dead(w, pod); /* asked for is enough: the answer may be lost */
    struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_DELETE,
                                .kind = SCHEMA_KIND(Pod), .name = name,
                                .precondition_uid = span_cstr(w->forced.at[w->forced.n - 1])};
    rq.grace_s = 0;
    (void)users_ask(w, SIM_DEED_FORCE_POD, &rq);
    sim_say(w, "delete %.*s by force: %s", SPAN_ARG(name), users_outcome(w));
}

void users_delete_pod(struct platform *w, struct span name, bool by_force)
{
    const struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_DELETE,
                                      .kind = SCHEMA_KIND(Pod), .name = name};
    if (by_force) {
        force(w, name);
        return;
    }
    (void)users_ask(w, SIM_DEED_DELETE_POD, &rq);
    sim_say(w, "delete %.*s: %s", SPAN_ARG(name), users_outcome(w));
}

static void edit(struct platform *w, enum sim_deed deed, const struct schema_kind *kind,
                 struct span name, struct span body)
{
    (void)users_patch(w, deed, kind, name, body);
    sim_say(w, "patch %.*s %.*s: %s", SPAN_ARG(name), SPAN_ARG(body), users_outcome(w));
}

static void edit_labels(struct platform *w, struct span name)
{
    static const char *const edits[] = {
        "{\"metadata\":{\"labels\":{\"app\":\"other\"}}}",
        "{\"metadata\":{\"labels\":{\"app\":\"redis\"}}}",
        "{\"metadata\":{\"labels\":{\"statefulset.kubernetes.io/pod-name\":null}}}",
        "{\"metadata\":{\"labels\":{\"apps.kubernetes.io/pod-index\":\"7\"}}}",
        "{\"metadata\":{\"labels\":{\"controller-revision-hash\":\"strange\"}}}"};
    edit(w, SIM_DEED_POD_LABELS, SCHEMA_KIND(Pod), name,
         span_cstr(edits[sim_roll(w, sizeof edits / sizeof *edits)]));
}

/* Nobody's; of a set that is gone (the garbage collector takes it); beside its owner a node. */
static void edit_owners(struct platform *w, struct span name)
{
    struct arena *a cleanup_arena = arena_new();
    struct object *node = record_get(w->record, SPAN("nodes//edge"));
    struct span body = SPAN("{\"metadata\":{\"ownerReferences\":null}}");
    switch (sim_roll(w, w->narrow ? 1 : 3)) {
    case 1:
        body = SPAN("{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":"
                    "\"StatefulSet\",\"name\":\"gone\",\"uid\":\"00000000-0000-4000-8000-"
                    "000000000001\",\"controller\":true}]}}");
        break;
    case 2:
        if (node) {
            body = arena_printf(a,
                                "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"v1\","
                                "\"kind\":\"Node\",\"name\":\"edge\",\"uid\":\"%.*s\"}]}}",
                                SPAN_ARG(object_uid(node)));
        }
        break;
    default:
        break;
    }
    edit(w, SIM_DEED_POD_OWNERS, SCHEMA_KIND(Pod), name, body);
}

/* A fail-over: another pod is the primary now. */
void users_promote(struct platform *w, struct span name)
{
    struct arena *a cleanup_arena = arena_new();
    for (int i = 0; i < ORDINALS; i++) {
        if (w->seats[i].primary) {
            edit(w, SIM_DEED_PROMOTE, SCHEMA_KIND(Pod), arena_printf(a, "redis-%d", i),
                 SPAN("{\"metadata\":{\"labels\":{\"role\":null}}}"));
        }
    }
    edit(w, SIM_DEED_PROMOTE, SCHEMA_KIND(Pod), name,
         SPAN("{\"metadata\":{\"labels\":{\"role\":\"primary\"}}}"));
}

void users_evict(struct platform *w, struct span name)
{
    struct arena *a cleanup_arena = arena_new();
    const struct client_request rq = {
        CLIENT_REQUEST_INIT,
        .verb = CLIENT_CREATE,
        .kind = SCHEMA_KIND(Pod),
        .name = name,
        .subresource = SPAN("eviction"),
        .body = arena_printf(a,
                             "{\"kind\":\"Eviction\",\"apiVersion\":\"policy/v1\",\"metadata\":{"
                             "\"name\":\"%.*s\"}}",
                             SPAN_ARG(name))};
    (void)users_ask(w, SIM_DEED_EVICT, &rq);
    sim_say(w, "evict %.*s: %s", SPAN_ARG(name), users_outcome(w));
}

void users_touch_pod(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    record_pull(w->record);
    struct span name = some_pod(w, a);
    bool primary = false, wanted = w->rules.at[w->rules.n - 1].primary_last;
    for (size_t i = 0; i < ORDINALS; i++) {
        primary |= w->seats[i].primary;
    }
    if (wanted && !primary && sim_roll(w, 2)) {
        users_promote(w, name);
        return;
    }
    switch (sim_roll(w, w->narrow ? 8 : wanted ? 10 : 9)) {
    case 0:
    case 1:
        users_evict(w, name);
        break;
    case 2:
        users_delete_pod(w, name, true);
        break;
    case 3:
        edit_labels(w, name);
        break;
    case 4:
        edit_owners(w, name);
        break;
    case 8:
    case 9:
        users_promote(w, name);
        break;
    default:
        users_delete_pod(w, name, false);
        break;
    }
}

/* ---- claims ---- */

void users_delete_claim(struct platform *w, struct span name)
{
    const struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_DELETE,
                                      .kind = SCHEMA_KIND(PersistentVolumeClaim), .name = name};
    (void)users_ask(w, SIM_DEED_DELETE_CLAIM, &rq);
    sim_say(w, "delete %.*s: %s", SPAN_ARG(name), users_outcome(w));
}

/* More or less: it may ask for less while it has less. */
static void resize_claim(struct platform *w, struct span name)
{
    struct arena *a cleanup_arena = arena_new();
    edit(w, SIM_DEED_CLAIM_SIZE, SCHEMA_KIND(PersistentVolumeClaim), name,
         arena_printf(a, "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"%dGi\"}}}}",
                      1 + (int)sim_roll(w, 8)));
}

void users_touch_claim(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    size_t at = (size_t)sim_roll(w, ORDINALS);
    struct object *claim = NULL;
    struct span name = SPAN_NULL;
    record_pull(w->record);
    for (size_t i = 0; i < ORDINALS && !claim; i++, at = (at + 1) % ORDINALS) {
        name = arena_printf(a, "data-redis-%d", (int)at);
        claim = record_get(w->record,
                           object_key(a, SPAN("persistentvolumeclaims"), SPAN("default"), name));
    }
    if (!claim) {
        return;
    }
    if (!w->narrow && sim_roll(w, 3) == 0) {
        edit(w, SIM_DEED_CLAIM_OWNERS, SCHEMA_KIND(PersistentVolumeClaim), name,
             SPAN("{\"metadata\":{\"ownerReferences\":null}}"));
        return;
    }
    if (!w->narrow && sim_roll(w, 2)) {
        resize_claim(w, name);
        return;
    }
    users_delete_claim(w, name);
}

/* ---- nodes ---- */

void users_cordon(struct platform *w, size_t node, bool on)
{
    edit(w, on ? SIM_DEED_CORDON : SIM_DEED_UNCORDON, SCHEMA_KIND(Node),
         span_cstr(w->nodes[node].name),
         on ? SPAN("{\"spec\":{\"unschedulable\":true}}")
            : SPAN("{\"spec\":{\"unschedulable\":null}}"));
}

static struct object *node_of(struct platform *w, size_t node)
{
    struct arena *a cleanup_arena = arena_new();
    return record_get(w->record, arena_printf(a, "nodes//%s", w->nodes[node].name));
}

static bool is_cordoned(struct platform *w, size_t node)
{
    struct object *o = node_of(w, node);
    return o && json_get_bool(json_get(object_root(o), "spec"), "unschedulable", false);
}

static bool is_tainted(struct platform *w, size_t node)
{
    struct object *o = node_of(w, node);
    return json_find(o ? json_path(object_root(o), "spec", "taints", NULL) : NULL, "key",
                     SPAN("sim")) != NULL;
}

/* As kubectl does: the whole list as the user knows it, which by now may be another one. effect
 * NULL: takes ours away. */
static void taint(struct platform *w, size_t node, const char *effect)
{
    struct arena *a cleanup_arena = arena_new();
    struct object *o = node_of(w, node);
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);
    JSON_EACH(it, o ? json_path(object_root(o), "spec", "taints", NULL) : NULL)
    {
        if (!span_eq_cstr(json_get_str(it.val, "key"), "sim")) {
            yyjson_mut_arr_append(list, json_mut_copy(doc, it.val));
        }
    }
    if (effect) {
        yyjson_mut_val *t = yyjson_mut_obj(doc);
        json_put_str(doc, t, "key", SPAN("sim"));
        json_put_str(doc, t, "effect", span_cstr(effect));
        yyjson_mut_arr_append(list, t);
    }
    json_put(doc, json_mut_obj(doc, root, "spec"), "taints", list);
    edit(w, effect ? SIM_DEED_TAINT : SIM_DEED_UNTAINT, SCHEMA_KIND(Node),
         span_cstr(w->nodes[node].name), json_write_mut(a, root));
}

static void touch_taint(struct platform *w, size_t node)
{
    static const char *const effects[] = {"NoExecute", "NoExecute", "NoSchedule",
                                          "PreferNoSchedule"};
    taint(w, node, is_tainted(w, node) ? NULL : effects[sim_roll(w, 4)]);
}

struct on_node {
    struct platform *w;
    struct span node;
};

static struct span node_name(struct object *pod)
{
    return json_str(json_path(object_root(pod), "spec", "nodeName", NULL));
}

static void lose_pod(void *data, struct object *pod)
{
    struct on_node *l = data;
    if (span_eq(node_name(pod), l->node)) {
        sim_declare_dead(l->w, pod);
    }
}

/* Who deletes a Node says that its machine is gone for good, with all that runs there and with what
 * is bound to it before the scheduler knows. */
void users_on_change(struct platform *w, struct object *old, struct object *now)
{
    struct span rest = object_store_key(now ? now : old), resource = span_cut(&rest, '/');
    if (!now && span_eq_cstr(resource, "nodes")) {
        record_each(w->record, SPAN("pods"), lose_pod, &(struct on_node){w, object_name(old)});
    } else if (now && span_eq_cstr(resource, "pods") && !(old && node_name(old).n)) {
        struct arena *a cleanup_arena = arena_new_small();
        struct span node = node_name(now);
        if (node.n && !record_get(w->record, object_key(a, SPAN("nodes"), SPAN_NULL, node))) {
            sim_declare_dead(w, now);
        }
    }
}

static void delete_node(struct platform *w, size_t node)
{
    const struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_DELETE,
                                      .kind = SCHEMA_KIND(Node),
                                      .name = span_cstr(w->nodes[node].name)};
    (void)users_ask(w, SIM_DEED_DELETE_NODE, &rq);
    sim_say(w, "delete the node %s: %s", w->nodes[node].name, users_outcome(w));
}

void users_touch_node(struct platform *w)
{
    size_t node = (size_t)sim_roll(w, NODES);
    record_pull(w->record);
    if (!w->narrow && sim_roll(w, 5) == 0) {
        delete_node(w, node);
    } else if (sim_roll(w, 3) == 0) {
        touch_taint(w, node);
    } else {
        users_cordon(w, node, sim_roll(w, 8) ? !is_cordoned(w, node) : is_cordoned(w, node));
    }
}

/* ---- the end ---- */

struct bad_pods {
    struct arena *a;
    VEC(struct span) names;
    bool set_exists, makes_claims;
};

static bool is_bad(struct object *o, const char *at)
{
    yyjson_val *meta = at ? json_path(object_root(o), "spec", at, "metadata", NULL)
                          : json_get(object_root(o), "metadata");
    return span_eq_cstr(json_get_str(json_get(meta, "annotations"), "sim"), "bad");
}

static void see_bad_pod(void *data, struct object *pod)
{
    struct bad_pods *b = data;
    /* The claim of one that waits may have gone with the set. */
    struct span phase = json_str(json_path(object_root(pod), "status", "phase", NULL));
    bool is_in_the_way =
        client_controller_uid(pod).n == 0 && (b->set_exists || span_eq_cstr(phase, "Pending"));
    /* Nobody makes the claim that one waits for which a set without claims has adopted. */
    bool waits_for_ever = b->set_exists && !b->makes_claims && span_eq_cstr(phase, "Pending") &&
                          span_starts(object_name(pod), SPAN("redis-")) && sim_mounts_claim(pod);
    /* Nobody finds a node while it has a port. */
    bool is_lone = span_eq_cstr(object_name(pod), "lone");
    is_in_the_way = is_lone ? sim_has_host_port(pod) : is_in_the_way && !ranks_is_big(pod);
    if (is_bad(pod, NULL) || is_in_the_way || waits_for_ever) {
        VEC_PUSH(&b->names, arena_dup(b->a, object_name(pod)));
    }
}

/* Templates that cannot work are mended, not to be taken back; pods of them and pods that nobody
 * owns go. */
void sim_users_tidy_up(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct bad_pods bad = {.a = a, .set_exists = w->rules.at[w->rules.n - 1].exists};
    struct object *set;
    w->calm = true;
    record_pull(w->record);
    allowance_tidy_up(w);
    for (size_t i = 0; i < NODES; i++) {
        if (is_cordoned(w, i)) {
            users_cordon(w, i, false);
        }
        if (is_tainted(w, i)) {
            taint(w, i, NULL);
        }
    }
    record_pull(w->record);
    set = record_get(w->record, SPAN("statefulsets.apps/default/redis"));
    bad.makes_claims =
        set && json_len(json_path(object_root(set), "spec", "volumeClaimTemplates", NULL)) > 0;
    record_each(w->record, SPAN("pods"), see_bad_pod, &bad);
    if (set && (bad.names.n > 0 || is_bad(set, "template"))) {
        (void)users_patch_set(
            w, SIM_DEED_ROLL_OUT,
            SPAN("{\"metadata\":{\"annotations\":{\"berth.dev/paused\":null,"
                 "\"berth.dev/auto-rollback\":null}},"
                 "\"spec\":{\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{"
                 "\"partition\":0}},\"template\":{\"metadata\":{\"annotations\":{\"sim\":\"good\","
                 "\"berth.dev/fake-start-error\":null,\"berth.dev/fake-exit-after-ms\":null,"
                 "\"berth.dev/fake-start-ms\":null,\"berth.dev/fake-ready-ms\":null,"
                 "\"berth.dev/fake-exec-ms\":null}}}}}"));
    }
    for (size_t i = 0; i < bad.names.n; i++) {
        const struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_DELETE,
                                          .kind = SCHEMA_KIND(Pod), .name = bad.names.at[i]};
        (void)users_ask(w, SIM_DEED_DELETE_POD, &rq);
        sim_say(w, "delete %.*s, which cannot work or is in the way: %s", SPAN_ARG(bad.names.at[i]),
                users_outcome(w));
    }
    VEC_DONE(&bad.names);
    ranks_tidy_up(w);
}
