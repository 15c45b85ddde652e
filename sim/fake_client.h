/* sim/fake_client.h: a client whose API server is a small object store in memory.
 *
 * Real where controllers depend on it: uids, revisions with compare-and-swap, generateName,
 * generation, status as a subresource, finalizers, graceful deletion of bound pods, propagation
 * policies, pods/binding, namespaces/finalize, label and field selectors (metadata.name,
 * involvedObject.uid are not looked at), watches with an initial list. Simplified: no defaults, no
 * validation, no JSON patches. A request is decided inside the call; its reply and the watch
 * events arrive in later tasks, events after `event_delay_ms`. */
#ifndef SIM_FAKE_CLIENT_H
#define SIM_FAKE_CLIENT_H

#include "client/client.h"

struct fake_client;

struct fake_client *fake_client_new(struct env *env);
/* Watches must be gone. */
void fake_client_free(struct fake_client *f);
struct client *fake_client_base(struct fake_client *f);

/* Delays every later watch event: views become stale. */
void fake_client_event_delay(struct fake_client *f, int64_t ms);
/* Asked before each request: a reason other than ERR_NONE makes it fail with that. NULL: nothing
 * fails. */
void fake_client_fault(struct fake_client *f,
                       enum err_reason (*fn)(void *data, const struct client_request *request),
                       void *data);

/* ---- for tests, synchronous ---- */

/* Creates from JSON with kind and apiVersion; asserts success. The object is borrowed. */
struct object *fake_client_create(struct fake_client *f, const char *json);
/* Merge-patches and asserts success; subresource "" or "status". */
void fake_client_patch(struct fake_client *f, const char *group, const char *kind, const char *ns,
                       const char *name, const char *subresource, const char *json);
void fake_client_delete(struct fake_client *f, const char *group, const char *kind, const char *ns,
                        const char *name, int64_t grace_s, enum client_propagation propagation);
/* NULL when absent. */
struct object *fake_client_get(struct fake_client *f, const char *group, const char *kind,
                               const char *ns, const char *name);
/* Objects of a kind, in order of their keys; returns the number. fn may be NULL. */
size_t fake_client_each(struct fake_client *f, const char *group, const char *kind,
                        void (*fn)(void *data, struct object *o), void *data);
/* Requests decided so far that changed something. */
uint64_t fake_client_writes(const struct fake_client *f);

#endif
