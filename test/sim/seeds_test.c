/* Two thousand histories of the whole platform, in two processes at once: only where KIT_SLOW is
 * set. `make sim SEEDS=N` runs more, `make sim ARGS="--seed N -v"` shows one. */
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "sim/platform.h"
#include "store/store.h"
#include "test/kit/kit.h"

enum { FIRST = 10000, SEEDS = 2000, STEPS = 60, LIMIT_S = 240, PROCESSES = 2 };

static int64_t now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static bool history(uint64_t seed, const struct store_memory_disk *first_start)
{
    const struct platform_options o = {.seed = seed, .first_start = first_start};
    struct platform *w = platform_new(&o);
    for (int i = 0; i < STEPS; i++) {
        platform_step(w);
    }
    platform_settle(w);
    const char *story = NULL, *checker = platform_violation(w, &story);
    if (checker) {
        kit_note("seed %llu breaks \"%s\": %s", (unsigned long long)seed, checker, story);
        kit_note("step by step: make sim ARGS=\"--seed %llu -v\"", (unsigned long long)seed);
    }
    bool ok = !checker;
    platform_free(w);
    return ok;
}

/* Each second seed, as far as the time goes; the number of those that broke a promise. */
static int share(uint64_t first)
{
    int broken = 0, done = 0;
    int64_t until = now_s() + LIMIT_S;
    struct store_memory_disk *first_start = platform_first_start();
    for (uint64_t i = first; i < SEEDS && now_s() < until; i += PROCESSES) {
        broken += !history(FIRST + i, first_start);
        done++;
    }
    store_memory_disk_free(first_start);
    kit_note("%d histories, %d broke a promise", done, broken);
    return broken;
}

TEST_T(two_thousand_histories_keep_every_promise, LIMIT_S + 60)
{
    if (!getenv("KIT_SLOW")) {
        SKIP("minutes long: with KIT_SLOW=1");
    }
#ifdef __SANITIZE_ADDRESS__
    SKIP("with sanitizers the shorter histories of history_test do");
#endif
    log_setup(-1, LOG_ERROR, false, NULL, NULL);
    (void)fflush(stdout);
    pid_t other = fork();
    CHECK(other >= 0);
    int broken = share(other == 0);
    if (other == 0) {
        (void)fflush(stdout);
        _exit(broken ? 1 : 0);
    }
    int status = 0;
    CHECK_EQ(waitpid(other, &status, 0), other);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_EQ(broken, 0);
}
