/* schema/status.c: see status.h. */
#include "schema/status.h"

#include "base/check.h"

static const yyjson_val *conditions_of(const yyjson_val *obj)
{
    return json_path(obj, "status", "conditions", NULL);
}

yyjson_val *status_condition(const yyjson_val *obj, const char *type)
{
    assert(type);
    return json_find(conditions_of(obj), "type", span_cstr(type));
}

bool status_condition_true(const yyjson_val *obj, const char *type)
{
    return span_eq_cstr(json_get_str(status_condition(obj, type), "status"), "True");
}

yyjson_mut_val *status_conditions_but(yyjson_mut_doc *doc, const yyjson_val *obj, const char *type)
{
    assert(doc);
    assert(type);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    JSON_EACH(it, conditions_of(obj))
    {
        if (!span_eq_cstr(json_get_str(it.val, "type"), type)) {
            yyjson_mut_arr_append(list, json_mut_copy(doc, it.val));
        }
    }
    return list;
}

yyjson_mut_val *status_condition_new(yyjson_mut_doc *doc, const struct status_condition *c)
{
    assert(c->type);
    assert(c->status.n > 0);
    yyjson_mut_val *to = yyjson_mut_obj(doc);
    json_put_str(doc, to, "type", span_cstr(c->type));
    json_put_str(doc, to, "status", c->status);
    json_put_str(doc, to, "lastTransitionTime", c->since);
    json_put_str(doc, to, "reason", c->reason);
    json_put_str(doc, to, "message", c->message);
    return to;
}

yyjson_mut_val *status_condition_put(yyjson_mut_doc *doc, const yyjson_val *obj,
                                     yyjson_mut_val *status, const struct status_condition *c)
{
    assert(status);
    yyjson_mut_val *list = status_conditions_but(doc, obj, c->type);
    yyjson_mut_val *made = status_condition_new(doc, c);
    yyjson_mut_arr_append(list, made);
    json_put(doc, status, "conditions", list);
    return made;
}

struct span status_phase(const yyjson_val *obj)
{
    return json_str(json_path(obj, "status", "phase", NULL));
}

bool status_phase_ended(struct span phase)
{
    return span_eq_cstr(phase, "Succeeded") || span_eq_cstr(phase, "Failed");
}

bool status_pod_ended(const yyjson_val *pod)
{
    return status_phase_ended(status_phase(pod));
}
