/* plan/deployment_status.c: counts, conditions and the deadline of a Deployment. */
#include "base/check.h"
#include "plan/deployment_plan_priv.h"

const char *deployment_condition_type(enum deployment_type type)
{
    static const char *const names[] = {"Progressing", "Available", "ReplicaFailure"};
    assert(type <= DEPLOYMENT_FAILURE);
    return names[type];
}

/* ---- conditions ---- */

static struct deployment_condition *find(struct deployment_status *st, enum deployment_type type)
{
    assert(st->condition_count <= sizeof st->conditions / sizeof *st->conditions);
    for (size_t i = 0; i < st->condition_count; i++) {
        if (st->conditions[i].type == type) {
            return &st->conditions[i];
        }
    }
    return NULL;
}

static void drop(struct deployment_status *st, enum deployment_type type)
{
    struct deployment_condition *c = find(st, type);
    if (c) {
        size_t at = (size_t)(c - st->conditions);
        st->condition_count--;
        for (size_t i = at; i < st->condition_count; i++) {
            st->conditions[i] = st->conditions[i + 1];
        }
    }
}

static struct deployment_condition make(const struct deploying *d, enum deployment_type type,
                                        char status, const char *reason, struct span message)
{
    assert(status == 'T' || status == 'F' || status == 'U');
    assert(reason);
    return (struct deployment_condition){.type = (uint8_t)type,
                                         .status = status,
                                         .reason = span_cstr(reason),
                                         .message = message,
                                         .updated_ms = d->v->now_ms,
                                         .transition_ms = d->v->now_ms};
}

/* The same status and reason say nothing new. */
static void set(struct deployment_status *st, struct deployment_condition c)
{
    const struct deployment_condition *was = find(st, (enum deployment_type)c.type);
    if (was && was->status == c.status && span_eq(was->reason, c.reason)) {
        return;
    }
    if (was && was->status == c.status) {
        c.transition_ms = was->transition_ms;
    }
    drop(st, (enum deployment_type)c.type);
    assert(st->condition_count < sizeof st->conditions / sizeof *st->conditions);
    st->conditions[st->condition_count++] = c;
}

static bool has_reason(const struct deployment_condition *c, const char *reason)
{
    assert(reason);
    return c && span_eq_cstr(c->reason, reason);
}

/* ---- counts ---- */

/* Counts come from objects that anybody may write: they must not overflow. */
static void add(int32_t *sum, int32_t n)
{
    int64_t both = (int64_t)*sum + n;
    *sum = both > INT32_MAX ? INT32_MAX : both < 0 ? 0 : (int32_t)both;
    assert(*sum >= 0);
}

static void count(const struct deploying *d, struct deployment_status *st)
{
    const struct deployment_view *v = d->v;
    int64_t wanted = 0;
    st->replicas = st->updated = st->ready = st->available = st->terminating = 0;
    for (size_t i = 0; i < v->set_count; i++) {
        const struct deployment_set *s = &v->sets[i];
        wanted += d->size[i];
        add(&st->replicas, s->replicas);
        add(&st->ready, s->ready);
        add(&st->available, s->available);
        add(&st->terminating, s->terminating);
        add(&st->updated, (int32_t)i == v->new_set ? s->replicas : 0);
    }
    wanted += d->ret->create ? d->ret->create_replicas : 0;
    assert(wanted >= 0);
    st->unavailable = wanted > st->available ? (int32_t)(wanted - st->available) : 0;
    st->observed_generation = v->generation;
}

static void judge_available(const struct deploying *d, struct deployment_status *st)
{
    if (st->available >= d->v->replicas - d->unavailable) {
        set(st, make(d, DEPLOYMENT_AVAILABLE, 'T', "MinimumReplicasAvailable",
                     SPAN("Deployment has minimum availability.")));
    } else {
        set(st, make(d, DEPLOYMENT_AVAILABLE, 'F', "MinimumReplicasUnavailable",
                     SPAN("Deployment does not have minimum availability.")));
    }
}

/* ---- progress ---- */

static bool has_deadline(const struct deployment_view *v)
{
    return v->deadline_s >= 0 && v->deadline_s < INT32_MAX;
}

static void judge_pause(const struct deploying *d, struct deployment_status *st)
{
    const struct deployment_condition *c = find(st, DEPLOYMENT_PROGRESSING);
    if (!has_deadline(d->v) || has_reason(c, "ProgressDeadlineExceeded")) {
        return;
    }
    bool told = has_reason(c, "DeploymentPaused");
    if (d->v->paused && !told) {
        set(st,
            make(d, DEPLOYMENT_PROGRESSING, 'U', "DeploymentPaused", SPAN("Deployment is paused")));
    } else if (!d->v->paused && told) {
        set(st, make(d, DEPLOYMENT_PROGRESSING, 'U', "DeploymentResumed",
                     SPAN("Deployment is resumed")));
    }
}

static bool is_progress(const struct deployment_status *was, const struct deployment_status *now)
{
    return now->updated > was->updated ||
           now->replicas - now->updated < was->replicas - was->updated || now->ready > was->ready ||
           now->available > was->available;
}

static bool is_complete(const struct deployment_view *v, const struct deployment_status *st)
{
    return st->updated == v->replicas && st->replicas == v->replicas &&
           st->available == v->replicas;
}

static struct span says(const struct deploying *d, const char *what)
{
    assert(what);
    const struct deployment_view *v = d->v;
    bool by_set = v->new_set >= 0;
    return arena_printf(d->a, "%s \"%.*s\" %s", by_set ? "ReplicaSet" : "Deployment",
                        SPAN_ARG(by_set ? v->sets[v->new_set].name : v->name), what);
}

static bool is_late(const struct deploying *d, const struct deployment_condition *c)
{
    assert(has_deadline(d->v));
    return c && !has_reason(c, "NewReplicaSetAvailable") &&
           (has_reason(c, "ProgressDeadlineExceeded") ||
            c->updated_ms + d->v->deadline_s * 1000 < d->v->now_ms);
}

static void judge_progress(const struct deploying *d, struct deployment_status *st)
{
    const struct deployment_view *v = d->v;
    assert(has_deadline(d->v));
    const struct deployment_condition *now = find(st, DEPLOYMENT_PROGRESSING);
    if (st->replicas == st->updated && has_reason(now, "NewReplicaSetAvailable")) {
        return; /* it was complete: pods that come and go later are no rollout */
    }
    if (is_complete(v, st)) {
        set(st, make(d, DEPLOYMENT_PROGRESSING, 'T', "NewReplicaSetAvailable",
                     says(d, "has successfully progressed.")));
    } else if (is_progress(&v->status, st)) {
        struct deployment_condition c =
            make(d, DEPLOYMENT_PROGRESSING, 'T', "ReplicaSetUpdated", says(d, "is progressing."));
        if (now && now->status == 'T') {
            c.transition_ms = now->transition_ms;
        }
        drop(st, DEPLOYMENT_PROGRESSING); /* so that its time of update moves on */
        set(st, c);
    } else if (is_late(d, now)) {
        set(st, make(d, DEPLOYMENT_PROGRESSING, 'F', "ProgressDeadlineExceeded",
                     says(d, "has timed out progressing.")));
    }
}

static void judge_creation(const struct deploying *d, struct deployment_status *st)
{
    const struct deployment_view *v = d->v;
    assert(!d->v->deleting);
    if (d->ret->create) {
        struct span text =
            arena_printf(d->a, "Created new replica set \"%.*s\"", SPAN_ARG(v->new_name));
        set(st, make(d, DEPLOYMENT_PROGRESSING, 'T', "NewReplicaSetCreated", text));
    } else if (v->new_set >= 0 && !find(st, DEPLOYMENT_PROGRESSING)) {
        struct span text = arena_printf(d->a, "Found new replica set \"%.*s\"",
                                        SPAN_ARG(v->sets[v->new_set].name));
        set(st, make(d, DEPLOYMENT_PROGRESSING, 'T', "FoundNewReplicaSet", text));
    }
}

static void judge_failure(const struct deploying *d, struct deployment_status *st)
{
    const struct deployment_view *v = d->v;
    const struct deployment_set *failed = NULL;
    for (size_t i = 0; i < v->set_count; i++) {
        bool newest = (int32_t)i == v->new_set;
        if (v->sets[i].failure_reason.n && (!failed || newest)) {
            failed = &v->sets[i];
        }
    }
    if (!failed) {
        drop(st, DEPLOYMENT_FAILURE);
        return;
    }
    struct deployment_condition c = make(d, DEPLOYMENT_FAILURE, 'T', "", failed->failure_message);
    c.reason = failed->failure_reason;
    set(st, c);
}

/* The moment after which a rollout that stands still is late. */
static int64_t deadline_of(const struct deploying *d, struct deployment_status *st)
{
    const struct deployment_condition *c = find(st, DEPLOYMENT_PROGRESSING);
    if (!c || has_reason(c, "NewReplicaSetAvailable") ||
        has_reason(c, "ProgressDeadlineExceeded") || is_complete(d->v, st)) {
        return 0;
    }
    assert(has_deadline(d->v));
    assert(c->type == DEPLOYMENT_PROGRESSING);
    return c->updated_ms + d->v->deadline_s * 1000 + 1;
}

void deployment_judge(struct deploying *d, bool rollout)
{
    assert(d->ret);
    assert(!rollout || !d->v->deleting);
    struct deployment_status *st = &d->ret->status;
    *st = d->v->status;
    if (!d->v->deleting) {
        judge_pause(d, st);
        if (has_deadline(d->v)) {
            judge_creation(d, st);
        }
    }
    count(d, st);
    judge_available(d, st);
    if (!rollout) {
        return;
    }
    if (has_deadline(d->v)) {
        judge_progress(d, st);
        d->ret->requeue_at_ms = deadline_of(d, st);
    } else {
        drop(st, DEPLOYMENT_PROGRESSING);
    }
    judge_failure(d, st);
}
