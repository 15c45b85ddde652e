#include "test/kit/plant_kit.h"

#include <string.h>

#include "base/arena.h"
#include "client/client_body.h"
#include "test/kit/kit.h"

struct platform *plant_start(struct plant *p)
{
    p->hooks.data = p;
    return sim_kit_start(7, &p->hooks);
}

void plant_fine(struct platform *w)
{
    const char *story = NULL, *is = platform_violation(w, &story);
    if (is) {
        kit_note("%s: %s", is, story);
    }
    CHECK(!is);
}

struct object *plant_shown(void *data, struct object *o)
{
    struct plant *p = data;
    struct arena *a cleanup_arena = arena_new();
    struct span kind = json_get_str(object_root(o), "kind"), parts[2];
    if (p->off || !span_eq_cstr(kind, p->kind->kind)) {
        return NULL;
    }
    object_body_parts(o, parts);
    const char *body = arena_printf(a, "%.*s%.*s", SPAN_ARG(parts[0]), SPAN_ARG(parts[1])).p;
    const char *at = strstr(body, p->from);
    if (!at) {
        return NULL;
    }
    return object_new(
        object_store_key(o), object_rev(o),
        arena_printf(a, "%.*s%s%s", (int)(at - body), body, p->to, at + strlen(p->from)));
}

bool plant_is_from(const struct client_request *rq, enum client_verb verb, const char *who)
{
    return rq->verb == verb && rq->kind == SCHEMA_KIND(Pod) && rq->subresource.n == 0 &&
           span_eq_cstr(rq->field_manager, who);
}
