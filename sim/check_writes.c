/* sim/check_writes.c: no acknowledged write is lost: each was told by the watch, and what the watch
 * told is in the lists (sim/record.c), over every restart; and an update replaces the version that
 * it was made from. Checkers: acknowledged, lost-update. */
#include "sim/check.h"
#include "sim/platform_priv.h"

void check_acknowledged(struct platform *w)
{
    if (!w->env) {
        return; /* when it is back */
    }
    for (size_t i = 0; i < w->acked.n; i++) {
        const struct sim_acked *a = &w->acked.at[i];
        int64_t before, is = record_rev(w->record, span_cstr(a->key), &before);
        if (is == a->rev && a->from_rev > 0 && a->from_rev < is && a->from_rev != before) {
            sim_fail(w, "lost-update", "%s at %lld replaced %lld: it was made from %lld", a->key,
                     (long long)is, (long long)before, (long long)a->from_rev);
        }
        if (is < a->rev) {
            sim_fail(w, "acknowledged", "the write of %s at %lld is not there", a->key,
                     (long long)a->rev);
        }
    }
    w->acked.n = 0;
}
