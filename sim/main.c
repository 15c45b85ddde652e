/* sim [--seed N] [--count N] [--steps N] [-v]: histories of the whole platform on virtual time. A
 * failing one ends with its seed; `sim --seed N -v` shows it step by step. */
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
    bool show;
};

static int usage(void)
{
    (void)fprintf(stderr, "usage: sim [--seed N] [--count N] [--steps N] [-v]\n");
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
        } else if (!at || ++i == argc || !span_to_u64(span_cstr(argv[i]), at)) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct settings s = {.seed = 1, .count = 1, .steps = 100};
    struct platform_figures sum = {0};
    if (!parse(argc, argv, &s)) {
        return usage();
    }
    log_setup(-1, LOG_ERROR, false, NULL, NULL);
    struct env *real = env_uv_new(); /* for its clock alone */
    int64_t from_ns = env_mono_ns(real);
    for (uint64_t i = 0; i < s.count; i++) {
        /* Said first and kept on the line: when a checker ends the process, the seed stands above
         * it. */
        (void)printf("%sseed %llu%s", s.show ? "" : "\r", (unsigned long long)(s.seed + i),
                     s.show ? "\n" : " ");
        (void)fflush(stdout);
        struct platform *w = platform_new(s.seed + i, s.show);
        for (uint64_t n = 0; n < s.steps; n++) {
            platform_step(w);
        }
        platform_settle(w);
        struct platform_figures f = platform_figures(w);
        sum.steps += f.steps;
        sum.crashes += f.crashes;
        sum.reboots += f.reboots;
        sum.exits += f.exits;
        sum.requests += f.requests;
        sum.refused += f.refused;
        sum.starts += f.starts;
        platform_free(w);
    }
    double took = (double)(env_mono_ns(real) - from_ns) / 1e9;
    env_uv_free(real);
    (void)printf("\n%llu histories of %llu steps in %.1f s (%.1f/s): %llu requests, %llu refused; "
                 "%llu kills, %llu reboots, %llu exits, %llu container starts\n",
                 (unsigned long long)s.count, (unsigned long long)s.steps, took,
                 (double)s.count / took, (unsigned long long)sum.requests,
                 (unsigned long long)sum.refused, (unsigned long long)sum.crashes,
                 (unsigned long long)sum.reboots, (unsigned long long)sum.exits,
                 (unsigned long long)sum.starts);
    return 0;
}
