/* plan/endpoint_plan.c: see endpoint_plan.h. */
#include "plan/endpoint_plan.h"

#include "base/check.h"

static bool same_ports(const struct endpoint_view *v, const int32_t *a, const int32_t *b)
{
    assert(v->port_count == 0 || a);
    assert(v->port_count == 0 || b);
    return v->port_count == 0 || memcmp(a, b, v->port_count * sizeof *a) == 0;
}

static bool is_listed(const struct endpoint_pod *p)
{
    return p->ip.n > 0 && !p->ended;
}

struct endpoint_plan endpoint_plan(struct arena *a, const struct endpoint_view *view)
{
    assert(a);
    assert(view->pods || view->pod_count == 0);
    struct endpoint_plan plan = {.slices =
                                     ARENA_ARRAY(a, struct endpoint_slice, view->pod_count + 1)};
    bool *done = ARENA_ARRAY(a, bool, view->pod_count + 1);
    for (size_t i = 0; i < view->pod_count; i++) {
        if (done[i] || !is_listed(&view->pods[i])) {
            continue;
        }
        struct endpoint_slice *s = NULL;
        size_t *members = NULL;
        for (size_t k = i; k < view->pod_count; k++) {
            if (done[k] || !is_listed(&view->pods[k]) ||
                !same_ports(view, view->pods[i].ports, view->pods[k].ports)) {
                continue;
            }
            if (!s || s->pod_count == ENDPOINT_SLICE_MAX) {
                assert(plan.slice_count < view->pod_count);
                s = &plan.slices[plan.slice_count++];
                members = ARENA_ARRAY(a, size_t, ENDPOINT_SLICE_MAX);
                *s = (struct endpoint_slice){.ports = view->pods[i].ports, .pods = members};
            }
            assert(s->pod_count < ENDPOINT_SLICE_MAX);
            assert(k >= i);
            members[s->pod_count++] = k;
            done[k] = true;
        }
    }
    if (plan.slice_count == 0) {
        plan.slice_count = 1; /* empty: says that the Service is known and has nobody */
    }
    assert(plan.slice_count <= view->pod_count + 1);
    return plan;
}

struct endpoint_conditions endpoint_conditions(const struct endpoint_view *view, size_t pod)
{
    assert(pod < view->pod_count);
    const struct endpoint_pod *p = &view->pods[pod];
    return (struct endpoint_conditions){.ready = view->publish_not_ready ||
                                                 (p->ready && !p->terminating),
                                        .serving = p->ready,
                                        .terminating = p->terminating};
}

enum endpoint_place endpoint_place(const struct endpoint_view *view, size_t pod)
{
    assert(pod < view->pod_count);
    const struct endpoint_pod *p = &view->pods[pod];
    if (!is_listed(p) || (p->terminating && !view->publish_not_ready)) {
        return ENDPOINT_LEFT_OUT;
    }
    return p->ready || view->publish_not_ready ? ENDPOINT_READY : ENDPOINT_NOT_READY;
}
