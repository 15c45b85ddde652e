/* Schedules of cron jobs. Of one that can be read, the next time is later and also the last one
 * seen from there; of one that cannot, the fault says something. */
#include "base/check.h"
#include "codec/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a cleanup_arena = arena_new();
    struct span fault;
    struct cron cron;
    int64_t now = 1767225600000;
    if (!cron_parse(a, span_of(data, size), &cron, &fault)) {
        assert(fault.n > 0);
        return 0;
    }
    int64_t next = cron_next(&cron, now);
    assert(next == 0 || next > now);
    assert(next == 0 || cron_last(&cron, now, next) == next);
    assert(next == 0 || cron_last(&cron, now, next - 1) == 0);
    return 0;
}
