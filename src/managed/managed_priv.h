/* managed/managed_priv.h: the list of entries while it is worked on. Internal to managed*.c. */
#ifndef MANAGED_MANAGED_PRIV_H
#define MANAGED_MANAGED_PRIV_H

#include "base/limits.h"
#include "codec/json.h"
#include "managed/managed.h"
#include "managed/typed.h"

struct managed_entry {
    struct span manager, version, subresource, time;
    bool is_apply;
    int64_t time_s;                /* 0: none */
    struct span fields_text, text; /* of the set and of the whole entry, as they were stored; empty
                                    * once they differ, or when they came as a tree */
    const yyjson_val *raw_fields;  /* the set as it came from a client; NULL: none, or made here */
    const struct fieldset *set;    /* by managed_set() */
    bool is_parsed, is_dropped;
};

/* What a write changed, in one version of the API. */
struct managed_side {
    const struct schema_kind *kind;
    const struct fieldset *taken, *gone; /* added or modified; or removed */
    struct managed_side *next;
};

struct managed {
    struct arena *a;
    const struct managed_write *write;
    struct managed_entry *at;
    size_t n, cap;
    struct managed_side own;      /* by managed_change(): in the version written, then others */
    const yyjson_val *old, *next; /* in the version written */
    bool names_revision;          /* of what was read, an entry may hold metadata.resourceVersion */
    bool no_revision; /* no entry holds metadata.resourceVersion, which always changes */
    struct err err;
};

/* ---- managed_entry.c ---- */

struct fieldset_text;

/* The stored list, or one that a client sent; -1 when malformed. */
int managed_decode(struct managed *m, const yyjson_val *list);
/* The same, with sets read whole before they are believed, to be written anew. */
int managed_decode_given(struct managed *m, const yyjson_val *list);
/* The list as text; empty: no entry is left. */
struct span managed_encode(struct managed *m);
/* An entry around its set. */
void managed_put_head(struct fieldset_text *t, const struct managed_entry *e);
void managed_put_tail(struct fieldset_text *t, const struct managed_entry *e);
bool managed_same_owner(const struct managed_entry *x, const struct managed_entry *y);
int managed_cmp_age(const struct managed_entry *a, const struct managed_entry *b);

/* ---- managed.c ---- */

const struct fieldset *managed_set(struct managed *m, struct managed_entry *e);
void managed_put(struct managed *m, struct managed_entry *e, const struct fieldset *set);
/* An empty entry of the write's manager. */
struct managed_entry managed_writer(struct managed *m, bool is_apply);
/* The entry of the write's manager; made (dropped, empty) when there is none. */
struct managed_entry *managed_own(struct managed *m, bool is_apply);
void managed_touch(struct managed *m, struct managed_entry *e);
/* Is this member of the object (of its metadata) nobody's? */
bool managed_is_unowned(struct span name, bool in_meta);
/* Takes what nobody owns out of a set. */
const struct fieldset *managed_strip(struct managed *m, const struct fieldset *set);
/* What the comparison of a write passes over: the other side of the status subresource. */
struct typed_skip managed_skip(const struct managed_write *w, bool revision);
/* Every entry but `self` (an index; SIZE_MAX: none) loses what managed_change() found. -1: m->err.
 */
int managed_lose(struct managed *m, size_t self);
/* An update by w's manager from live to next (managed_update() without its beginning and end). */
int managed_track(struct managed *m, const yyjson_val *live, const yyjson_val *next);

/* ---- managed_version.c ---- */

/* The kind written in the version of an entry; NULL: there is none any more. */
const struct schema_kind *managed_kind(const struct managed *m, struct span version);
bool managed_is_own(const struct managed *m, const struct managed_entry *e);
/* obj in another version of its kind. NULL: m->err says why it cannot be. */
const yyjson_val *managed_convert(struct managed *m, const struct schema_kind *from,
                                  const struct schema_kind *to, const yyjson_val *obj);
/* How messages call obj: `(ns/name; apps/v1, Kind=Deployment)`. */
struct span managed_title(struct managed *m, const yyjson_val *obj);
/* Can obj be walked by kind's tables? -1: m->err. */
int managed_check(struct managed *m, const struct schema_kind *kind, const yyjson_val *obj,
                  bool with_repeats);
/* Remembers what a write changes. */
void managed_change(struct managed *m, const yyjson_val *old, const yyjson_val *next,
                    const struct typed_diff *d);
/* That change in the version of an entry; NULL: m->err. */
const struct managed_side *managed_side(struct managed *m, const struct managed_entry *e);
/* Before a write to live: entries of versions that are gone are dropped, those of custom kinds
 * follow their schema as it is now. -1: m->err. */
int managed_settle(struct managed *m, const yyjson_val *live);

#endif
