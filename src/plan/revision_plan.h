/* plan/revision_plan.h: what a ControllerRevision of a StatefulSet holds and is called, and which
 * one a set is at. Pure. Names and hashes are Kubernetes' own, so that sets move between clusters
 * with their history. */
#ifndef PLAN_REVISION_PLAN_H
#define PLAN_REVISION_PLAN_H

#include "codec/json.h"

struct schema_kind;

/* {"spec":{"template":{"$patch":"replace",...}}} with members in sorted order. */
yyjson_mut_val *revision_data(yyjson_mut_doc *doc, const yyjson_val *pod_template);
/* FNV-1 over the text and the collision count, in the alphabet without vowels. */
struct span revision_hash(struct arena *a, struct span data_text, int64_t collisions);
struct span revision_name(struct arena *a, struct span set_name, struct span hash);

struct revision_entry {
    struct span name;
    int64_t revision, created_ms;
    yyjson_val *data;
    bool live;   /* current, update, or named by a pod: never truncated */
    size_t from; /* the caller's index */
};

/* Whether it holds the revision_data() of this template: seen without making that. */
bool revision_is_of(const struct revision_entry *entry, const yyjson_val *pod_template);
/* By revision, then creation time, then name. */
void revision_sort(struct revision_entry *entries, size_t n);

enum revision_step {
    REVISION_KEEP,   /* the newest is what the set asks for */
    REVISION_BUMP,   /* an older one is: give it the next number */
    REVISION_CREATE, /* none is */
};
struct revision_choice {
    enum revision_step step;
    size_t at;      /* KEEP, BUMP: index in the sorted entries */
    int64_t number; /* BUMP, CREATE: the number to write */
};
struct revision_choice revision_choose(const struct revision_entry *sorted, size_t n,
                                       const yyjson_val *wanted_data);
/* Whether the revision's template, put into the set and given today's defaults, is what the set
 * asks for: then nothing has changed but the way in which it is written, and no pod is replaced for
 * it. set: the stored set. */
bool revision_means(struct arena *a, const struct schema_kind *kind, const yyjson_val *set,
                    const struct revision_entry *entry, const yyjson_val *wanted_data);
/* How many of the not live ones must go, oldest first, to keep `limit` (negative: keep all). */
size_t revision_excess(const struct revision_entry *sorted, size_t n, int64_t limit);

#endif
