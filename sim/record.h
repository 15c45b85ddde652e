/* sim/record.h: what the API server said it did: every committed change of the resources that the
 * checkers look at, taken from watches that go on over restarts of the server, and compared with
 * lists. */
#ifndef SIM_RECORD_H
#define SIM_RECORD_H

#include "watch/watch.h"

struct record;

struct record_handler {
    /* old NULL: made; now NULL: gone, at revision rev. In revision order within a resource. May be
     * NULL. */
    void (*on_change)(void *data, struct object *old, struct object *now, int64_t rev);
    /* A promise of the watch or of revisions is broken. */
    void (*on_wrong)(void *data, const char *checker, const char *text);
    /* Where tests plant their bugs: false drops the event. May be NULL. */
    bool (*on_event)(void *data, struct watch_event *e);
    /* Up to where the server may have forgotten its history; a watch from before lists again. */
    int64_t (*forgotten_rev)(void *data);
    void (*on_forgotten)(void *data); /* one does */
    void *data;
};

struct record *record_new(const struct record_handler *handler);
void record_free(struct record *r);
/* The server is up (its hub) or going down (NULL: before the hub is freed). A watch goes on from
 * where it was, or, when the history from there is gone, from a list. */
void record_connect(struct record *r, struct watch_hub *hub);
/* Takes what there is. */
void record_pull(struct record *r);
/* Takes what there is and compares with lists. */
void record_check(struct record *r);
/* The object as last told; NULL: there is none. Borrowed until the next pull. */
struct object *record_get(const struct record *r, struct span key);
/* The highest revision told of this key, its end included; 0: never heard of. *ret_before: the one
 * before; may be NULL. */
int64_t record_rev(const struct record *r, struct span key, int64_t *ret_before);
void record_each(const struct record *r, struct span resource,
                 void (*fn)(void *data, struct object *o), void *data);
bool record_has_resource(struct span resource);

#endif
