/* A server on a disk that loses power: what was acknowledged is there, whatever became of the tail
 * of the log. */
#include "test/kit/kit.h"
#include "test/kit/sim_kit.h"

TEST(log_with_a_torn_tail_keeps_what_was_acknowledged)
{
    uint64_t torn = 0, lost = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct platform *w = sim_kit_start_on(PLATFORM_DISK_SQLITE, seed, NULL);
        sim_kit_create(w, 3, "Parallel", SIM_KIT_CLAIMS);
        for (int i = 0; i < 40; i++) {
            sim_kit_patch(w, i % 2 ? "{\"spec\":{\"replicas\":5}}" : "{\"spec\":{\"replicas\":2}}");
            platform_run_for(w, i % 8 * 7);
            platform_fault(w, PLATFORM_KILL_SERVER, 0);
            platform_fault(w, PLATFORM_START_ALL, 0);
        }
        platform_settle(w);
        torn += platform_figures(w).deeds[SIM_DEED_TORN].done;
        lost += platform_figures(w).deeds[SIM_DEED_UNSYNCED].done;
        sim_kit_end(w, NULL);
    }
    kit_note("%llu writes torn, %llu lost", (unsigned long long)torn, (unsigned long long)lost);
    CHECK(torn > 20 && lost > 20);
}
