/* apiserver/definitions.h: the custom kinds of a server: every CustomResourceDefinition compiled,
 * its conditions kept, its objects deleted with it.
 *
 * At the start all definitions are compiled before the server is ready. Later the hub tells of each
 * change: a definition whose names are free gets the conditions NamesAccepted and Established, and
 * is served from the moment that these are stored. One being deleted (its finalizer is put there by
 * the delete) has its objects deleted; when the last is gone, the finalizer goes. Watches of a kind
 * end when its definition changes: clients open them anew. */
#ifndef APISERVER_DEFINITIONS_H
#define APISERVER_DEFINITIONS_H

#include "codec/json.h"
#include "schema/openapi.h"
#include "schema/schema.h"

#define DEFINITIONS_FINALIZER "customresourcecleanup.apiextensions.k8s.io"

struct apiserver;
struct definitions;
struct discovery;
struct object;
struct api_op;

struct definitions *definitions_new(struct apiserver *s);
void definitions_free(struct definitions *d); /* NULL is fine */

/* A custom kind that is served; NULL when there is none. Who keeps it beyond this turn holds it
 * (custom_hold). */
const struct schema_kind *definitions_find(const struct definitions *d, struct span group,
                                           struct span version, struct span plural);
/* The stored version of the definition with this name ("widgets.example.com"). */
const struct schema_kind *definitions_by_name(const struct definitions *d, struct span resource);

/* All that are served, every version of them. */
struct openapi_kinds definitions_served(const struct definitions *d);

/* The documents about what is served, until that changes: not to be kept beyond this turn. */
struct discovery *definitions_discovery(struct definitions *d);

/* An object as it looks in the version of a custom kind: o itself, or another object that the arena
 * holds. Built-in kinds: o. */
struct object *definitions_in_version(struct arena *a, const struct schema_kind *kind,
                                      struct object *o);

/* ---- definitions_services.c ---- */

struct definition_services;
struct definition_services *definition_services_new(struct apiserver *s);
void definition_services_free(struct definition_services *ds); /* NULL is fine */
/* Those of the definitions; NULL: not made yet. */
struct definition_services *definitions_services(const struct definitions *d);
/* What is served has changed (s->definitions is there). */
void definition_services_review(struct definition_services *ds);

/* ---- definitions_status.c: pure ---- */

/* The status that a definition should have, with the definition around it; NULL when it has it
 * already. `others`: the definitions that are there. */
const yyjson_val *definitions_status(struct arena *a, const yyjson_val *definition,
                                     const yyjson_val *const *others, size_t n, int64_t now_ms);
bool definitions_established(const yyjson_val *definition);
/* Of a definition about to be marked as deleted: the finalizer and the condition Terminating. */
void definitions_mark_deleted(yyjson_mut_doc *doc, yyjson_mut_val *obj, int64_t now_ms,
                              struct arena *a);

#endif
