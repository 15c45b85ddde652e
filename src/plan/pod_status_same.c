/* plan/pod_status_same.c: whether two statuses read the same, and a status that is kept. */
#include "base/check.h"
#include "plan/pod_plan.h"

/* Times are written in seconds. */
static bool is_same_time(int64_t a, int64_t b)
{
    return a == b || (a > 0 && b > 0 && a / 1000 == b / 1000);
}

static bool is_same_state(const struct pod_state *a, const struct pod_state *b)
{
    return a->kind == b->kind && a->exit_code == b->exit_code && a->signal == b->signal &&
           is_same_time(a->started_ms, b->started_ms) &&
           is_same_time(a->finished_ms, b->finished_ms) && span_eq(a->reason, b->reason) &&
           span_eq(a->message, b->message) && span_eq(a->container_id, b->container_id);
}

static bool are_same(const struct pod_container_status *a, size_t a_count,
                     const struct pod_container_status *b, size_t b_count)
{
    bool same = a_count == b_count;
    for (size_t i = 0; i < a_count && same; i++) {
        same = a[i].ready == b[i].ready && a[i].started == b[i].started &&
               a[i].restart_count == b[i].restart_count && span_eq(a[i].name, b[i].name) &&
               span_eq(a[i].image, b[i].image) && span_eq(a[i].image_id, b[i].image_id) &&
               span_eq(a[i].container_id, b[i].container_id) &&
               span_eq(a[i].resources, b[i].resources) && is_same_state(&a[i].state, &b[i].state) &&
               is_same_state(&a[i].last, &b[i].last);
    }
    return same;
}

static bool are_same_conditions(const struct pod_status *a, const struct pod_status *b)
{
    bool same = a->condition_count == b->condition_count;
    for (size_t i = 0; i < a->condition_count && same; i++) {
        const struct pod_condition *x = &a->conditions[i], *y = &b->conditions[i];
        same = is_same_time(x->transition_ms, y->transition_ms) && span_eq(x->type, y->type) &&
               span_eq(x->status, y->status) && span_eq(x->reason, y->reason) &&
               span_eq(x->message, y->message);
    }
    return same;
}

bool pod_status_same(const struct pod_status *a, const struct pod_status *b)
{
    assert(a);
    assert(b);
    return span_eq(a->phase, b->phase) && span_eq(a->reason, b->reason) &&
           span_eq(a->message, b->message) && span_eq(a->host_ip, b->host_ip) &&
           span_eq(a->pod_ip, b->pod_ip) && span_eq(a->qos_class, b->qos_class) &&
           is_same_time(a->start_ms, b->start_ms) && are_same_conditions(a, b) &&
           are_same(a->inits, a->init_count, b->inits, b->init_count) &&
           are_same(a->mains, a->main_count, b->mains, b->main_count) &&
           are_same(a->extras, a->extra_count, b->extras, b->extra_count);
}

/* The many short texts of a status go one behind the other into a few blocks. */
struct texts {
    struct arena *arena;
    char *at;
    size_t left;
};

enum { TEXTS_BYTES = 512 };

static void keep(struct texts *t, struct span *s)
{
    if (s->n == 0) {
        *s = SPAN("");
        return;
    }
    if (s->n > t->left) {
        t->left = s->n > TEXTS_BYTES ? s->n : TEXTS_BYTES;
        t->at = arena_alloc_raw(t->arena, t->left);
    }
    span_copy_short(t->at, s->p, s->n);
    s->p = t->at;
    t->at += s->n;
    t->left -= s->n;
}

static void keep_state(struct texts *t, struct pod_state *s)
{
    keep(t, &s->reason);
    keep(t, &s->message);
    keep(t, &s->container_id);
}

static struct pod_container_status *
keep_containers(struct texts *t, const struct pod_container_status *from, size_t n)
{
    struct pod_container_status *to = ARENA_ARRAY(t->arena, struct pod_container_status, n);
    for (size_t i = 0; i < n; i++) {
        to[i] = from[i];
        keep(t, &to[i].name);
        keep(t, &to[i].image);
        keep(t, &to[i].image_id);
        keep(t, &to[i].container_id);
        keep(t, &to[i].resources);
        keep_state(t, &to[i].state);
        keep_state(t, &to[i].last);
    }
    return to;
}

struct pod_status pod_status_copy(struct arena *a, const struct pod_status *from)
{
    assert(a);
    assert(from->conditions || from->condition_count == 0);
    struct texts t = {.arena = a};
    struct pod_status to = *from;
    struct span *texts[] = {&to.phase,   &to.reason, &to.message,
                            &to.host_ip, &to.pod_ip, &to.qos_class};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        keep(&t, texts[i]);
    }
    to.conditions = ARENA_ARRAY(a, struct pod_condition, from->condition_count);
    for (size_t i = 0; i < from->condition_count; i++) {
        struct pod_condition *c = &to.conditions[i];
        *c = from->conditions[i];
        keep(&t, &c->type);
        keep(&t, &c->status);
        keep(&t, &c->reason);
        keep(&t, &c->message);
    }
    to.inits = keep_containers(&t, from->inits, from->init_count);
    to.mains = keep_containers(&t, from->mains, from->main_count);
    to.extras = keep_containers(&t, from->extras, from->extra_count);
    return to;
}
