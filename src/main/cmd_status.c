/* berth status: reads the API through the control socket and says, on one screen, what is there and
 * what waits. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "codec/json.h"
#include "main/control.h"
#include "main/main.h"
#include "main/options.h"
#include "plan/why_plan.h"

struct world {
    yyjson_val *nodes, *sets, *pods, *claims, *events; /* items of the lists */
};

static yyjson_val *items(yyjson_doc *doc)
{
    return json_get(yyjson_doc_get_root(doc), "items");
}

static int load(struct arena *a, struct span dir, struct world *w, struct span *why)
{
    const struct {
        const char *path;
        yyjson_val **at;
    } lists[] = {{"/api/v1/nodes", &w->nodes},
                 {"/apis/apps/v1/statefulsets", &w->sets},
                 {"/api/v1/pods", &w->pods},
                 {"/api/v1/persistentvolumeclaims", &w->claims},
                 {"/api/v1/events", &w->events}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        yyjson_doc *doc;
        int code = control_get(a, dir, lists[i].path, &doc, why);
        if (code < 0) {
            return code;
        }
        *lists[i].at = items(doc);
    }
    return 0;
}

static struct span meta(const yyjson_val *o, const char *key)
{
    return json_str(json_path(o, "metadata", key, NULL));
}

static yyjson_val *condition(const yyjson_val *o, const char *type)
{
    JSON_EACH(it, json_path(o, "status", "conditions", NULL))
    {
        if (span_eq_cstr(json_get_str(it.val, "type"), type)) {
            return it.val;
        }
    }
    return NULL;
}

static bool is_true(const yyjson_val *cond)
{
    return span_eq(json_get_str(cond, "status"), SPAN("True"));
}

/* Message of the newest event on the object that is a warning, or any when warnings_only is false.
 */
static struct span newest_event(const struct world *w, const yyjson_val *o, bool warnings_only)
{
    struct span best = SPAN_NULL, best_time = SPAN("");
    JSON_EACH(it, w->events)
    {
        yyjson_val *about = json_get(it.val, "involvedObject");
        struct span when = json_get_str(it.val, "lastTimestamp");
        bool warning = span_eq(json_get_str(it.val, "type"), SPAN("Warning"));
        if (span_eq(json_get_str(about, "uid"), meta(o, "uid")) && (warning || !warnings_only) &&
            span_cmp(when, best_time) >= 0) {
            best = json_get_str(it.val, "message");
            best_time = when;
        }
    }
    return best;
}

static bool owned_by(const yyjson_val *pod, struct span uid)
{
    JSON_EACH(it, json_path(pod, "metadata", "ownerReferences", NULL))
    {
        if (span_eq(json_get_str(it.val, "uid"), uid)) {
            return true;
        }
    }
    return false;
}

static const char *pod_word(const yyjson_val *pod)
{
    if (json_path(pod, "metadata", "deletionTimestamp", NULL)) {
        return "ending";
    }
    if (is_true(condition(pod, "Ready"))) {
        return "ready";
    }
    struct span phase = json_str(json_path(pod, "status", "phase", NULL));
    return span_eq(phase, SPAN("Running"))     ? "not ready"
           : span_eq(phase, SPAN("Failed"))    ? "failed"
           : span_eq(phase, SPAN("Succeeded")) ? "finished"
                                               : "starting";
}

static void print_node(const struct world *w)
{
    JSON_EACH(it, w->nodes)
    {
        yyjson_val *ready = condition(it.val, "Ready");
        (void)printf("node %.*s  %s  %zu pods%s%.*s\n", SPAN_ARG(meta(it.val, "name")),
                     is_true(ready) ? "Ready" : "NotReady", json_len(w->pods),
                     is_true(ready) ? "" : "  ",
                     SPAN_ARG(is_true(ready) ? SPAN("") : json_get_str(ready, "message")));
    }
}

struct ordinal {
    int64_t number;
    const char *word;
};

static int by_number(const void *x, const void *y)
{
    const struct ordinal *a = x, *b = y;
    return a->number < b->number ? -1 : a->number > b->number;
}

static void print_set(struct arena *a, const struct world *w, const yyjson_val *set)
{
    struct ordinal *list = ARENA_ARRAY(a, struct ordinal, json_len(w->pods) + 1);
    size_t n = 0;
    JSON_EACH(it, w->pods)
    {
        struct span name = meta(it.val, "name");
        struct span tail = span_from(name, span_rfind(name, '-') + 1);
        if (owned_by(it.val, meta(set, "uid")) && span_to_i64(tail, &list[n].number)) {
            list[n++].word = pod_word(it.val);
        }
    }
    qsort(list, n, sizeof *list, by_number);
    (void)printf("set %.*s/%.*s  %lld/%lld ready ", SPAN_ARG(meta(set, "namespace")),
                 SPAN_ARG(meta(set, "name")),
                 (long long)json_int(json_path(set, "status", "readyReplicas", NULL), 0),
                 (long long)json_int(json_path(set, "spec", "replicas", NULL), 1));
    for (size_t i = 0; i < n; i++) {
        (void)printf("  %lld %s", (long long)list[i].number, list[i].word);
    }
    (void)printf("\n");
}

static yyjson_val *claim_named(const struct world *w, struct span ns, struct span name)
{
    JSON_EACH(it, w->claims)
    {
        if (span_eq(meta(it.val, "name"), name) && span_eq(meta(it.val, "namespace"), ns)) {
            return it.val;
        }
    }
    return NULL;
}

/* Why a pod is not Ready, in words. */
static struct span pod_reason(struct arena *a, const struct world *w, const yyjson_val *pod)
{
    yyjson_val *volumes = json_path(pod, "spec", "volumes", NULL);
    struct why_claim *claims = ARENA_ARRAY(a, struct why_claim, json_len(volumes) + 1);
    size_t n = 0;
    JSON_EACH(it, volumes)
    {
        struct span name = json_str(json_path(it.val, "persistentVolumeClaim", "claimName", NULL));
        if (name.n) {
            claims[n++] = (struct why_claim){name, claim_named(w, meta(pod, "namespace"), name)};
        }
    }
    struct why why = why_pod(a, pod, claims, n, 0);
    bool told = !span_eq_cstr(span_cstr(why.reason), "PodStarting");
    struct span warning = told ? SPAN_NULL : newest_event(w, pod, true);
    return warning.n ? arena_printf(a, "%.*s: %.*s", SPAN_ARG(why.text), SPAN_ARG(warning))
                     : why.text;
}

static void print_waiting(struct arena *a, const struct world *w)
{
    bool any = false;
    JSON_EACH(it, w->sets)
    {
        yyjson_val *available = condition(it.val, "Available");
        yyjson_val *progressing = condition(it.val, "Progressing");
        bool done = span_ends(json_get_str(progressing, "reason"), SPAN("Complete"));
        if (available && (!is_true(available) || !done)) {
            (void)printf(
                "%sset %.*s/%.*s: %.*s\n", any ? "" : "\nwaiting:\n",
                SPAN_ARG(meta(it.val, "namespace")), SPAN_ARG(meta(it.val, "name")),
                SPAN_ARG(json_get_str(is_true(available) ? progressing : available, "message")));
            any = true;
        }
    }
    JSON_EACH(it, w->pods)
    {
        struct span phase = json_str(json_path(it.val, "status", "phase", NULL));
        if (is_true(condition(it.val, "Ready")) || span_eq(phase, SPAN("Succeeded"))) {
            continue;
        }
        (void)printf("%spod %.*s/%.*s is %s: %.*s\n", any ? "" : "\nwaiting:\n",
                     SPAN_ARG(meta(it.val, "namespace")), SPAN_ARG(meta(it.val, "name")),
                     pod_word(it.val), SPAN_ARG(pod_reason(a, w, it.val)));
        any = true;
    }
    JSON_EACH(it, w->claims)
    {
        struct span phase = json_str(json_path(it.val, "status", "phase", NULL));
        if (span_eq(phase, SPAN("Bound"))) {
            continue;
        }
        (void)printf("%sclaim %.*s/%.*s is %.*s: %.*s\n", any ? "" : "\nwaiting:\n",
                     SPAN_ARG(meta(it.val, "namespace")), SPAN_ARG(meta(it.val, "name")),
                     SPAN_ARG(phase), SPAN_ARG(why_claim(a, it.val)));
        any = true;
    }
    if (!any) {
        (void)printf("\nnothing waits\n");
    }
}

int cmd_status(int argc, char **argv)
{
    struct arena *a cleanup_arena = arena_new();
    struct options o;
    int code = options_parse(a, OPTIONS_COMMON, "status", argc, argv, &o);
    if (code != 0) {
        return code < 0 ? 2 : 0;
    }
    struct world w = {0};
    struct span why = SPAN_NULL;
    if (load(a, o.data_dir, &w, &why) < 0) {
        (void)fprintf(stderr, "berth status: %.*s\n", SPAN_ARG(why));
        return 1;
    }
    (void)printf("berth %s on %.*s\n", BERTH_VERSION, SPAN_ARG(o.data_dir));
    print_node(&w);
    JSON_EACH(it, w.sets)
    {
        print_set(a, &w, it.val);
    }
    print_waiting(a, &w);
    return 0;
}
