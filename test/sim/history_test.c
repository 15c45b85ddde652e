/* The whole platform on virtual time: histories of users, kills, reboots, full disks and clock
 * jumps, with the checkers of sim/platform.c. `make sim` runs more of them. */
#include "base/log.h"
#include "sim/platform.h"
#include "test/kit/kit.h"

/* A killed program leaves its memory behind, as a killed process does. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static void history(uint64_t seed, int steps)
{
    struct platform *w = platform_new(seed, false);
    for (int i = 0; i < steps; i++) {
        platform_step(w);
    }
    platform_settle(w);
    platform_free(w);
}

/* The garbage collector met a pod whose deletion was not durable yet, was told that it is not
 * there, and looked again at once, for ever, within one turn: the turn never ended, so the deletion
 * was never committed. */
TEST(gc_that_meets_an_uncommitted_deletion_lets_the_turn_end)
{
    log_setup(-1, LOG_ERROR, false, NULL, NULL);
    history(41, 100);
}

/* A container's back-off counted from the wall clock: set back by an hour, it lasted that hour. */
TEST(clock_that_is_set_back_does_not_stretch_a_back_off)
{
    log_setup(-1, LOG_ERROR, false, NULL, NULL);
    history(5073, 100);
}

TEST_T(histories_of_kills_and_users_keep_every_promise, 60)
{
    log_setup(-1, LOG_ERROR, false, NULL, NULL);
    for (uint64_t seed = 1000; seed < 1030; seed++) {
        kit_note("seed %llu", (unsigned long long)seed);
        history(seed, 60);
    }
}
