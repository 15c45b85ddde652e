/* kubelet/kubelet_usage.c: what this node and its containers use, measured when somebody asks.
 *
 *   idle --asked--> looks --all have an earlier sample--> answers --> idle
 *                     |                                      ^
 *                     +--else--> waits a second --> looks ---+
 *
 * Those who ask meanwhile get the same answer. The samples are kept for the next question as long
 * as they could serve it, then nothing is. */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "kubelet/kubelet_priv.h"
#include "plan/usage_plan.h"

struct samples {
    struct arena *arena; /* NULL: there are none */
    struct usage_set set;
};

struct asker {
    struct list link;
    node_usage_fn *done;
    void *data;
};

struct kubelet_usage {
    struct kubelet *k;
    struct list askers;         /* not empty: it is measured */
    struct samples last, first; /* of the question before; of the beginning of this one */
    struct env_timer timer;     /* the second look, or until `last` is forgotten */
};

static void samples_done(struct samples *s)
{
    arena_free(s->arena);
    *s = (struct samples){0};
}

static struct samples samples_of(const struct runtime_usage *usage, size_t n)
{
    struct samples s = {.arena = arena_new_small()};
    struct usage_sample *at = ARENA_ARRAY(s.arena, struct usage_sample, n + 1);
    for (size_t i = 0; i < n; i++) {
        const struct runtime_usage *u = &usage[i];
        at[i] = (struct usage_sample){.pod = arena_dup(s.arena, u->sandbox_uid),
                                      .id = arena_dup(s.arena, u->id),
                                      .name = arena_dup(s.arena, u->name),
                                      .at_ns = u->at_ns,
                                      .cpu_ns = u->cpu_ns,
                                      .memory_bytes = u->memory_bytes};
    }
    usage_sort(at, n);
    s.set = (struct usage_set){at, n};
    return s;
}

/* usage NULL: nothing is known any more. */
static void tell(struct kubelet_usage *u, const struct node_usage *usage)
{
    struct list askers;
    struct list *link;
    list_init(&askers);
    while ((link = list_pop_front(&u->askers))) { /* who asks from in here asks anew */
        list_push_back(&askers, link);
    }
    while ((link = list_pop_front(&askers))) {
        struct asker asker = *CONTAINER_OF(link, struct asker, link);
        free(CONTAINER_OF(link, struct asker, link));
        asker.done(asker.data, usage);
    }
}

static void answer(struct kubelet_usage *u, const struct usage_plan *plan, struct arena *a)
{
    struct kubelet *k = u->k;
    struct node_usage_pod *pods = ARENA_ARRAY(a, struct node_usage_pod, plan->n + 1);
    for (size_t i = 0; i < plan->n; i++) {
        const struct usage_pod *from = &plan->pods[i];
        struct node_usage_container *to = ARENA_ARRAY(a, struct node_usage_container, from->n);
        for (size_t j = 0; j < from->n; j++) {
            to[j] = (struct node_usage_container){.name = from->containers[j].name,
                                                  .cpu_nano = from->containers[j].cpu_nano,
                                                  .memory_bytes = from->containers[j].memory_bytes};
        }
        pods[i] = (struct node_usage_pod){
            .uid = from->uid, .window_ns = from->window_ns, .containers = to, .n = from->n};
    }
    tell(u, &(struct node_usage){.node = k->options.node_name,
                                 .at_ms = env_now_ms(k->env),
                                 .pods = pods,
                                 .n = plan->n});
}

static void on_forget(struct env_timer *timer)
{
    samples_done(&CONTAINER_OF(timer, struct kubelet_usage, timer)->last);
}

static void look(struct kubelet_usage *u);

static void on_second(struct env_timer *timer)
{
    look(CONTAINER_OF(timer, struct kubelet_usage, timer));
}

static void on_usage(void *data, const struct runtime_usage *usage, size_t n)
{
    struct kubelet_usage *u = data;
    struct arena *a cleanup_arena = arena_new();
    struct samples now = samples_of(usage, n);
    struct usage_plan plan;
    usage_plan(a, &(struct usage_view){u->last.set, u->first.set, now.set}, &plan);
    if (plan.wait) {
        u->first = now;
        env_timer_start(u->k->env, &u->timer, USAGE_WINDOW_MIN_MS, on_second);
        return;
    }
    struct samples was[] = {u->last, u->first}; /* the plan's texts are of `now` */
    u->last = now;
    u->first = (struct samples){0};
    samples_done(&was[0]);
    samples_done(&was[1]);
    env_timer_start(u->k->env, &u->timer, USAGE_WINDOW_MAX_MS, on_forget);
    answer(u, &plan, a);
}

static void look(struct kubelet_usage *u)
{
    assert(!list_is_empty(&u->askers));
    u->k->runtime->ops->usage(u->k->runtime, on_usage, u);
}

void kubelet_usage(struct kubelet *k, node_usage_fn *done, void *data)
{
    assert(done);
    if (!k->usage) {
        k->usage = MEM_NEW(struct kubelet_usage);
        k->usage->k = k;
        list_init(&k->usage->askers);
    }
    struct kubelet_usage *u = k->usage;
    struct asker *asker = MEM_NEW(struct asker);
    bool is_idle = list_is_empty(&u->askers);
    *asker = (struct asker){.done = done, .data = data};
    list_push_back(&u->askers, &asker->link);
    if (is_idle) {
        env_timer_stop(k->env, &u->timer);
        look(u);
    }
}

void kubelet_usage_free(struct kubelet_usage *u)
{
    if (!u) {
        return;
    }
    env_timer_stop(u->k->env, &u->timer);
    tell(u, NULL);
    samples_done(&u->last);
    samples_done(&u->first);
    free(u);
}
