/* front/metrics.h: what clients asked for and how long it took, under the names that
 * kube-apiserver gives them, so that dashboards made for Kubernetes show Berth.
 *
 * One entry for each (resource, subresource, verb, scope) that was ever asked for: bounded by the
 * kinds there are, since unknown paths count as no resource. */
#ifndef FRONT_METRICS_H
#define FRONT_METRICS_H

#include "base/histogram.h"
#include "base/map.h"
#include "base/strbuf.h"
#include "schema/schema.h"

enum { METRIC_CODES = 20 };

struct metrics {
    struct map entries; /* struct metric_entry, by its labels */
    struct map events;  /* struct metric_events, by theirs */
    struct strbuf key;  /* scratch */
};

struct metric_request {
    const char *verb; /* "GET", "LIST", "WATCH", "POST", "PUT", "PATCH", "APPLY", .. */
    const struct schema_kind *kind; /* NULL: a path that is no resource */
    const char *subresource;        /* or "" */
    const char *scope;              /* "resource", "namespace", "cluster" or "" */
    int code;                       /* HTTP status; rare ones count as their hundred */
};

void metrics_done(struct metrics *m);
/* Counts a request that took so long. took_ns negative: it is counted and not timed (streams). What
 * is returned lives as long as m. */
struct metric_entry *metrics_count(struct metrics *m, const struct metric_request *r,
                                   int64_t took_ns);
/* The answer to such a request was so long. */
void metrics_size(struct metric_entry *e, size_t bytes);
/* Of the watches of a kind; lives as long as m. */
struct metric_events *metrics_events(struct metrics *m, const struct schema_kind *kind);
void metrics_event(struct metric_events *e, size_t bytes);
/* Appends a request that lasts (a watch, an exec): +1 at its start, -1 at its end. */
void metrics_running(struct metrics *m, const struct metric_request *r, int change);
/* apiserver_request_total, _request_duration_seconds, _request_sli_duration_seconds,
 * _response_sizes, _longrunning_requests, _watch_events_total and _watch_events_sizes in
 * Prometheus' text format. */
void metrics_put(const struct metrics *m, struct strbuf *out);

#endif
