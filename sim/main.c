/* sim [--seed N] [--count N] [--steps N] [--jobs N] [--calm] [--narrow] [--deeds] [-v]: histories
 * of the whole platform on virtual time, on all processors. A failing one ends with the line that
 * shows it step by step. Each process does a share and ends: what killed roles leave behind goes
 * with it, and an assertion that fails ends one history and not all. */
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/span.h"
#include "env/env.h"
#include "env/env_uv.h"
#include "sim/platform.h"
#include "store/store.h"

enum { JOBS_MAX = 64, SHARE = 100, BROKEN_MAX = 200, KEEP_BYTES = 64 << 20 };

struct settings {
    uint64_t seed, count, steps, jobs;
    bool show, calm, narrow, deeds;
};

struct broken {
    uint64_t seed;
    char checker[32], story[400];
};

/* Of all processes. */
struct shared {
    atomic_uint_fast64_t next;         /* the first seed that nobody has taken, less the first */
    atomic_uint_fast64_t broken_count; /* may be more than are kept */
    struct broken broken[BROKEN_MAX];
    uint64_t told;                             /* of them */
    uint64_t current[JOBS_MAX];                /* the seed that a process is at */
    struct platform_figures figures[JOBS_MAX]; /* sums */
};

static int usage(void)
{
    (void)fprintf(stderr, "usage: sim [--seed N] [--count N] [--steps N] [--jobs N] [--calm] "
                          "[--narrow] [--deeds] [-v]\n");
    return 2;
}

static bool parse(int argc, char **argv, struct settings *s)
{
    const struct {
        const char *name;
        bool *flag;
        uint64_t *number;
    } all[] = {{"--seed", NULL, &s->seed},   {"--count", NULL, &s->count},
               {"--steps", NULL, &s->steps}, {"--jobs", NULL, &s->jobs},
               {"--calm", &s->calm, NULL},   {"--narrow", &s->narrow, NULL},
               {"--deeds", &s->deeds, NULL}, {"-v", &s->show, NULL}};
    enum { ALL = sizeof all / sizeof *all };
    for (int i = 1; i < argc; i++) {
        size_t at = 0;
        while (at < ALL && strcmp(argv[i], all[at].name) != 0) {
            at++;
        }
        if (at < ALL && all[at].flag) {
            *all[at].flag = true;
        } else if (at == ALL || ++i == argc || !span_to_u64(span_cstr(argv[i]), all[at].number)) {
            return false;
        }
    }
    return s->jobs > 0 && s->jobs <= JOBS_MAX;
}

static void add(struct platform_figures *sum, const struct platform_figures *f)
{
    sum->steps += f->steps;
    sum->turns += f->turns;
    sum->events += f->events;
    sum->crashes += f->crashes;
    sum->requests += f->requests;
    sum->refused += f->refused;
    sum->starts += f->starts;
    for (int i = 0; i < SIM_DEED_COUNT; i++) {
        sum->deeds[i].asked += f->deeds[i].asked;
        sum->deeds[i].done += f->deeds[i].done;
    }
}

static void note_broken(struct shared *all, uint64_t seed, const char *checker, const char *story)
{
    uint64_t at = atomic_fetch_add(&all->broken_count, 1);
    if (at < BROKEN_MAX) {
        struct broken *b = &all->broken[at];
        b->seed = seed;
        (void)snprintf(b->checker, sizeof b->checker, "%s", checker);
        (void)snprintf(b->story, sizeof b->story, "%s", story);
    }
}

/* Those that broke since the last call: a batch that runs for hours tells them at once. */
static void tell_broken(const struct settings *s, struct shared *all)
{
    uint64_t count = atomic_load(&all->broken_count);
    for (; all->told < count && all->told < BROKEN_MAX; all->told++) {
        const struct broken *b = &all->broken[all->told];
        (void)printf("\nseed %llu breaks \"%s\": %s\n  step by step: make sim ARGS=\"--seed %llu "
                     "--steps %llu%s%s -v\"\n",
                     (unsigned long long)b->seed, b->checker, b->story, (unsigned long long)b->seed,
                     (unsigned long long)s->steps, s->calm ? " --calm" : "",
                     s->narrow ? " --narrow" : "");
    }
    (void)fflush(stdout);
}

static void history(const struct settings *s, uint64_t seed,
                    const struct store_memory_disk *first_start, struct shared *all, size_t job)
{
    const struct platform_options o = {.seed = seed,
                                       .show = s->show,
                                       .calm = s->calm,
                                       .narrow = s->narrow,
                                       .first_start = first_start};
    struct platform *w = platform_new(&o);
    for (uint64_t n = 0; n < s->steps; n++) {
        platform_step(w);
    }
    platform_settle(w);
    const char *story = NULL, *checker = platform_violation(w, &story);
    if (checker) {
        note_broken(all, seed, checker, story);
    }
    struct platform_figures f = platform_figures(w);
    add(&all->figures[job], &f);
    platform_free(w);
}

/* Up to SHARE histories. */
static void work(const struct settings *s, struct shared *all, size_t job)
{
    /* What a killed server gave back the next one takes: the kernel need not have it meanwhile. */
    (void)mallopt(M_TRIM_THRESHOLD, KEEP_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, KEEP_BYTES / 4);
    (void)mallopt(M_TOP_PAD, KEEP_BYTES / 64);
    struct store_memory_disk *first_start = platform_first_start();
    for (int i = 0; i < SHARE; i++) {
        uint64_t at = atomic_fetch_add(&all->next, 1);
        if (at >= s->count) {
            break;
        }
        all->current[job] = s->seed + at;
        history(s, s->seed + at, first_start, all, job);
    }
    store_memory_disk_free(first_start);
}

static pid_t start(const struct settings *s, struct shared *all, size_t job)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        work(s, all, job);
        (void)fflush(NULL);
        _exit(0);
    }
    return pid;
}

/* Processes until all seeds are done. */
static void work_in_processes(const struct settings *s, struct shared *all)
{
    pid_t pids[JOBS_MAX] = {0};
    size_t running = 0;
    for (size_t job = 0; job < s->jobs; job++) {
        pids[job] = start(s, all, job);
        running += pids[job] > 0;
    }
    while (running > 0) {
        int status = 0;
        pid_t pid = wait(&status);
        size_t job = 0;
        while (job < s->jobs && pids[job] != pid) {
            job++;
        }
        if (pid < 0 || job == s->jobs) {
            break;
        }
        if (status != 0) {
            note_broken(all, all->current[job], "alive", "the process died: see above");
        }
        uint64_t next = atomic_load(&all->next);
        (void)printf("\r%llu of %llu histories, %llu broke a promise ",
                     (unsigned long long)(next < s->count ? next : s->count),
                     (unsigned long long)s->count,
                     (unsigned long long)atomic_load(&all->broken_count));
        tell_broken(s, all);
        pids[job] = next < s->count ? start(s, all, job) : 0;
        running -= pids[job] <= 0;
    }
    (void)printf("\n");
}

/* ---- what it was ---- */

static void print_deeds(const struct settings *s, const struct platform_figures *sum)
{
    (void)printf("\nin a thousand histories, done of asked for:\n");
    for (int i = 0; i < SIM_DEED_COUNT; i++) {
        const struct sim_deed_count *d = &sum->deeds[i];
        double per = 1000.0 / (double)s->count;
        char text[64] = "";
        if (d->asked != d->done) {
            (void)snprintf(text, sizeof text, " of %.0f", (double)d->asked * per);
        }
        (void)printf("  %-28s%8.0f%-12s%s", sim_deed_name((enum sim_deed)i), (double)d->done * per,
                     text, i % 2 ? "\n" : "");
    }
    (void)printf("\n");
}

static void print_figures(const struct settings *s, const struct platform_figures *sum, double took,
                          uint64_t broken)
{
    double count = (double)s->count;
    (void)printf(
        "\n%llu histories of %llu user steps in %.1f s on %llu processes: %.1f histories/s, "
        "%.0f events/s; a history is %.0f events at %.0f moments\n%llu requests, %llu refused; "
        "%llu kills, "
        "%llu container starts; %llu histories broke a promise\n",
        (unsigned long long)s->count, (unsigned long long)s->steps, took,
        (unsigned long long)s->jobs, count / took, (double)sum->events / took,
        (double)sum->events / count, (double)sum->turns / count, (unsigned long long)sum->requests,
        (unsigned long long)sum->refused, (unsigned long long)sum->crashes,
        (unsigned long long)sum->starts, (unsigned long long)broken);
}

/* glibc's malloc keeps seven freed blocks of a size at hand; a role that is killed frees hundreds,
 * and the next one wants them. Only a program that starts can be told. */
static void keep_freed_blocks(char **argv)
{
    if (!getenv("GLIBC_TUNABLES") &&
        setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=400", 1) == 0) {
        (void)execv("/proc/self/exe", argv); /* comes back only when it cannot: as well */
    }
}

int main(int argc, char **argv)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct settings s = {.seed = 1, .count = 1, .steps = 60};
    s.jobs = processors < 1 ? 1 : processors > JOBS_MAX ? JOBS_MAX : (uint64_t)processors;
    if (!parse(argc, argv, &s)) {
        return usage();
    }
    if (s.count > 1) {
        keep_freed_blocks(argv);
    }
    struct shared *all =
        mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(all != MAP_FAILED);
    log_setup(-1, LOG_ERROR, false, NULL, NULL);
    struct env *real = env_uv_new(); /* for its clock alone */
    int64_t from_ns = env_mono_ns(real);
    if (s.count == 1) {
        s.jobs = 1;
        work(&s, all, 0);
    } else {
        work_in_processes(&s, all);
    }
    double took = (double)(env_mono_ns(real) - from_ns) / 1e9;
    env_uv_free(real);
    struct platform_figures sum = {0};
    for (size_t i = 0; i < s.jobs; i++) {
        add(&sum, &all->figures[i]);
    }
    uint64_t broken = atomic_load(&all->broken_count);
    if (s.show || s.deeds) {
        print_deeds(&s, &sum);
    }
    print_figures(&s, &sum, took, broken);
    tell_broken(&s, all);
    return broken ? 1 : 0;
}
