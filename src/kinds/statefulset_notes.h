/* kinds/statefulset_notes.h: the annotations berth.dev/... of StatefulSets (doc/annotations.md).
 *
 * A wrong value is never an error: it is ignored as if it were not there, and told: by a Warning
 * header when it is written, by an event and a condition while it stands. */
#ifndef KINDS_STATEFULSET_NOTES_H
#define KINDS_STATEFULSET_NOTES_H

#include "base/arena.h"
#include "codec/json.h"
#include "codec/selector.h"

enum { STATEFULSET_NOTES_RESERVED_MAX = 64, STATEFULSET_NOTES_MAX = 7 };

/* Set by the controller: the revision that an automatic rollback left behind. */
#define STATEFULSET_NOTE_ROLLED_BACK "berth.dev/rolled-back-from"

struct statefulset_notes {
    int64_t deadline_ms; /* progress-deadline; 0: none */
    bool auto_rollback, paused;
    int32_t window; /* start-parallelism; 0: not given */
    size_t reserved_count;
    int32_t
        reserved[STATEFULSET_NOTES_RESERVED_MAX]; /* reserve-ordinals; ascending, no two alike */
    bool has_last;
    struct selector last; /* update-order: pods that it matches come last */
    /* One sentence for each annotation that has a wrong value or no effect, and one for the first
     * that is not known. */
    struct span wrong[STATEFULSET_NOTES_MAX];
    size_t wrong_count;
};

/* annotations: metadata.annotations, or NULL. Spans in the result live as long as the arena and the
 * annotations. */
void statefulset_notes(struct arena *a, const yyjson_val *annotations,
                       struct statefulset_notes *ret);

#endif
