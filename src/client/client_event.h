/* client/client_event.h: records core/v1 Events, what `kubectl describe` shows below an object.
 *
 * The same (object, type, reason, message) within an hour is one Event whose count and
 * lastTimestamp grow. An object may cause EVENT_BURST Events at once and then one every five
 * minutes; what is more is dropped, never queued, as Kubernetes clients do. Fire and forget:
 * recording never fails and never blocks. */
#ifndef CLIENT_CLIENT_EVENT_H
#define CLIENT_CLIENT_EVENT_H

#include "client/client.h"

struct event_recorder;

/* component: "statefulset-controller"; host: the node's name for node components, else empty. Both
 * copied. */
struct event_recorder *event_recorder_new(struct client *c, const char *component,
                                          struct span host);
void event_recorder_free(
    struct event_recorder *r); /* NULL is fine; what is on its way is forgotten */

enum event_type { EVENT_NORMAL, EVENT_WARNING };

/* The object an event is about. */
struct event_about {
    const struct schema_kind *kind;
    struct span ns, name, uid;
    int64_t rev;            /* 0: not told */
    struct span field_path; /* "spec.containers{redis}"; usually empty */
};

void event_record_about(struct event_recorder *r, const struct event_about *about,
                        enum event_type type, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
void event_record(struct event_recorder *r, const struct schema_kind *kind, struct object *o,
                  enum event_type type, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

#endif
