/* apiserver/meta.h: the members of metadata that the server owns: uid, times, generation,
 * finalizers, generated names. */
#ifndef APISERVER_META_H
#define APISERVER_META_H

#include "codec/json.h"
#include "env/env.h"
#include "schema/schema.h"

/* A random version 4 UUID. */
struct span meta_uid(struct arena *a, struct env *env);
/* base (cut to 58 bytes) and five random characters that make no words. */
struct span meta_generate_name(struct arena *a, struct env *env, struct span base);
/* Kinds whose objects count their spec changes in metadata.generation. */
bool meta_has_generation(const struct schema_kind *kind);
/* Does the generation grow? That of a PriorityClass stays at 1. */
bool meta_counts_changes(const struct schema_kind *kind);

/* Sets the members of a new object: name is there already. */
void meta_create(yyjson_mut_doc *doc, yyjson_mut_val *obj, const struct schema_kind *kind,
                 struct arena *a, struct env *env);
/* Takes away what is put there at each write: resourceVersion, managedFields, selfLink. */
void meta_drop_versions(yyjson_mut_val *meta);
bool meta_is_version(struct span key); /* one of those */
/* Carries over what a client cannot change from the stored object. */
void meta_update(yyjson_mut_doc *doc, yyjson_mut_val *obj, const yyjson_val *old);
/* True when anything but metadata and status differs. */
bool meta_spec_changed(const struct schema_kind *kind, const yyjson_val *obj,
                       const yyjson_val *old);
/* Equal but for metadata.resourceVersion and managedFields. */
bool meta_equal(const yyjson_val *obj, const yyjson_val *old);
void meta_bump_generation(yyjson_mut_doc *doc, yyjson_mut_val *obj, const yyjson_val *old);

bool meta_has_finalizer(const yyjson_mut_val *obj, const char *name);
void meta_add_finalizer(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *name);
void meta_remove_finalizer(yyjson_mut_val *obj, const char *name);
size_t meta_finalizer_count(const yyjson_mut_val *obj);

#endif
