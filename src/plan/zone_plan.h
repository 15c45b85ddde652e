/* plan/zone_plan.h: the DNS records of one Service, decided from it and its EndpointSlices. PURE.
 * Rules: Kubernetes DNS-based service discovery, schema 1.1.0 (records, SRV targets,
 * publishNotReadyAddresses through the slices' ready condition; host names only where the slice
 * carries one, else the dashed address). IPv4 only: Berth's ranges are. */
#ifndef PLAN_ZONE_PLAN_H
#define PLAN_ZONE_PLAN_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/span.h"

struct zone_record {
    struct span name;   /* lower case, without last dot */
    uint16_t type;      /* DNS_A, DNS_SRV, DNS_PTR, DNS_CNAME */
    uint8_t ip[4];      /* A */
    uint16_t port;      /* SRV; priority is 0, the weight follows from the number of answers */
    struct span target; /* SRV, PTR, CNAME: a name */
};

struct zone_view {
    const yyjson_val *service;       /* the object, or NULL: no records */
    const yyjson_val *const *slices; /* EndpointSlices of the service */
    size_t slice_count;
    struct span domain; /* "cluster.local" */
};

struct zone_plan {
    struct zone_record *records;
    size_t count;
};

void zone_plan(struct arena *a, const struct zone_view *view, struct zone_plan *ret);

#endif
