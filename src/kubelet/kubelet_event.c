/* kubelet/kubelet_event.c: events about pods. The same event again within a while raises its count
 * instead of adding one. */
#include <stdarg.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "codec/time.h"
#include "kubelet/kubelet_priv.h"

/* What was told, so that a repetition counts up. Bounded: the oldest goes. */
struct told {
    struct list link;
    struct kubelet *k;
    char *key; /* pod uid, container, reason, message */
    char *ns, *name;
    int64_t count, last_ms;
};

enum { TOLD_MAX = 512 };

static void told_free(struct told *t)
{
    list_remove(&t->link);
    free(t->key);
    free(t->ns);
    free(t->name);
    free(t);
}

void kubelet_events_done(struct kubelet *k)
{
    LIST_EACH(l, &k->events)
    {
        told_free(CONTAINER_OF(l, struct told, link));
    }
}

static struct told *told_find(struct kubelet *k, struct span key, int64_t now_ms)
{
    size_t n = 0;
    struct told *found = NULL;
    LIST_EACH(l, &k->events)
    {
        struct told *t = CONTAINER_OF(l, struct told, link);
        n++;
        if (now_ms - t->last_ms > (int64_t)LIMIT_EVENT_TTL_S * 1000 / 2) {
            told_free(t);
        } else if (span_eq(span_cstr(t->key), key)) {
            found = t;
        }
    }
    if (n > TOLD_MAX && !list_is_empty(&k->events)) {
        struct told *oldest = CONTAINER_OF(k->events.next, struct told, link);
        if (oldest != found) {
            told_free(oldest);
        }
    }
    return found;
}

static void count_up(struct kubelet *k, struct told *t, struct span now_text)
{
    struct arena *a cleanup_arena = arena_new();
    t->count++;
    struct span body = arena_printf(a, "{\"count\":%lld,\"lastTimestamp\":\"%.*s\"}",
                                    (long long)t->count, SPAN_ARG(now_text));
    client_do(k->client,
              &(struct client_request){CLIENT_REQUEST_INIT, .verb = CLIENT_PATCH_MERGE,
                                       .kind = kubelet_kind("", "Event"), .ns = span_cstr(t->ns),
                                       .name = span_cstr(t->name), .body = body,
                                       .field_manager = SPAN("kubelet")},
              NULL, NULL);
}

static struct span field_path(struct arena *a, const struct kubelet_container *c)
{
    return c ? arena_printf(a, "spec.%s{%.*s}", kubelet_container_list(c), SPAN_ARG(c->v->name))
             : SPAN_NULL;
}

static struct span event_json(struct kubelet_pod *pod, const struct kubelet_container *c,
                              struct arena *a, struct span name, const char *type,
                              const char *reason, struct span message, struct span now_text)
{
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    json_put_str(doc, root, "kind", SPAN("Event"));
    json_put_str(doc, root, "apiVersion", SPAN("v1"));
    yyjson_mut_val *meta = json_mut_obj(doc, root, "metadata");
    json_put_str(doc, meta, "name", name);
    json_put_str(doc, meta, "namespace", pod->ns);
    yyjson_mut_val *about = json_mut_obj(doc, root, "involvedObject");
    json_put_str(doc, about, "kind", SPAN("Pod"));
    json_put_str(doc, about, "namespace", pod->ns);
    json_put_str(doc, about, "name", pod->name);
    json_put_str(doc, about, "uid", pod->uid);
    json_put_str(doc, about, "apiVersion", SPAN("v1"));
    if (pod->object) {
        json_put_str(doc, about, "resourceVersion",
                     arena_printf(a, "%lld", (long long)object_rev(pod->object)));
    }
    if (c) {
        json_put_str(doc, about, "fieldPath", field_path(a, c));
    }
    json_put_str(doc, root, "reason", span_cstr(reason));
    json_put_str(doc, root, "message", message);
    yyjson_mut_val *source = json_mut_obj(doc, root, "source");
    json_put_str(doc, source, "component", SPAN("kubelet"));
    json_put_str(doc, source, "host", pod->k->options.node_name);
    json_put_str(doc, root, "firstTimestamp", now_text);
    json_put_str(doc, root, "lastTimestamp", now_text);
    json_put_int(doc, root, "count", 1);
    json_put_str(doc, root, "type", span_cstr(type));
    json_put_str(doc, root, "reportingComponent", SPAN("kubelet"));
    json_put_str(doc, root, "reportingInstance", pod->k->options.node_name);
    return json_write_mut(a, root);
}

void kubelet_event(struct kubelet_pod *pod, const struct kubelet_container *c, const char *type,
                   const char *reason, const char *fmt, ...)
{
    struct kubelet *k = pod->k;
    struct arena *a cleanup_arena = arena_new();
    va_list ap;
    va_start(ap, fmt);
    /* The API allows 1024 bytes. */
    struct span message = json_clean_text(a, arena_vprintf(a, fmt, ap), 1024);
    va_end(ap);
    if (pod->name.n == 0) {
        return; /* an orphan without a name: nobody could see it */
    }
    int64_t now = env_now_ms(k->env);
    struct span now_text = time_format(a, now);
    struct span key = arena_printf(a, "%.*s %.*s %s %.*s", SPAN_ARG(pod->uid),
                                   SPAN_ARG(field_path(a, c)), reason, SPAN_ARG(message));
    struct told *t = told_find(k, key, now);
    if (t) {
        t->last_ms = now;
        count_up(k, t, now_text);
        return;
    }
    struct span name = arena_printf(a, "%.*s.%016llx", SPAN_ARG(span_first(pod->name, 230)),
                                    (unsigned long long)env_random_u64(k->env));
    t = MEM_NEW(struct told);
    t->k = k;
    t->key = mem_strdup(key.p);
    t->ns = mem_strdup(arena_cstr(a, pod->ns));
    t->name = mem_strdup(name.p);
    t->count = 1;
    t->last_ms = now;
    list_push_back(&k->events, &t->link);
    client_do(k->client,
              &(struct client_request){
                  CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE, .kind = kubelet_kind("", "Event"),
                  .ns = pod->ns,
                  .body = event_json(pod, c, a, name, type, reason, message, now_text),
                  .field_manager = SPAN("kubelet")},
              NULL, NULL);
}
