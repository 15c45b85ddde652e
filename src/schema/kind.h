/* schema/kind.h: what the hook files (kind_*.c) share. Internal to schema/. */
#ifndef SCHEMA_KIND_H
#define SCHEMA_KIND_H

#include "codec/json.h"
#include "schema/engine.h"
#include "schema/schema.h"

/* One object of hooks a kind; the `hooks=` option of its row names it. */
extern const struct schema_hooks schema_hooks_plain, schema_hooks_pod, schema_hooks_service,
    schema_hooks_endpoints, schema_hooks_endpointslice, schema_hooks_namespace,
    schema_hooks_configmap, schema_hooks_secret, schema_hooks_event, schema_hooks_serviceaccount,
    schema_hooks_node, schema_hooks_volume, schema_hooks_claim, schema_hooks_statefulset,
    schema_hooks_revision, schema_hooks_storageclass, schema_hooks_deployment,
    schema_hooks_replicaset, schema_hooks_daemonset, schema_hooks_lease, schema_hooks_binding,
    schema_hooks_podtemplate, schema_hooks_rc, schema_hooks_limitrange, schema_hooks_quota,
    schema_hooks_job, schema_hooks_cronjob, schema_hooks_pdb, schema_hooks_role,
    schema_hooks_rolebinding, schema_hooks_priority, schema_hooks_netpol, schema_hooks_ingress,
    schema_hooks_hpa, schema_hooks_webhooks, schema_hooks_csidriver, schema_hooks_csr,
    schema_hooks_events_event, schema_hooks_hpa_v1, schema_hooks_definition,
    schema_hooks_apiservice;

/* ---- field selectors ---- */

/* metadata.name and metadata.namespace, which every kind has. */
bool kind_field_metadata(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret);
/* Also the paths in `keys` (NULL terminated, "spec.nodeName"); numbers and booleans as text. */
bool kind_field(struct arena *a, const yyjson_val *obj, struct span key, const char *const *keys,
                struct span *ret);
/* The field labels of a core/v1 Event. */
bool kind_field_event(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret);

/* ---- table cells ---- */

struct row {
    struct arena *a;
    yyjson_mut_doc *doc;
    yyjson_mut_val *cells;
    const yyjson_val *obj;
    int64_t now_ms;
};

void cell(struct row *r, struct span text);
/* <none> when empty. */
void cell_or_none(struct row *r, struct span text);
void cell_int(struct row *r, int64_t n);
void cell_name(struct row *r);
void cell_age(struct row *r);
/* Member `key` of each element, joined by commas. */
struct span joined(struct arena *a, const yyjson_val *list, const char *key);
/* "RWO,ROX" from access modes. */
struct span short_access_modes(struct arena *a, const yyjson_val *modes);

/* ---- pods, inside sets too ---- */

void pod_spec_defaults(yyjson_mut_doc *doc, yyjson_mut_val *spec);
/* Cross-field rules of a pod spec; extra_volumes: objects with metadata.name whose names may be
 * mounted too. */
void check_pod_spec(struct check *c, const struct path *p, const yyjson_val *spec,
                    const yyjson_val *extra_volumes);
/* The same, of a template: a pod may be looked into, a template may not ask for it. */
void check_template_spec(struct check *c, const struct path *p, const yyjson_val *spec,
                         const yyjson_val *extra_volumes);
void check_containers(struct check *c, const struct path *p, const yyjson_val *spec,
                      const yyjson_val *extra_volumes);
/* Counts the sources of a volume: members of an object other than its name and the given ones. */
void check_one_source(struct check *c, const struct path *p, const yyjson_val *obj,
                      const char *const *sources, size_t n, const char *what);
void pod_row(struct row *r);

/* kind_resize.c: a pod's containers may get other resources: which, and how. */
void check_resize(struct check *c, const yyjson_val *obj, const yyjson_val *old);
/* A container's resizePolicy. */
void check_resize_policy(struct check *c, const struct path *p, const yyjson_val *list,
                         const yyjson_val *pod_spec);

/* ---- claims, inside sets too ---- */

void check_claim_spec(struct check *c, const struct path *p, const yyjson_val *spec);

/* Equal but for members in `except` (NULL terminated). */
bool equal_except(const yyjson_val *a, const yyjson_val *b, const char *const *except);

#endif
