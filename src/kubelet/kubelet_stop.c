/* kubelet/kubelet_stop.c: `berth stop`: the pods of a StatefulSet end one by one from the last, all
 * others after them; and what that still waits for. */
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "kubelet/kubelet.h"
#include "kubelet/kubelet_priv.h"

/* ---- whose turn it is ---- */

/* Pods of one StatefulSet that have not ended. */
struct stop_set {
    struct span uid;     /* owned */
    struct heap waiting; /* kubelet_pod.stop_node; the greatest ordinal first */
    size_t in_turn;      /* pods whose turn it is */
    int64_t ordinal;     /* the least of theirs */
};

static void set_free(void *set)
{
    struct stop_set *s = set;
    heap_done(&s->waiting);
    kubelet_keep(&s->uid, SPAN_NULL);
    free(s);
}

static void give_turn(struct kubelet_pod *pod)
{
    assert(!heap_has(&pod->stop_node));
    pod->stop_turn = true;
    kubelet_pod_poke(pod);
}

/* Nobody of the set is in turn: those of the greatest ordinal are. */
static void next_of_set(struct stop_set *s)
{
    struct heap_node *node = heap_min(&s->waiting);
    int64_t key = node ? node->key : 0;
    assert(s->in_turn == 0);
    for (; node && node->key == key; node = heap_min(&s->waiting)) {
        heap_remove(&s->waiting, node);
        s->in_turn++;
        s->ordinal = -key;
        give_turn(CONTAINER_OF(node, struct kubelet_pod, stop_node));
    }
}

static struct stop_set *join_set(struct kubelet_pod *pod)
{
    struct map *sets = &pod->k->stop_sets;
    struct stop_set *s = map_get(sets, pod->set_uid);
    if (!s) {
        s = MEM_NEW(struct stop_set);
        kubelet_keep(&s->uid, pod->set_uid);
        map_put(sets, s->uid, s);
    }
    heap_insert(&s->waiting, &pod->stop_node, -pod->set_ordinal);
    return s;
}

/* No set is left, or none was there. */
static void give_others_their_turn(struct kubelet *k)
{
    struct kubelet_pod *pod = NULL;
    assert(k->stop_sets.n == 0);
    for (size_t it = 0; (pod = map_next(&k->by_uid, &it, NULL)) != NULL;) {
        if (!pod->stop_turn) {
            give_turn(pod);
        }
    }
}

/* All pods are known. */
static void begin(struct kubelet *k)
{
    struct kubelet_pod *pod = NULL;
    struct stop_set *s = NULL;
    k->stop_begun = true;
    for (size_t it = 0; (pod = map_next(&k->by_uid, &it, NULL)) != NULL;) {
        if (pod->set_uid.n > 0) {
            (void)join_set(pod);
        }
    }
    for (size_t it = 0; (s = map_next(&k->stop_sets, &it, NULL)) != NULL;) {
        next_of_set(s);
    }
    if (k->stop_sets.n == 0) {
        give_others_their_turn(k);
    }
}

void kubelet_stop_enter(struct kubelet_pod *pod)
{
    struct kubelet *k = pod->k;
    if (!k->stop_begun) {
        return;
    }
    if (pod->set_uid.n == 0) {
        if (k->stop_sets.n == 0) {
            give_turn(pod);
        }
        return;
    }
    struct stop_set *s = join_set(pod);
    if (s->in_turn == 0) {
        next_of_set(s);
    } else if (pod->set_ordinal >= s->ordinal) { /* nobody comes before it */
        heap_remove(&s->waiting, &pod->stop_node);
        s->in_turn++;
        give_turn(pod);
    }
}

void kubelet_stop_leave(struct kubelet_pod *pod)
{
    struct kubelet *k = pod->k;
    if (!k->stop_begun || pod->set_uid.n == 0) {
        return;
    }
    struct stop_set *s = map_get(&k->stop_sets, pod->set_uid);
    assert(s && pod->stop_turn == !heap_has(&pod->stop_node));
    s->in_turn -= pod->stop_turn;
    heap_remove(&s->waiting, &pod->stop_node);
    if (s->in_turn == 0) {
        next_of_set(s);
    }
    if (s->in_turn == 0) {
        map_remove(&k->stop_sets, pod->set_uid);
        set_free(s);
        if (k->stop_sets.n == 0) {
            give_others_their_turn(k);
        }
    }
}

void kubelet_stop_done(struct kubelet *k)
{
    k->stopping = k->stop_begun = false;
    map_done_values(&k->stop_sets, set_free);
}

/* ---- from the first to the last ---- */

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
    if (!k->stop_begun) {
        begin(k);
    }
    if (k->by_uid.n == 0) {
        env_post(k->env, &k->stop_task, on_stopped);
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
