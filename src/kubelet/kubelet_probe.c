/* kubelet/kubelet_probe.c: when probes run, and what their results mean.
 *
 * Startup first, the others wait for it. The first readiness and startup probe run when the initial
 * delay is over and, until the first success, again after 50, 100, 200, ... ms up to the period, so
 * that a program that is up in 200 ms is Ready in 200 ms. Those extra runs count for success only:
 * failures count, and are told, once a period. */
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "kubelet/kubelet_check_priv.h"
#include "kubelet/kubelet_priv.h"

enum { FIRST_RETRY_MS = 50 };
enum probe_kind { PROBE_STARTUP, PROBE_READINESS, PROBE_LIVENESS };
static const char *const field[] = {"startupProbe", "readinessProbe", "livenessProbe"};
static const char *const word[] = {"Startup", "Readiness", "Liveness"};

struct kubelet_probe {
    struct kubelet_container *c;
    enum probe_kind kind;
    struct env_timer timer;
    struct kubelet_check *check;
    int64_t period_ms, timeout_ms, success_threshold, failure_threshold;
    int64_t successes, failures; /* in a row */
    int64_t retry_ms;            /* of the quick runs; 0: regular */
    int64_t failed_ns; /* monotonic time of the last counted failure, or of the first run */
    int64_t tell_at;   /* failures in a row at which the cause is told next */
    int64_t told;      /* how often it was, since the last success */
    uint64_t answer;   /* a hash of what was told last */
};

static void probe_free(struct kubelet_probe *p)
{
    if (p) {
        kubelet_check_cancel(p->check);
        env_timer_stop(p->c->pod->k->env, &p->timer);
        free(p);
    }
}

static void probe_run(struct env_timer *timer);

static void probe_again(struct kubelet_probe *p, int64_t delay_ms)
{
    env_timer_start(p->c->pod->k->env, &p->timer, delay_ms, probe_run);
}

static void probe_new(struct kubelet_container *c, enum probe_kind kind);

/* ---- why a container is not ready, in the pod's conditions ---- */

enum {
    CAUSE_STARTUP_FIRST = 3,
    CAUSE_ANSWERS_MAX = 8, /* a probe may answer something else each time */
};

static struct kubelet_probe_cause cause_of(const struct kubelet_probe *p, struct span output)
{
    static const char *const lower[] = {"startup", "readiness", "liveness"};
    return (struct kubelet_probe_cause){.word = lower[p->kind],
                                        .spec =
                                            json_get(kubelet_container_spec(p->c), field[p->kind]),
                                        .failures = p->failures,
                                        .grown = p->told > 0,
                                        .output = output};
}

static void tell_cause(struct kubelet_probe *p, struct span output)
{
    struct kubelet_probe_cause cause = cause_of(p, output);
    kubelet_cause_unready(p->c, &cause);
}

static void count_cause(struct kubelet_probe *p, struct span output)
{
    uint64_t answer = kubelet_cause_hash(output);
    bool other = p->told > 0 && p->told < CAUSE_ANSWERS_MAX && answer != p->answer;
    if (p->kind == PROBE_LIVENESS || (p->failures < p->tell_at && !other)) {
        return;
    }
    assert(p->failures > 0);
    p->tell_at = p->failures * 2;
    p->answer = answer;
    tell_cause(p, output);
    p->told++;
    kubelet_pod_poke(p->c->pod);
}

static void succeeded(struct kubelet_probe *p)
{
    struct kubelet_container *c = p->c;
    p->failures = 0;
    p->tell_at = p->failure_threshold;
    p->told = 0;
    p->successes++;
    p->retry_ms = 0;
    if (p->successes < p->success_threshold) {
        return;
    }
    if (p->kind == PROBE_READINESS && !c->v->ready) {
        c->v->ready = true;
        kubelet_keep(&c->v->unready_cause, SPAN_NULL);
        kubelet_keep(&c->v->end_cause, SPAN_NULL);
        kubelet_pod_poke(c->pod);
    }
    if (p->kind == PROBE_STARTUP) {
        c->v->started = true;
        c->v->ready = json_get(kubelet_container_spec(c), field[PROBE_READINESS]) == NULL;
        kubelet_keep(&c->v->unready_cause, SPAN_NULL);
        if (c->v->ready) {
            kubelet_keep(&c->v->end_cause, SPAN_NULL);
        }
        probe_new(c, PROBE_READINESS);
        probe_new(c, PROBE_LIVENESS);
        kubelet_pod_poke(c->pod);
    }
}

static void failed(struct kubelet_probe *p, bool error, struct span output)
{
    struct kubelet_container *c = p->c;
    p->successes = 0;
    int64_t now = env_mono_ns(c->pod->k->env);
    if (p->retry_ms > 0 && now - p->failed_ns < p->period_ms * 1000000) {
        return; /* a quick run between two regular ones */
    }
    p->failed_ns = now;
    p->failures++;
    kubelet_event(c->pod, c, EVENT_WARNING, "Unhealthy", "%s probe %s: %.*s", word[p->kind],
                  error ? "errored" : "failed", SPAN_ARG(span_trim(output)));
    count_cause(p, output);
    if (p->failures < p->failure_threshold) {
        return;
    }
    if (p->kind == PROBE_READINESS) {
        if (c->v->ready) {
            c->v->ready = false;
            kubelet_pod_poke(c->pod);
        }
        return;
    }
    if (!c->v->unhealthy) {
        struct kubelet_probe_cause cause = cause_of(p, output);
        cause.grown = false;
        kubelet_cause_killed(c, &cause);
        c->v->unhealthy = true;
        int64_t grace_s = json_get_int(json_get(kubelet_container_spec(c), field[p->kind]),
                                       "terminationGracePeriodSeconds", 0);
        c->v->unhealthy_grace_ms = (grace_s < LIMIT_GRACE_S ? grace_s : LIMIT_GRACE_S) * 1000;
        kubelet_event(c->pod, c, EVENT_NORMAL, "Killing",
                      "Container %.*s failed %s probe, will be restarted", SPAN_ARG(c->v->name),
                      p->kind == PROBE_STARTUP ? "startup" : "liveness");
        kubelet_pod_poke(c->pod);
    }
}

static void on_result(void *data, enum kubelet_check_result result, struct span output)
{
    struct kubelet_probe *p = data;
    struct kubelet_container *c = p->c;
    assert(p->check);
    assert(c->probes[p->kind] == p);
    p->check = NULL;
    if (result == KUBELET_CHECK_OK) {
        succeeded(p);
    } else {
        failed(p, result == KUBELET_CHECK_ERROR, output);
    }
    if (p->kind == PROBE_STARTUP && c->v->started) {
        probe_free(p);
        c->probes[PROBE_STARTUP] = NULL;
        return;
    }
    int64_t delay = p->period_ms;
    if (p->retry_ms > 0 && p->retry_ms < p->period_ms) {
        delay = p->retry_ms;
        p->retry_ms *= 2; /* up to the period, which it then stays behind */
    }
    probe_again(p, delay);
}

static void probe_run(struct env_timer *timer)
{
    struct kubelet_probe *p = CONTAINER_OF(timer, struct kubelet_probe, timer);
    const yyjson_val *spec = json_get(kubelet_container_spec(p->c), field[p->kind]);
    assert(p->check == NULL);
    p->check = kubelet_check_new(p->c, spec, p->timeout_ms, on_result, p);
}

static int64_t seconds(const yyjson_val *spec, const char *key, int64_t otherwise)
{
    int64_t s = json_get_int(spec, key, otherwise);
    return s > 0 ? s : otherwise;
}

static void probe_new(struct kubelet_container *c, enum probe_kind kind)
{
    const yyjson_val *spec = json_get(kubelet_container_spec(c), field[kind]);
    if (!spec || c->probes[kind]) {
        return;
    }
    struct kubelet_probe *p = MEM_NEW(struct kubelet_probe);
    p->c = c;
    p->kind = kind;
    p->period_ms = seconds(spec, "periodSeconds", 10) * 1000;
    p->timeout_ms = seconds(spec, "timeoutSeconds", 1) * 1000;
    p->success_threshold = seconds(spec, "successThreshold", 1);
    p->failure_threshold = seconds(spec, "failureThreshold", 3);
    p->retry_ms = kind == PROBE_LIVENESS ? 0 : FIRST_RETRY_MS;
    p->failed_ns = env_mono_ns(c->pod->k->env);
    p->tell_at = kind == PROBE_STARTUP && p->failure_threshold > CAUSE_STARTUP_FIRST
                     ? CAUSE_STARTUP_FIRST
                     : p->failure_threshold;
    assert(p->period_ms > 0);
    assert(p->success_threshold > 0);
    assert(p->failure_threshold > 0);
    c->probes[kind] = p;
    if (kind != PROBE_LIVENESS && !c->v->ready) {
        tell_cause(p, SPAN_NULL);
    }
    /* The delay counts from the container's start, also when the probe begins later (after
     * adoption); from now when the clock was set back behind it. */
    int64_t since = env_now_ms(c->pod->k->env) - c->v->started_ms;
    since = since > 0 ? since : 0;
    int64_t delay = json_get_int(spec, "initialDelaySeconds", 0) * 1000 - since;
    probe_again(p, delay > 0 ? delay : 0);
}

void kubelet_probes_start(struct kubelet_container *c)
{
    const yyjson_val *spec = kubelet_container_spec(c);
    bool startup = json_get(spec, field[PROBE_STARTUP]) != NULL;
    if (!startup || c->v->started) {
        c->v->started = true;
        c->v->ready = c->v->ready || json_get(spec, field[PROBE_READINESS]) == NULL;
        if (c->v->ready) {
            kubelet_keep(&c->v->end_cause, SPAN_NULL);
        }
        probe_new(c, PROBE_READINESS);
        probe_new(c, PROBE_LIVENESS);
        return;
    }
    probe_new(c, PROBE_STARTUP);
}

void kubelet_probes_stop(struct kubelet_container *c)
{
    kubelet_keep(&c->v->unready_cause, SPAN_NULL);
    for (size_t i = 0; i < 3; i++) {
        probe_free(c->probes[i]);
        c->probes[i] = NULL;
    }
}
