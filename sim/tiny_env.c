/* sim/tiny_env.c: see tiny_env.h. */
#include "sim/tiny_env.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "env/env_priv.h"

struct tiny_env {
    struct env env;
    int64_t mono_ns;
    uint64_t state;
};

enum { TURN_NS = 1000 };
static const int64_t epoch_us = INT64_C(1785000000) * 1000000;

static struct tiny_env *of(struct env *env)
{
    return CONTAINER_OF(env, struct tiny_env, env);
}

static int64_t now_us(struct env *env)
{
    return epoch_us + of(env)->mono_ns / 1000;
}

static int64_t mono_ns(struct env *env)
{
    return of(env)->mono_ns;
}

static void fill_random(struct env *env, void *buf, size_t n)
{
    unsigned char *p = buf;
    for (size_t i = 0; i < n; i++) {
        uint64_t *s = &of(env)->state; /* splitmix64 */
        *s += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = *s;
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        p[i] = (unsigned char)(z >> 33);
    }
}

static void timer_changed(struct env *env, int64_t due_ns)
{
    (void)env;
    (void)due_ns;
}

static const struct env_ops ops = {
    .now_us = now_us,
    .mono_ns = mono_ns,
    .random = fill_random,
    .timer_changed = timer_changed,
};

struct env *tiny_env_new(uint64_t seed)
{
    struct tiny_env *t = MEM_NEW(struct tiny_env);
    env_init(&t->env, &ops);
    t->state = seed;
    return &t->env;
}

void tiny_env_free(struct env *env)
{
    if (env) {
        env_done(env);
        free(of(env));
    }
}

void tiny_env_settle(struct env *env)
{
    do {
        env_run_due(env, of(env)->mono_ns);
        env_run_tasks(env);
    } while (env_next_due_ns(env) <= of(env)->mono_ns);
}

void tiny_env_run(struct env *env, int64_t ms)
{
    struct tiny_env *t = of(env);
    int64_t end = t->mono_ns + ms * 1000000;
    assert(ms >= 0);
    for (;;) {
        tiny_env_settle(env);
        int64_t due = env_next_due_ns(env);
        if (due > end) {
            break;
        }
        t->mono_ns = due > t->mono_ns ? due : t->mono_ns + TURN_NS;
    }
    t->mono_ns = end;
}
