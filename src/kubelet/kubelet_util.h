/* kubelet/kubelet_util.h: small helpers of the node agent: owned spans, quantities, signals, files.
 */
#ifndef KUBELET_KUBELET_UTIL_H
#define KUBELET_KUBELET_UTIL_H

#include <sys/types.h>

#include "base/arena.h"
#include "codec/json.h"

struct schema_kind;

/* *dst becomes an owned copy; the old one is freed. An empty src leaves it empty. */
void kubelet_keep(struct span *dst, struct span src);
const struct schema_kind *kubelet_kind(const char *group, const char *kind);
/* "1", "500m", "1Gi" in thousandths; false when malformed or out of range. */
bool kubelet_quantity_milli(struct span text, int64_t *ret);
/* Whole units, rounded up; `otherwise` when absent or malformed. */
int64_t kubelet_quantity_or(const yyjson_val *v, int64_t otherwise);
/* "SIGTERM", "TERM", "15", "SIGRTMIN+3"; `otherwise` when unknown. */
int kubelet_signal(struct span text, int otherwise);
/* 1.5s, 203ms: Go's duration text, rounded as kubelet's events have it. */
struct span kubelet_duration(struct arena *a, int64_t ns);
/* A whole small file (at most max bytes) in arena memory; -errno. Blocking. */
int kubelet_read_file(struct arena *a, const char *path, size_t max, struct span *ret);
/* mkdir -p; -errno. Blocking. */
int kubelet_mkdirs(const char *path, mode_t mode);
/* rm -r that never follows a link and never crosses into a mount; -errno. Blocking. */
int kubelet_remove_tree(const char *path);

#endif
