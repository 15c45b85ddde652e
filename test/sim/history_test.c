/* The whole platform on virtual time: histories of users and faults, with the checkers of sim/.
 * `make sim` runs more of them. */
#include <stdlib.h>

#include "base/log.h"
#include "sim/platform.h"
#include "test/kit/kit.h"

/* A killed program leaves its memory behind, as a killed process does. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static void history(uint64_t seed, int steps, bool calm)
{
    const struct platform_options o = {.seed = seed, .calm = calm};
    struct platform *w = platform_new(&o);
    for (int i = 0; i < steps; i++) {
        platform_step(w);
    }
    platform_settle(w);
    const char *story = NULL, *checker = platform_violation(w, &story);
    if (checker) {
        kit_note("seed %llu breaks \"%s\": %s", (unsigned long long)seed, checker, story);
    }
    CHECK(!checker);
    platform_free(w);
}

/* A node agent that was started again spun until the objects that its pods refer to had come. */
TEST(agent_that_waits_for_references_lets_the_turn_end)
{
    log_setup(-1, LOG_ERROR, false, NULL, NULL);
    history(2, 60, false);
}

TEST_T(histories_of_users_alone_keep_every_promise, 60)
{
    log_setup(-1, LOG_ERROR, false, NULL, NULL);
    for (uint64_t seed = 1000; seed < 1020; seed++) {
        history(seed, 60, true);
    }
}

TEST_T(histories_of_faults_and_users_keep_every_promise, 60)
{
    log_setup(-1, LOG_ERROR, false, NULL, NULL);
    for (uint64_t seed = 200; seed < 230; seed++) {
        history(seed, 60, false);
    }
}
