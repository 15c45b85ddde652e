/* kubelet/kubelet_event.c: events about pods and their containers. */
#include <stdarg.h>

#include "base/check.h"
#include "client/client_event.h"
#include "kubelet/kubelet_priv.h"

static struct span field_path(struct arena *a, const struct kubelet_container *c)
{
    return c ? arena_printf(a, "spec.%s{%.*s}", kubelet_container_list(c), SPAN_ARG(c->v->name))
             : SPAN_NULL;
}

void kubelet_event(struct kubelet_pod *pod, const struct kubelet_container *c, enum event_type type,
                   const char *reason, const char *fmt, ...)
{
    assert(reason);
    assert(fmt);
    assert(!c || c->pod == pod);
    if (pod->name.n == 0) {
        return; /* an orphan without a name: nobody could see it */
    }
    struct arena *a cleanup_arena = arena_new();
    va_list ap;
    va_start(ap, fmt);
    /* The API allows 1024 bytes. */
    struct span message = json_clean_text(a, arena_vprintf(a, fmt, ap), 1024);
    va_end(ap);
    struct event_about about = {.kind = kubelet_kind("", "Pod"),
                                .ns = pod->ns,
                                .name = pod->name,
                                .uid = pod->uid,
                                .rev = pod->object ? object_rev(pod->object) : 0,
                                .field_path = field_path(a, c)};
    event_record_about(pod->k->events, &about, type, reason, "%.*s", SPAN_ARG(message));
}
