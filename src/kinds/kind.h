/* kinds/kind.h: what the hooks of several kinds share. */
#ifndef KINDS_KIND_H
#define KINDS_KIND_H

#include "codec/json.h"
#include "schema/engine.h"
#include "schema/hooks.h"

/* The field labels of an Event, of both groups. */
bool kind_field_event(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret);

/* ---- pods, inside sets too ---- */

void pod_spec_defaults(yyjson_mut_doc *doc, yyjson_mut_val *spec);
/* Cross-field rules of a pod spec; extra_volumes: objects with metadata.name whose names may be
 * mounted too. */
void check_pod_spec(struct check *c, const struct path *p, const yyjson_val *spec,
                    const yyjson_val *extra_volumes);
/* The same, of a template: a pod may be looked into, a template may not ask for it. */
void check_template_spec(struct check *c, const struct path *p, const yyjson_val *spec,
                         const yyjson_val *extra_volumes);
/* spec.affinity and spec.topologySpreadConstraints (kind_near.c). */
void check_affinity(struct check *c, const struct path *p, const yyjson_val *affinity);
void check_spread(struct check *c, const struct path *p, const yyjson_val *constraints);
void check_containers(struct check *c, const struct path *p, const yyjson_val *spec,
                      const yyjson_val *extra_volumes);
/* Counts the sources of a volume: members of an object other than its name and the given ones. */
void check_one_source(struct check *c, const struct path *p, const yyjson_val *obj,
                      const char *const *sources, size_t n, const char *what);
void pod_row(struct row *r);
/* kind_pod_status.c, as schema_hooks.validate_status. */
void check_pod_status(struct check *c, const yyjson_val *obj);

/* kind_resources.c: a container's limits and requests. */
void check_resources(struct check *c, const struct path *p, const yyjson_val *resources);
/* The name of something that a container may ask for. */
void check_resource_name(struct check *c, const struct path *p, struct span name);
/* How many requests a pod's containers may name together. */
void check_resource_count(struct check *c, const struct path *p, const yyjson_val *pod_spec);

/* kind_resize.c: a pod's containers may get other resources: which, and how. */
void check_resize(struct check *c, const yyjson_val *obj, const yyjson_val *old);
/* A container's resizePolicy. */
void check_resize_policy(struct check *c, const struct path *p, const yyjson_val *list,
                         const yyjson_val *pod_spec);

/* kind_warn.c: hooks `warn` of pods, of what makes pods of a template, and of sets. */
void kind_warn_pod(struct arena *a, const yyjson_val *obj, struct schema_warnings *w);
void kind_warn_template(struct arena *a, const yyjson_val *obj, struct schema_warnings *w);
void kind_warn_statefulset(struct arena *a, const yyjson_val *obj, struct schema_warnings *w);

/* ---- claims, inside sets too ---- */

/* "RWO,ROX" from access modes. */
struct span short_access_modes(struct arena *a, const yyjson_val *modes);
/* An address that traffic may be sent to: not unspecified, not of the loopback, not link-local.
 * What is no address is nothing here. */
void check_ordinary_ip(struct check *c, const struct path *p, const yyjson_val *v);
void check_claim_spec(struct check *c, const struct path *p, const yyjson_val *spec);

#endif
