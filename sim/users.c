/* sim/users.c: what users ask for in a history: sets of every policy and strategy, templates good
 * and bad, and everything that kubectl does to them. */
#include <stdio.h>

#include "client/client_body.h"
#include "schema/kinds.h"
#include "sim/platform_priv.h"

static bool ask(struct platform *w, enum client_verb verb, const struct schema_kind *kind,
                struct span name, struct span subresource, struct span body)
{
    const struct client_request rq = {
        CLIENT_REQUEST_INIT, .verb = verb,
        .kind = kind,        .ns = kind->namespaced ? SPAN("default") : SPAN_NULL,
        .name = name,        .subresource = subresource,
        .body = body,        .field_manager = SPAN("user")};
    return platform_request(w, &rq);
}

static const char *outcome(const struct platform *w)
{
    return !w->answered ? "no answer" : w->answer == ERR_NONE ? "done" : w->answer_text;
}

static bool patch_set(struct platform *w, const char *what, struct span body)
{
    bool ok = ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(StatefulSet), SPAN("redis"), SPAN_NULL, body);
    sim_say(w, "%s %.*s: %s", what, SPAN_ARG(body), outcome(w));
    return ok;
}

/* ---- templates ---- */

/* How the containers of a template behave: one in eight is bad in some way. */
static struct span annotations(struct platform *w, struct arena *a)
{
    static const char *const bad[] = {
        "\"berth.dev/fake-start-error\":\"no such file\"",
        "\"berth.dev/fake-exit-after-ms\":\"300\",\"berth.dev/fake-exit-code\":\"1\"",
        "\"berth.dev/fake-start-ms\":\"45000\"", "\"berth.dev/fake-ready-ms\":\"36000000\""};
    int round = (int)sim_roll(w, 100);
    if (sim_roll(w, 8) == 0) {
        return arena_printf(a, "{\"round\":\"%d\",\"sim\":\"bad\",%s}", round,
                            bad[sim_roll(w, sizeof bad / sizeof *bad)]);
    }
    return arena_printf(a,
                        "{\"round\":\"%d\",\"sim\":\"good\",\"berth.dev/fake-start-ms\":\"%d\","
                        "\"berth.dev/fake-stop-ms\":\"%d\",\"berth.dev/fake-ready-ms\":\"%d\","
                        "\"berth.dev/fake-ignore-term\":\"%s\",\"berth.dev/fake-start-error\":null,"
                        "\"berth.dev/fake-exit-after-ms\":null,\"berth.dev/fake-exit-code\":null}",
                        round, (int)sim_roll(w, sim_roll(w, 3) ? 200 : 6000),
                        (int)sim_roll(w, sim_roll(w, 3) ? 500 : 20000),
                        sim_roll(w, 3) ? 0 : (int)sim_roll(w, 5000),
                        sim_roll(w, 10) ? "false" : "true");
}

static struct span strategy(struct platform *w, struct arena *a)
{
    static const char *const max[] = {"1", "2", "3", "\"50%\""};
    switch (sim_roll(w, 5)) {
    case 0:
        return SPAN("{\"type\":\"OnDelete\",\"rollingUpdate\":null}");
    case 1:
        return arena_printf(a,
                            "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":%d,"
                            "\"maxUnavailable\":%s}}",
                            (int)sim_roll(w, 3), max[sim_roll(w, 4)]);
    default:
        return arena_printf(a,
                            "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":%d,"
                            "\"maxUnavailable\":null}}",
                            sim_roll(w, 2) ? 0 : (int)sim_roll(w, REPLICAS_MAX + 1));
    }
}

static struct span retention(struct platform *w, struct arena *a)
{
    static const char *const policy[] = {"Retain", "Retain", "Delete"};
    return arena_printf(a, "{\"whenDeleted\":\"%s\",\"whenScaled\":\"%s\"}", policy[sim_roll(w, 3)],
                        policy[sim_roll(w, 3)]);
}

static void create_set(struct platform *w)
{
    static const char claims[] =
        ",\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"data\"},\"spec\":{\"accessModes\":["
        "\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}]";
    static const char set[] =
        "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"redis\"},"
        "\"spec\":{\"replicas\":%d,\"serviceName\":\"redis\",\"podManagementPolicy\":\"%s\","
        "\"minReadySeconds\":%d,\"ordinals\":{\"start\":%d},\"updateStrategy\":%.*s,"
        "\"revisionHistoryLimit\":%d,\"persistentVolumeClaimRetentionPolicy\":%.*s,"
        "\"selector\":{\"matchLabels\":{\"app\":\"redis\"}},\"template\":{\"metadata\":{"
        "\"labels\":{\"app\":\"redis\"},\"annotations\":%.*s},\"spec\":{"
        "\"terminationGracePeriodSeconds\":3,\"containers\":[{\"name\":\"redis\",\"image\":"
        "\"redis:7\",\"readinessProbe\":{\"periodSeconds\":1,\"exec\":{\"command\":[\"ping\"]}}}]"
        "}}%s}}";
    struct arena *a cleanup_arena = arena_new();
    int replicas = (int)sim_roll(w, REPLICAS_MAX + 1),
        min_ready = w->has_min_ready ? MIN_READY_MS / 1000 : 0;
    int start = sim_roll(w, 4) ? 0 : (int)sim_roll(w, START_MAX + 1);
    struct span how = strategy(w, a), keep = retention(w, a), knobs = annotations(w, a);
    const char *policy = sim_roll(w, 3) ? "OrderedReady" : "Parallel";
    bool has_claims = sim_roll(w, 3) > 0;
    struct span body =
        arena_printf(a, set, replicas, policy, min_ready, start, SPAN_ARG(how), (int)sim_roll(w, 4),
                     SPAN_ARG(keep), SPAN_ARG(knobs), has_claims ? claims : "");
    (void)ask(w, CLIENT_CREATE, SCHEMA_KIND(StatefulSet), SPAN_NULL, SPAN_NULL, body);
    sim_say(w,
            "create the set: %d from %d, %s, min ready %d s, %.*s, retention %.*s, claims %d, "
            "template %.*s: %s",
            replicas, start, policy, min_ready, SPAN_ARG(how), SPAN_ARG(keep), has_claims,
            SPAN_ARG(knobs), outcome(w));
}

/* ---- the set ---- */

static void delete_set(struct platform *w)
{
    static const char *const names[] = {"by default", "in the background", "in the foreground",
                                        "orphaning"};
    enum client_propagation how = (enum client_propagation)sim_roll(w, 4);
    const struct client_request rq = {
        CLIENT_REQUEST_INIT,          .verb = CLIENT_DELETE, .kind = SCHEMA_KIND(StatefulSet),
        .ns = SPAN("default"),        .name = SPAN("redis"), .propagation = how,
        .field_manager = SPAN("user")};
    (void)platform_request(w, &rq);
    sim_say(w, "delete the set %s: %s", names[how], outcome(w));
}

static void scale(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct span body =
        arena_printf(a, "{\"spec\":{\"replicas\":%d}}", (int)sim_roll(w, REPLICAS_MAX + 1));
    if (sim_roll(w, 2)) {
        (void)patch_set(w, "patch", body);
        return;
    }
    (void)ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(StatefulSet), SPAN("redis"), SPAN("scale"), body);
    sim_say(w, "scale %.*s: %s", SPAN_ARG(body), outcome(w));
}

static void roll_out(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct span knobs = annotations(w, a);
    (void)patch_set(w, "new template",
                    arena_printf(a,
                                 "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":%.*s}}}}",
                                 SPAN_ARG(knobs)));
}

struct second {
    struct object *first, *second; /* newest revisions */
};

static int64_t revision_of(struct object *o)
{
    return o ? json_get_int(object_root(o), "revision", 0) : 0;
}

static void see_revision(void *data, struct object *o)
{
    struct second *s = data;
    if (!span_starts(object_name(o), SPAN("redis-"))) {
        return;
    }
    if (revision_of(o) > revision_of(s->first)) {
        s->second = s->first;
        s->first = o;
    } else if (revision_of(o) > revision_of(s->second)) {
        s->second = o;
    }
}

static void undo(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct second s = {0};
    record_pull(w->record);
    record_each(w->record, SPAN("controllerrevisions.apps"), see_revision, &s);
    if (s.second) {
        struct span body = json_write(a, json_get(object_root(s.second), "data"));
        (void)ask(w, CLIENT_PATCH_STRATEGIC, SCHEMA_KIND(StatefulSet), SPAN("redis"), SPAN_NULL,
                  body);
        sim_say(w, "undo to a former revision: %s", outcome(w));
    }
}

/* Right values and wrong ones, which must count for nothing. */
static void annotate(struct platform *w, bool pause)
{
    static const char *const paused[] = {"\"true\"", "\"true\"", "\"false\"", "\"maybe\"", "null"},
                             *const reserved[] = {"\"1\"",   "\"0\"",   "\"0,2\"",
                                                  "\"3,4\"", "\"2,x\"", "null"};
    struct arena *a cleanup_arena = arena_new();
    const char *name = pause ? "paused" : "reserve-ordinals",
               *value = pause ? paused[sim_roll(w, 5)] : reserved[sim_roll(w, 6)];
    (void)patch_set(
        w, "annotate",
        arena_printf(a, "{\"metadata\":{\"annotations\":{\"berth.dev/%s\":%s}}}", name, value));
}

static void change_rules(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    static const char *const fields[] = {"updateStrategy", "persistentVolumeClaimRetentionPolicy",
                                         "ordinals"};
    uint64_t which = sim_roll(w, w->narrow ? 3 : 5);
    if (which >= 3) {
        annotate(w, which == 3);
        return;
    }
    struct span value = which == 0 ? strategy(w, a)
                        : which == 1
                            ? retention(w, a)
                            : arena_printf(a, "{\"start\":%d}", (int)sim_roll(w, START_MAX + 1));
    (void)patch_set(w, "patch",
                    arena_printf(a, "{\"spec\":{\"%s\":%.*s}}", fields[which], SPAN_ARG(value)));
}

/* ---- pods, claims, nodes ---- */

static struct span some_pod(struct platform *w, struct arena *a)
{
    return arena_printf(a, "redis-%d", (int)sim_roll(w, ORDINALS));
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
    record_pull(w->record);
    struct object *pod = record_get(w->record, object_key(a, SPAN("pods"), SPAN("default"), name));
    if (!pod) {
        return;
    }
    sim_declare_dead(w, pod); /* asked for is enough: the answer may be lost */
    const char *kept = w->forced.at[w->forced.n - 1];
    const struct client_request rq = {
        CLIENT_REQUEST_INIT,   .verb = CLIENT_DELETE, .kind = SCHEMA_KIND(Pod),
        .ns = SPAN("default"), .name = name,          .precondition_uid = span_cstr(kept)};
    struct client_request now = rq;
    now.grace_s = 0;
    (void)platform_request(w, &now);
    sim_say(w, "delete %.*s by force: %s", SPAN_ARG(name), outcome(w));
}

static void edit_pod(struct platform *w, struct span name)
{
    static const char *const edits[] = {
        "{\"metadata\":{\"labels\":{\"app\":\"other\"}}}",
        "{\"metadata\":{\"labels\":{\"app\":\"redis\"}}}",
        "{\"metadata\":{\"ownerReferences\":null}}",
        "{\"metadata\":{\"labels\":{\"statefulset.kubernetes.io/pod-name\":null}}}",
        "{\"metadata\":{\"labels\":{\"controller-revision-hash\":\"strange\"}}}"};
    const char *edit = edits[sim_roll(w, sizeof edits / sizeof *edits)];
    (void)ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Pod), name, SPAN_NULL, span_cstr(edit));
    sim_say(w, "patch %.*s %s: %s", SPAN_ARG(name), edit, outcome(w));
}

static void touch_pod(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct span name = some_pod(w, a);
    switch (sim_roll(w, 5)) {
    case 0:
        (void)ask(w, CLIENT_CREATE, SCHEMA_KIND(Pod), name, SPAN("eviction"),
                  arena_printf(a,
                               "{\"kind\":\"Eviction\",\"apiVersion\":\"policy/v1\",\"metadata\":{"
                               "\"name\":\"%.*s\"}}",
                               SPAN_ARG(name)));
        sim_say(w, "evict %.*s: %s", SPAN_ARG(name), outcome(w));
        break;
    case 1:
        force(w, name);
        break;
    case 2:
        edit_pod(w, name);
        break;
    default:
        (void)ask(w, CLIENT_DELETE, SCHEMA_KIND(Pod), name, SPAN_NULL, SPAN_NULL);
        sim_say(w, "delete %.*s: %s", SPAN_ARG(name), outcome(w));
        break;
    }
}

static void delete_claim(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    int ordinal = (int)sim_roll(w, ORDINALS);
    struct span name = arena_printf(a, "data-redis-%d", ordinal);
    record_pull(w->record);
    struct object *claim =
        record_get(w->record, object_key(a, SPAN("persistentvolumeclaims"), SPAN("default"), name));
    if (claim) {
        w->seats[ordinal].claim_asked = true;
        (void)ask(w, CLIENT_DELETE, SCHEMA_KIND(PersistentVolumeClaim), name, SPAN_NULL, SPAN_NULL);
        sim_say(w, "delete %.*s: %s", SPAN_ARG(name), outcome(w));
    }
}

static void cordon(struct platform *w, size_t node, bool on)
{
    (void)ask(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(Node), span_cstr(w->nodes[node].name), SPAN_NULL,
              on ? SPAN("{\"spec\":{\"unschedulable\":true}}")
                 : SPAN("{\"spec\":{\"unschedulable\":null}}"));
    sim_say(w, "%s %s: %s", on ? "cordon" : "uncordon", w->nodes[node].name, outcome(w));
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

struct on_node {
    struct platform *w;
    const char *node;
};

static void lose_pod(void *data, struct object *pod)
{
    struct on_node *l = data;
    struct span node = json_str(json_path(object_root(pod), "spec", "nodeName", NULL));
    if (span_eq_cstr(node, l->node)) {
        sim_declare_dead(l->w, pod);
    }
}

/* Who deletes a Node says that its machine is gone for good, with all that runs there. */
static void delete_node(struct platform *w, size_t node)
{
    struct on_node l = {w, w->nodes[node].name};
    record_pull(w->record);
    record_each(w->record, SPAN("pods"), lose_pod, &l);
    (void)ask(w, CLIENT_DELETE, SCHEMA_KIND(Node), span_cstr(l.node), SPAN_NULL, SPAN_NULL);
    sim_say(w, "delete the node %s: %s", l.node, outcome(w));
}

void sim_user_acts(struct platform *w)
{
    if (!w->narrow && sim_roll(w, 4) == 0) {
        neighbours_act(w);
        return;
    }
    uint64_t choice = sim_roll(w, 20);
    if (w->rules.at[w->rules.n - 1].exists && choice < 2) {
        delete_set(w);
    } else if (!w->rules.at[w->rules.n - 1].exists && choice < 12) {
        create_set(w);
    } else if (choice < 6) {
        scale(w);
    } else if (choice < 9) {
        roll_out(w);
    } else if (choice < 11) {
        change_rules(w);
    } else if (choice < 12) {
        undo(w);
    } else if (choice < 17) {
        touch_pod(w);
    } else if (choice < 18) {
        delete_claim(w);
    } else if (choice < 19 && !w->narrow && sim_roll(w, 4) == 0) {
        delete_node(w, (size_t)sim_roll(w, NODES));
    } else if (choice < 19) {
        cordon(w, (size_t)sim_roll(w, NODES), sim_roll(w, 2));
    } else {
        create_set(w);
    }
}

/* ---- the end ---- */

struct bad_pods {
    struct arena *a;
    VEC(struct span) names;
    bool set_exists;
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
    bool is_in_the_way = b->set_exists && client_controller_uid(pod).n == 0;
    if (is_bad(pod, NULL) || is_in_the_way) {
        VEC_PUSH(&b->names, arena_dup(b->a, object_name(pod)));
    }
}

/* Templates that cannot work are mended, pods of them and pods that nobody owns go. */
void sim_users_tidy_up(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct bad_pods bad = {.a = a, .set_exists = w->rules.at[w->rules.n - 1].exists};
    w->calm = true;
    record_pull(w->record);
    for (size_t i = 0; i < NODES; i++) {
        if (is_cordoned(w, i)) {
            cordon(w, i, false);
        }
    }
    record_pull(w->record);
    record_each(w->record, SPAN("pods"), see_bad_pod, &bad);
    struct object *set = record_get(w->record, SPAN("statefulsets.apps/default/redis"));
    if (set && (bad.names.n > 0 || is_bad(set, "template"))) {
        (void)patch_set(
            w, "mend",
            SPAN("{\"metadata\":{\"annotations\":{\"berth.dev/paused\":null}},"
                 "\"spec\":{\"updateStrategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{"
                 "\"partition\":0}},\"template\":{\"metadata\":{\"annotations\":{\"sim\":\"good\","
                 "\"berth.dev/fake-start-error\":null,\"berth.dev/fake-exit-after-ms\":null,"
                 "\"berth.dev/fake-start-ms\":null,\"berth.dev/fake-ready-ms\":null}}}}}"));
    }
    for (size_t i = 0; i < bad.names.n; i++) {
        (void)ask(w, CLIENT_DELETE, SCHEMA_KIND(Pod), bad.names.at[i], SPAN_NULL, SPAN_NULL);
        sim_say(w, "delete %.*s, which cannot work or is in the way: %s", SPAN_ARG(bad.names.at[i]),
                outcome(w));
    }
    VEC_DONE(&bad.names);
}
