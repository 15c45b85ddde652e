/* sim/check_writes.c: no acknowledged write is lost: each was told by the watch, and what the watch
 * told is in the lists (sim/record.c), over every restart. Checker: acknowledged. */
#include "sim/platform_priv.h"

void check_acknowledged(struct platform *w)
{
    if (!w->env) {
        return; /* when it is back */
    }
    for (size_t i = 0; i < w->acked.n; i++) {
        const struct sim_acked *a = &w->acked.at[i];
        if (record_rev(w->record, span_cstr(a->key)) < a->rev) {
            sim_fail(w, "acknowledged", "the write of %s at %lld is not there", a->key,
                     (long long)a->rev);
        }
    }
    w->acked.n = 0;
}
