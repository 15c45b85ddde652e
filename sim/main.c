/* sim [--seed N] [--count N] [--steps N] [--calm] [--narrow] [-v]: histories of the whole platform
 * on virtual time. A failing one ends with its seed; `sim --seed N -v` shows it step by step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/span.h"
#include "env/env.h"
#include "env/env_uv.h"
#include "sim/platform.h"

struct settings {
    uint64_t seed, count, steps;
    bool show, calm, narrow;
};

static int usage(void)
{
    (void)fprintf(stderr,
                  "usage: sim [--seed N] [--count N] [--steps N] [--calm] [--narrow] [-v]\n");
    return 2;
}

static bool parse(int argc, char **argv, struct settings *s)
{
    for (int i = 1; i < argc; i++) {
        uint64_t *at = strcmp(argv[i], "--seed") == 0    ? &s->seed
                       : strcmp(argv[i], "--count") == 0 ? &s->count
                       : strcmp(argv[i], "--steps") == 0 ? &s->steps
                                                         : NULL;
        if (strcmp(argv[i], "-v") == 0) {
            s->show = true;
        } else if (strcmp(argv[i], "--calm") == 0) {
            s->calm = true;
        } else if (strcmp(argv[i], "--narrow") == 0) {
            s->narrow = true;
        } else if (!at || ++i == argc || !span_to_u64(span_cstr(argv[i]), at)) {
            return false;
        }
    }
    return true;
}

static void add(struct platform_figures *sum, const struct platform_figures *f)
{
    sum->steps += f->steps;
    sum->turns += f->turns;
    sum->crashes += f->crashes;
    sum->reboots += f->reboots;
    sum->exits += f->exits;
    sum->requests += f->requests;
    sum->refused += f->refused;
    sum->starts += f->starts;
}

/* False: a promise was broken. */
static bool history(const struct settings *s, uint64_t seed, struct platform_figures *sum)
{
    const struct platform_options o = {
        .seed = seed, .show = s->show, .calm = s->calm, .narrow = s->narrow};
    struct platform *w = platform_new(&o);
    for (uint64_t n = 0; n < s->steps; n++) {
        platform_step(w);
    }
    platform_settle(w);
    const char *story = NULL, *checker = platform_violation(w, &story);
    if (checker) {
        (void)printf("\nseed %llu breaks \"%s\": %s\n  shown step by step: make sim "
                     "ARGS=\"--seed %llu --steps %llu%s%s -v\"\n",
                     (unsigned long long)seed, checker, story, (unsigned long long)seed,
                     (unsigned long long)s->steps, s->calm ? " --calm" : "",
                     s->narrow ? " --narrow" : "");
        (void)fflush(stdout);
    }
    struct platform_figures f = platform_figures(w);
    add(sum, &f);
    platform_free(w);
    return !checker;
}

int main(int argc, char **argv)
{
    struct settings s = {.seed = 1, .count = 1, .steps = 60};
    struct platform_figures sum = {0};
    uint64_t broken = 0;
    if (!parse(argc, argv, &s)) {
        return usage();
    }
    log_setup(-1, LOG_ERROR, false, NULL, NULL);
    struct env *real = env_uv_new(); /* for its clock alone */
    int64_t from_ns = env_mono_ns(real);
    for (uint64_t i = 0; i < s.count; i++) {
        /* Said first and kept on the line: when an assertion ends the process, the seed stands
         * above it. */
        (void)printf("%sseed %llu%s", s.show ? "" : "\r", (unsigned long long)(s.seed + i),
                     s.show ? "\n" : " ");
        (void)fflush(stdout);
        broken += !history(&s, s.seed + i, &sum);
    }
    double took = (double)(env_mono_ns(real) - from_ns) / 1e9;
    env_uv_free(real);
    (void)printf("\n%llu histories of %llu user steps in %.1f s: %.1f histories/s, %.0f events/s, "
                 "%.0f events a history\n%llu requests, %llu refused; %llu kills, %llu reboots, "
                 "%llu exits, %llu container starts; %llu histories broke a promise\n",
                 (unsigned long long)s.count, (unsigned long long)s.steps, took,
                 (double)s.count / took, (double)sum.turns / took,
                 (double)sum.turns / (double)s.count, (unsigned long long)sum.requests,
                 (unsigned long long)sum.refused, (unsigned long long)sum.crashes,
                 (unsigned long long)sum.reboots, (unsigned long long)sum.exits,
                 (unsigned long long)sum.starts, (unsigned long long)broken);
    return broken ? 1 : 0;
}
