/* kubelet/kubelet_stop.c: `berth stop`: the pods of a StatefulSet end one by one from the last, all
 * others after them; and what that still waits for. */
#include "base/check.h"
#include "kubelet/kubelet.h"
#include "kubelet/kubelet_priv.h"

static bool stop_turn_of(struct kubelet *k, const struct kubelet_pod *pod)
{
    struct kubelet_pod *other = NULL;
    for (size_t it = 0; (other = map_next(&k->by_uid, &it, NULL)) != NULL;) {
        if (other == pod || other->set_uid.n == 0) {
            continue;
        }
        bool later = span_eq(pod->set_uid, other->set_uid) && other->set_ordinal > pod->set_ordinal;
        if (pod->set_uid.n == 0 || later) {
            return false;
        }
    }
    return true;
}

static void on_stopped(struct env_task *task)
{
    struct kubelet *k = CONTAINER_OF(task, struct kubelet, stop_task);
    void (*fn)(void *) = k->stop_fn;
    k->stop_fn = NULL;
    if (fn) {
        fn(k->stop_data);
    }
}

void kubelet_stop_advance(struct kubelet *k)
{
    if (!k->stopping || !k->adopted) {
        return;
    }
    if (k->by_uid.n == 0) {
        env_post(k->env, &k->stop_task, on_stopped);
        return;
    }
    struct kubelet_pod *pod = NULL;
    size_t it = 0;
    while ((pod = map_next(&k->by_uid, &it, NULL)) != NULL) {
        if (!pod->stop_turn && stop_turn_of(k, pod)) {
            pod->stop_turn = true;
            kubelet_pod_poke(pod);
        }
    }
}

void kubelet_stop_pods(struct kubelet *k, void (*done)(void *data), void *data)
{
    assert(!k->stopping);
    assert(done);
    k->stopping = true;
    k->stop_fn = done;
    k->stop_data = data;
    kubelet_stop_advance(k);
}

void kubelet_stop_hurry(struct kubelet *k, int64_t grace_ms)
{
    assert(grace_ms > 0);
    struct kubelet_pod *pod = NULL;
    k->stop_grace_ms = grace_ms;
    for (size_t it = 0; k->stopping && (pod = map_next(&k->by_uid, &it, NULL)) != NULL;) {
        kubelet_pod_poke(pod);
    }
}

/* ---- what it waits for ---- */

static bool any_live(const struct pod_container_view *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (pod_instance_live(c[i].instance)) {
            return true;
        }
    }
    return false;
}

static int64_t left_ms(const struct kubelet_pod *pod, int64_t now_ms)
{
    const struct pod_view *v = &pod->view;
    if (!any_live(v->inits, v->init_count) && !any_live(v->mains, v->main_count) &&
        !any_live(v->extras, v->extra_count)) {
        return 0;
    }
    int64_t grace_ms = kubelet_view_grace_ms(pod, v->exists);
    int64_t since_ms = v->ending_ms != 0 && v->ending_ms < now_ms ? now_ms - v->ending_ms : 0;
    return since_ms < grace_ms ? grace_ms - since_ms : 0;
}

void kubelet_stop_left(const struct kubelet *k, struct arena *a, struct kubelet_stop_left *ret)
{
    assert(ret);
    *ret = (struct kubelet_stop_left){.pods =
                                          ARENA_ARRAY(a, struct kubelet_stop_pod, k->by_uid.n + 1)};
    int64_t now_ms = env_now_ms(k->env), sets_ms = 0, others_ms = 0;
    struct map sets = {0}; /* by uid: the time that a set's pods have one after another */
    const struct kubelet_pod *pod;
    for (size_t it = 0; (pod = map_next(&k->by_uid, &it, NULL)) != NULL;) {
        struct kubelet_stop_pod *one = &ret->pods[ret->count++];
        *one = (struct kubelet_stop_pod){.name = pod->full_name,
                                         .left_ms = left_ms(pod, now_ms),
                                         .waits = k->stopping && !pod->stop_turn};
        int64_t *sum = &others_ms;
        if (pod->set_uid.n) {
            sum = map_get(&sets, pod->set_uid);
            if (!sum) {
                sum = ARENA_NEW(a, int64_t);
                map_put(&sets, pod->set_uid, sum);
            }
            *sum += one->left_ms;
            sets_ms = *sum > sets_ms ? *sum : sets_ms;
        } else if (one->left_ms > others_ms) {
            others_ms = one->left_ms;
        }
    }
    map_done(&sets);
    ret->at_most_ms = sets_ms + others_ms;
    assert(ret->count == k->by_uid.n);
}
