/* kinds/kind_view.c: kinds that show the objects of another kind: events of the newer group, and
 * the first version of autoscalers. */
#include "base/check.h"
#include "kinds/kind.h"

/* ---- events ---- */

static const char *const event_names[][2] = {{"reportingController", "reportingComponent"},
                                             {"regarding", "involvedObject"},
                                             {"note", "message"},
                                             {"deprecatedSource", "source"},
                                             {"deprecatedFirstTimestamp", "firstTimestamp"},
                                             {"deprecatedLastTimestamp", "lastTimestamp"},
                                             {"deprecatedCount", "count"}};

static void rename_members(yyjson_mut_doc *doc, yyjson_mut_val *obj, size_t from)
{
    for (size_t i = 0; i < sizeof event_names / sizeof *event_names; i++) {
        yyjson_mut_val *v = json_mut_get(obj, event_names[i][from]);
        if (v) {
            v = yyjson_mut_val_mut_copy(doc, v);
            json_remove(obj, event_names[i][from]);
            json_put(doc, obj, event_names[i][1 - from], v);
        }
    }
}

static void event_from_stored(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    rename_members(doc, obj, 1);
}

static void event_to_stored(yyjson_mut_doc *doc, yyjson_mut_val *obj, const yyjson_val *old)
{
    (void)old;
    rename_members(doc, obj, 0);
}

/* Of the stored form, under the names of this one. */
static bool event_field(struct arena *a, const yyjson_val *obj, struct span key, struct span *ret)
{
    const struct span about = SPAN("regarding.");
    if (span_starts(key, about)) {
        key = arena_printf(a, "involvedObject.%.*s", SPAN_ARG(span_from(key, about.n)));
    } else if (span_eq(key, SPAN("reportingController"))) {
        key = SPAN("reportingComponent");
    } else if (!span_eq(key, SPAN("reason")) && !span_eq(key, SPAN("type"))) {
        return kind_field_metadata(a, obj, key, ret);
    }
    return kind_field_event(a, obj, key, ret);
}

const struct schema_hooks schema_hooks_events_event = {
    .from_stored = event_from_stored, .to_stored = event_to_stored, .field = event_field};

/* ---- autoscalers ---- */

/* The percentage of requested CPU among the metrics, the only one that version 1 knows; list: of
 * metrics as stored. */
static bool is_cpu(yyjson_mut_val *metric)
{
    yyjson_mut_val *resource = json_mut_get(metric, "resource");
    struct span type = json_mut_str(json_mut_get(json_mut_get(resource, "target"), "type"));
    return span_eq(json_mut_str(json_mut_get(metric, "type")), SPAN("Resource")) &&
           span_eq(json_mut_str(json_mut_get(resource, "name")), SPAN("cpu")) &&
           (type.n == 0 || span_eq(type, SPAN("Utilization")));
}

static void take_percentage(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key,
                            yyjson_mut_val *metrics, const char *from)
{
    size_t i, n;
    yyjson_mut_val *one;
    yyjson_mut_arr_foreach(metrics, i, n, one)
    {
        yyjson_mut_val *percent =
            json_mut_get(json_mut_get(json_mut_get(one, "resource"), from), "averageUtilization");
        if (is_cpu(one) && percent) {
            json_put_int(doc, to, key, yyjson_mut_get_sint(percent));
            return;
        }
    }
}

static void hpa_from_stored(yyjson_mut_doc *doc, yyjson_mut_val *obj)
{
    yyjson_mut_val *spec = json_mut_get(obj, "spec"), *status = json_mut_get(obj, "status");
    take_percentage(doc, spec, "targetCPUUtilizationPercentage", json_mut_get(spec, "metrics"),
                    "target");
    take_percentage(doc, status, "currentCPUUtilizationPercentage",
                    json_mut_get(status, "currentMetrics"), "current");
    json_remove(spec, "metrics");
    json_remove(spec, "behavior");
    json_remove(status, "currentMetrics");
    json_remove(status, "conditions");
}

static yyjson_mut_val *cpu_metric(yyjson_mut_doc *doc, const char *member, int64_t percent)
{
    yyjson_mut_val *metric = yyjson_mut_obj(doc);
    json_put_str(doc, metric, "type", SPAN("Resource"));
    yyjson_mut_val *resource = json_mut_obj(doc, metric, "resource");
    json_put_str(doc, resource, "name", SPAN("cpu"));
    yyjson_mut_val *value = json_mut_obj(doc, resource, member);
    if (strcmp(member, "target") == 0) {
        json_put_str(doc, value, "type", SPAN("Utilization"));
    }
    json_put_int(doc, value, "averageUtilization", percent);
    return metric;
}

/* The percentage first, then all that is stored but version 1 cannot say. */
static void put_metrics(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key,
                        const char *percentage, const char *member, const yyjson_val *old)
{
    yyjson_mut_val *percent = json_mut_get(to, percentage), *list = yyjson_mut_arr(doc);
    if (percent) {
        (void)yyjson_mut_arr_append(list, cpu_metric(doc, member, yyjson_mut_get_sint(percent)));
    }
    JSON_EACH(it, old)
    {
        yyjson_mut_val *metric = json_mut_copy(doc, it.val);
        if (!is_cpu(metric)) {
            (void)yyjson_mut_arr_append(list, metric);
        }
    }
    json_remove(to, percentage);
    if (yyjson_mut_arr_size(list) > 0) {
        json_put(doc, to, key, list);
    }
}

static void hpa_to_stored(yyjson_mut_doc *doc, yyjson_mut_val *obj, const yyjson_val *old)
{
    static const char *const kept[][2] = {{"spec", "behavior"}, {"status", "conditions"}};
    yyjson_mut_val *spec = json_mut_obj(doc, obj, "spec"), *status = json_mut_get(obj, "status");
    if (spec) {
        put_metrics(doc, spec, "metrics", "targetCPUUtilizationPercentage", "target",
                    json_path(old, "spec", "metrics", NULL));
    }
    if (status) {
        put_metrics(doc, status, "currentMetrics", "currentCPUUtilizationPercentage", "current",
                    json_path(old, "status", "currentMetrics", NULL));
    }
    for (size_t i = 0; i < 2; i++) {
        yyjson_mut_val *part = json_mut_get(obj, kept[i][0]);
        const yyjson_val *v = json_get(json_get(old, kept[i][0]), kept[i][1]);
        if (part && v) {
            json_put(doc, part, kept[i][1], json_mut_copy(doc, v));
        }
    }
}

const struct schema_hooks schema_hooks_hpa_v1 = {
    .from_stored = hpa_from_stored, .to_stored = hpa_to_stored, .field = kind_field_metadata};
