/* sim/users.c: what users ask for in a history: sets of every policy, strategy and annotation,
 * templates good and bad, and everything that kubectl does to them. */
#include "sim/neighbours.h"
#include "sim/ranks.h"
#include "sim/users_priv.h"

#include <stdio.h>

#include "client/client_body.h"

bool users_ask(struct platform *w, enum sim_deed deed, const struct client_request *rq)
{
    struct client_request as = *rq;
    as.ns = rq->kind->namespaced ? SPAN("default") : SPAN_NULL;
    as.field_manager = SPAN("user");
    bool ok = platform_request(w, &as);
    sim_asked(w, deed);
    return ok;
}

bool users_patch(struct platform *w, enum sim_deed deed, const struct schema_kind *kind,
                 struct span name, struct span body)
{
    const struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_PATCH_MERGE, .kind = kind,
                                      .name = name, .body = body};
    return users_ask(w, deed, &rq);
}

bool users_patch_set(struct platform *w, enum sim_deed deed, struct span body)
{
    bool ok = users_patch(w, deed, SCHEMA_KIND(StatefulSet), SPAN("redis"), body);
    sim_say(w, "%s %.*s: %s", sim_deed_name(deed), SPAN_ARG(body), users_outcome(w));
    return ok;
}

const char *users_outcome(const struct platform *w)
{
    return !w->answered ? "no answer" : w->answer == ERR_NONE ? "done" : w->answer_text;
}

/* ---- templates ---- */

/* How the containers of a template behave: one in eight is bad in some way, more where the set can
 * help itself. */
static struct span knobs(struct platform *w, struct arena *a)
{
    static const struct {
        enum sim_deed deed;
        const char *text;
    } bad[] = {{SIM_DEED_BAD_START, "\"berth.dev/fake-start-error\":\"no such file\""},
               {SIM_DEED_BAD_CRASH,
                "\"berth.dev/fake-exit-after-ms\":\"300\",\"berth.dev/fake-exit-code\":\"1\""},
               {SIM_DEED_BAD_SLOW, "\"berth.dev/fake-start-ms\":\"45000\""},
               {SIM_DEED_BAD_UNREADY, "\"berth.dev/fake-ready-ms\":\"36000000\""},
               {SIM_DEED_BAD_HANG, "\"berth.dev/fake-exec-ms\":\"36000000\""}};
    int round = (int)sim_roll(w, 100);
    if (sim_roll(w, w->rules.at[w->rules.n - 1].auto_rollback ? 3 : 8) == 0) {
        size_t which = (size_t)sim_roll(w, sizeof bad / sizeof *bad);
        sim_saw(w, bad[which].deed);
        return arena_printf(a, "{\"round\":\"%d\",\"sim\":\"bad\",%s}", round, bad[which].text);
    }
    return arena_printf(a,
                        "{\"round\":\"%d\",\"sim\":\"good\",\"berth.dev/fake-start-ms\":\"%d\","
                        "\"berth.dev/fake-stop-ms\":\"%d\",\"berth.dev/fake-ready-ms\":\"%d\","
                        "\"berth.dev/fake-ignore-term\":\"%s\",\"berth.dev/fake-start-error\":null,"
                        "\"berth.dev/fake-exit-after-ms\":null,\"berth.dev/fake-exit-code\":null,"
                        "\"berth.dev/fake-exec-ms\":null}",
                        round, (int)sim_roll(w, sim_roll(w, 3) ? 200 : 6000),
                        (int)sim_roll(w, sim_roll(w, 3) ? 500 : 20000),
                        sim_roll(w, 3) ? 0 : (int)sim_roll(w, 5000),
                        sim_roll(w, 10) ? "false" : "true");
}

static struct span strategy(struct platform *w, struct arena *a)
{
    static const char *const max[] = {"1", "2", "3", "\"50%\""};
    switch (sim_roll(w, w->narrow ? 5 : 6)) {
    case 0:
        return SPAN("{\"type\":\"OnDelete\",\"rollingUpdate\":null}");
    case 1:
        return arena_printf(a,
                            "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":%d,"
                            "\"maxUnavailable\":%s}}",
                            (int)sim_roll(w, 3), max[sim_roll(w, 4)]);
    case 5:
        return SPAN("{\"type\":\"Recreate\",\"rollingUpdate\":null}");
    default:
        return arena_printf(a,
                            "{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"partition\":%d,"
                            "\"maxUnavailable\":null}}",
                            sim_roll(w, 2) ? 0 : (int)sim_roll(w, REPLICAS_MAX + 1));
    }
}

/* Whether pods stay on a node that is tainted (sim/users_pods.c). */
static const char *bears(struct platform *w)
{
    static const char *const how[] = {
        "", "",
        ",\"tolerations\":[{\"key\":\"sim\",\"operator\":\"Exists\",\"effect\":\"NoExecute\"}]",
        ",\"tolerations\":[{\"key\":\"sim\",\"operator\":\"Exists\",\"effect\":\"NoExecute\","
        "\"tolerationSeconds\":7}]"};
    return how[sim_roll(w, 4)];
}

static struct span retention(struct platform *w, struct arena *a)
{
    static const char *const policy[] = {"Retain", "Retain", "Delete"};
    return arena_printf(a, "{\"whenDeleted\":\"%s\",\"whenScaled\":\"%s\"}", policy[sim_roll(w, 3)],
                        policy[sim_roll(w, 3)]);
}

/* ---- annotations ---- */

/* Right values and wrong ones, which must count for nothing; the last one takes it away. */
static const struct {
    enum sim_deed deed;
    const char *name;
    const char *values[6];
} notes[] = {
    {SIM_DEED_PAUSED, "paused", {"\"true\"", "\"true\"", "\"false\"", "\"maybe\"", "null"}},
    {SIM_DEED_RESERVED,
     "reserve-ordinals",
     {"\"1\"", "\"0\"", "\"0,2\"", "\"3,4\"", "\"2,x\"", "null"}},
    {SIM_DEED_DEADLINE, "progress-deadline", {"\"5s\"", "\"10s\"", "\"1m\"", "\"soon\"", "null"}},
    {SIM_DEED_ROLLBACK, "auto-rollback", {"\"true\"", "\"true\"", "\"true\"", "\"yes\"", "null"}},
    {SIM_DEED_WINDOW, "start-parallelism", {"\"2\"", "\"3\"", "\"2\"", "\"0\"", "null"}},
    {SIM_DEED_ORDER,
     "update-order",
     {"\"last:role=primary\"", "\"last:role=primary\"", "\"role=primary\"", "null"}},
};
enum { NOTES = sizeof notes / sizeof *notes };

static const char *note_value(struct platform *w, size_t which)
{
    size_t n = 0;
    while (n < 6 && notes[which].values[n]) {
        n++;
    }
    return notes[which].values[sim_roll(w, n)];
}

static void annotate(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    size_t which = (size_t)sim_roll(w, NOTES);
    (void)users_patch_set(w, notes[which].deed,
                          arena_printf(a, "{\"metadata\":{\"annotations\":{\"berth.dev/%s\":%s}}}",
                                       notes[which].name, note_value(w, which)));
}

/* Those of a new set: few sets have any, and then often several. */
static struct span some_notes(struct platform *w, struct arena *a)
{
    struct span text = SPAN("");
    bool any = !w->narrow && sim_roll(w, 2);
    for (size_t i = 1; any && i < NOTES; i++) { /* not paused */
        const char *value = sim_roll(w, 3) ? "null" : note_value(w, i);
        bool together = notes[i].deed == SIM_DEED_ROLLBACK && strstr(text.p, "progress-deadline");
        value = together && sim_roll(w, 4) ? "\"true\"" : value;
        if (strcmp(value, "null") != 0) {
            text = arena_printf(a, "%.*s%s\"berth.dev/%s\":%s", SPAN_ARG(text), text.n ? "," : "",
                                notes[i].name, value);
        }
    }
    return arena_printf(a, "{%.*s}", SPAN_ARG(text));
}

/* ---- the set ---- */

/* Creates it, or applies the manifest over the one that is there. */
void users_put_set(struct platform *w)
{
    static const char claims[] =
        ",\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"data\"},\"spec\":{\"accessModes\":["
        "\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}]";
    static const char set[] =
        "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"redis\","
        "\"annotations\":%.*s},"
        "\"spec\":{\"replicas\":%d,\"minReadySeconds\":%d,\"ordinals\":{\"start\":%d},"
        "\"updateStrategy\":%.*s,"
        "\"revisionHistoryLimit\":%d,\"persistentVolumeClaimRetentionPolicy\":%.*s,"
        "\"selector\":{\"matchLabels\":{\"app\":\"redis\"}},\"template\":{\"metadata\":{"
        "\"labels\":{\"app\":\"redis\"},\"annotations\":%.*s},\"spec\":{"
        "\"terminationGracePeriodSeconds\":3%s%s,\"containers\":[{\"name\":\"redis\",\"image\":"
        "\"redis:7\"%s,\"readinessProbe\":{\"periodSeconds\":1,\"exec\":{\"command\":[\"ping\"]}}}]"
        "}}%s}}";
    static const char resources[] =
        ",\"resources\":{\"requests\":{\"cpu\":\"10m\",\"memory\":\"16Mi\"},\"limits\":{"
        "\"memory\":\"64Mi\"}},\"resizePolicy\":[{\"resourceName\":\"memory\","
        "\"restartPolicy\":\"RestartContainer\"}]";
    struct arena *a cleanup_arena = arena_new();
    int replicas = (int)sim_roll(w, REPLICAS_MAX + 1),
        min_ready = w->has_min_ready ? MIN_READY_MS / 1000 : 0;
    int start = sim_roll(w, 4) ? 0 : (int)sim_roll(w, START_MAX + 1);
    struct span how = strategy(w, a), keep = retention(w, a), inside = knobs(w, a),
                outside = some_notes(w, a);
    bool ordered = sim_roll(w, 3), has_claims = sim_roll(w, 3);
    bool applies = w->rules.at[w->rules.n - 1].exists;
    struct span fixed =
        arena_printf(a, ",\"serviceName\":\"redis\",\"podManagementPolicy\":\"%s\"%s",
                     ordered ? "OrderedReady" : "Parallel", has_claims ? claims : "");
    struct client_request rq = {
        CLIENT_REQUEST_INIT, .verb = applies ? CLIENT_PATCH_STRATEGIC : CLIENT_CREATE,
        .kind = SCHEMA_KIND(StatefulSet), .name = applies ? SPAN("redis") : SPAN_NULL};
    rq.body = arena_printf(a, set, SPAN_ARG(outside), replicas, min_ready, start, SPAN_ARG(how),
                           (int)sim_roll(w, 4), SPAN_ARG(keep), SPAN_ARG(inside), bears(w),
                           ranks_class(w), w->narrow || sim_roll(w, 2) ? "" : resources,
                           applies && sim_roll(w, 8) ? "" : fixed.p);
    (void)users_ask(w, applies ? SIM_DEED_APPLY : SIM_DEED_CREATE, &rq);
    sim_say(w,
            "%s: %d from %d, %s, min ready %d s, %.*s, retention %.*s, claims %d, "
            "annotations %.*s, template %.*s: %s",
            sim_deed_name(applies ? SIM_DEED_APPLY : SIM_DEED_CREATE), replicas, start,
            ordered ? "OrderedReady" : "Parallel", min_ready, SPAN_ARG(how), SPAN_ARG(keep),
            has_claims, SPAN_ARG(outside), SPAN_ARG(inside), users_outcome(w));
}

void users_delete_set(struct platform *w, enum client_propagation how)
{
    static const enum sim_deed deeds[] = {SIM_DEED_DELETE_DEFAULT, SIM_DEED_DELETE_BACKGROUND,
                                          SIM_DEED_DELETE_FOREGROUND, SIM_DEED_DELETE_ORPHAN};
    const struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_DELETE,
                                      .kind = SCHEMA_KIND(StatefulSet), .name = SPAN("redis"),
                                      .propagation = how};
    (void)users_ask(w, deeds[how], &rq);
    sim_say(w, "%s: %s", sim_deed_name(deeds[how]), users_outcome(w));
}

void users_scale(struct platform *w, int replicas)
{
    struct arena *a cleanup_arena = arena_new();
    struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_PATCH_MERGE,
                                .kind = SCHEMA_KIND(StatefulSet), .name = SPAN("redis")};
    rq.body = arena_printf(a, "{\"spec\":{\"replicas\":%d}}", replicas);
    rq.subresource = sim_roll(w, 2) ? SPAN("scale") : SPAN_NULL;
    (void)users_ask(w, SIM_DEED_SCALE, &rq);
    sim_say(w, "scale %.*s %.*s: %s", SPAN_ARG(rq.subresource), SPAN_ARG(rq.body),
            users_outcome(w));
}

/* `kubectl rollout status`: until all is up to date, for half a minute. */
static void wait_for_rollout(struct platform *w)
{
    const struct sim_rules *r = NULL;
    bool done = false;
    for (int i = 0; i < 60 && !done; i++) {
        sim_run_for(w, 500);
        r = &w->rules.at[w->rules.n - 1];
        done = !r->exists || (r->update[0] && strcmp(r->update, r->current) == 0);
    }
    w->figures.deeds[SIM_DEED_WAIT].asked++;
    w->figures.deeds[SIM_DEED_WAIT].done += done;
    sim_say(w, "waited for the roll-out: %s", done ? "done" : "not done");
}

void users_roll_out(struct platform *w, bool waits)
{
    struct arena *a cleanup_arena = arena_new();
    bool restarts = sim_roll(w, 4) == 0;
    struct span inside = restarts
                             ? arena_printf(a, "{\"kubectl.kubernetes.io/restartedAt\":\"%d\"}",
                                            (int)sim_roll(w, 100))
                             : knobs(w, a);
    (void)users_patch_set(
        w, restarts ? SIM_DEED_RESTART : SIM_DEED_ROLL_OUT,
        arena_printf(a, "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":%.*s}}}}",
                     SPAN_ARG(inside)));
    const struct sim_rules *r = &w->rules.at[w->rules.n - 1];
    if (waits || sim_roll(w, r->auto_rollback || r->primary_last ? 2 : 20) == 0) {
        wait_for_rollout(w);
    }
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
        const struct client_request rq = {
            CLIENT_REQUEST_INIT, .verb = CLIENT_PATCH_STRATEGIC, .kind = SCHEMA_KIND(StatefulSet),
            .name = SPAN("redis"), .body = json_write(a, json_get(object_root(s.second), "data"))};
        (void)users_ask(w, SIM_DEED_UNDO, &rq);
        sim_say(w, "undo to a former revision: %s", users_outcome(w));
    }
}

static void change_rules(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    static const char *const fields[] = {"updateStrategy", "persistentVolumeClaimRetentionPolicy",
                                         "ordinals"};
    static const enum sim_deed deeds[] = {SIM_DEED_STRATEGY, SIM_DEED_RETENTION, SIM_DEED_START};
    uint64_t which = sim_roll(w, w->narrow ? 3 : 7);
    if (which >= 3) {
        annotate(w);
        return;
    }
    struct span value = which == 0 ? strategy(w, a)
                        : which == 1
                            ? retention(w, a)
                            : arena_printf(a, "{\"start\":%d}", (int)sim_roll(w, START_MAX + 1));
    (void)users_patch_set(
        w, deeds[which],
        arena_printf(a, "{\"spec\":{\"%s\":%.*s}}", fields[which], SPAN_ARG(value)));
}

void sim_user_acts(struct platform *w)
{
    bool exists = w->rules.at[w->rules.n - 1].exists;
    if (ranks_go_on(w)) {
        return;
    }
    if (!w->narrow && sim_roll(w, 4) == 0) {
        neighbours_act(w);
        return;
    }
    if (w->edited && sim_roll(w, 5) == 0) {
        users_edit_set(w);
        return;
    }
    if (exists && !w->narrow && sim_roll(w, 12) == 0) {
        users_scheme(w);
        return;
    }
    uint64_t choice = sim_roll(w, 24);
    if (!exists && choice < 14) {
        users_put_set(w);
    } else if (choice < 2) {
        users_delete_set(w, (enum client_propagation)sim_roll(w, 4));
    } else if (choice < 3) {
        users_put_set(w);
    } else if (choice < 6) {
        users_scale(w, (int)sim_roll(w, REPLICAS_MAX + 1));
    } else if (choice < 9) {
        users_roll_out(w, false);
    } else if (choice < 13) {
        change_rules(w);
    } else if (choice < 14) {
        undo(w);
    } else if (choice < 21) {
        users_touch_pod(w);
    } else if (choice < 22) {
        users_touch_claim(w);
    } else {
        users_touch_node(w);
    }
}
