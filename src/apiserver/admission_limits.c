/* What LimitRanges of a namespace give to its pods and forbid to its pods and claims. A server
 * without any pays one look at a number. */
#include "apiserver/admission.h"
#include "apiserver/quota.h"
#include "apiserver/server.h"
#include "base/check.h"
#include "plan/limit_plan.h"
#include "schema/kinds.h"
#include "watch/watch.h"

/* The ranges of op's namespace in the order of their names; fn returns false to stop. */
static void each_range(struct api_op *op, bool (*fn)(void *data, struct object *o), void *data)
{
    struct watch_filter ranges = {.resource = span_cstr(SCHEMA_KIND(LimitRange)->resource),
                                  .ns = op->ns};
    assert(op->ns.n > 0);
    if (watch_hub_count(op->server->hub, ranges.resource) > 0) {
        (void)watch_hub_list(op->server->hub, &ranges, SPAN_NULL, fn, data);
    }
}

struct defaulting {
    struct api_op *op;
    yyjson_mut_doc *doc;
    yyjson_mut_val *pod;
};

static bool give(void *data, struct object *range)
{
    struct defaulting *x = data;
    limit_defaults(x->op->arena, x->doc, x->pod, object_root(range));
    return true;
}

void admission_limits_default(struct api_op *op, yyjson_mut_doc *doc, yyjson_mut_val *pod)
{
    assert(doc);
    assert(pod);
    struct defaulting x = {op, doc, pod};
    each_range(op, give, &x);
}

int admission_forbid(struct api_op *op, const yyjson_val *obj, struct span why)
{
    assert(why.n > 0);
    struct span prefix = json_str(json_path(obj, "metadata", "generateName", NULL));
    return api_op_forbidden(op, admission_called(op, prefix), why);
}

struct bounding {
    struct api_op *op;
    const yyjson_val *obj;
    struct span refusal;
};

static bool bound(void *data, struct object *range)
{
    struct bounding *x = data;
    x->refusal = (x->op->kind == SCHEMA_KIND(Pod) ? limit_refuses_pod : limit_refuses_claim)(
        x->op->arena, object_root(range), x->obj);
    return x->refusal.n == 0;
}

/* Of what exists only a change of its resources is looked at: a claim that is out of bounds since
 * they are others still gets its volume and its labels. */
static bool is_bounded(const struct api_op *op, const yyjson_val *obj, const yyjson_val *old)
{
    if (op->kind == SCHEMA_KIND(Pod)) {
        return !old || api_sub_is(op, "resize");
    }
    return op->kind == SCHEMA_KIND(PersistentVolumeClaim) &&
           (!old || (!json_path(old, "metadata", "deletionTimestamp", NULL) &&
                     !json_equal(json_path(obj, "spec", "resources", NULL),
                                 json_path(old, "spec", "resources", NULL))));
}

int admission_final(struct api_op *op, const yyjson_val *obj, const yyjson_val *old)
{
    assert(obj);
    struct bounding x = {.op = op, .obj = obj};
    if (is_bounded(op, obj, old)) {
        each_range(op, bound, &x);
    }
    return x.refusal.n == 0 ? quotas_admit(op, obj, old) : admission_forbid(op, obj, x.refusal);
}
