/* sim/neighbours_custom.c: a kind of the users' own and its objects, over every crash. What is
 * stored goes when a user asks for it or its definition goes, and then all of it. Checker:
 * custom-kept. */
#include <stdio.h>

#include "client/client_body.h"
#include "schema/custom.h"
#include "schema/kinds.h"
#include "sim/neighbours.h"
#include "sim/platform_priv.h"

enum { OBJECTS = 3 };

#define WIDGETS "widgets.example.com"
#define DEFINITION_KEY SPAN("customresourcedefinitions.apiextensions.k8s.io//" WIDGETS)

static struct span key_of(struct arena *a, int n)
{
    return arena_printf(a, WIDGETS "/default/w%d", n);
}

static void define(struct platform *w)
{
    sim_ask(
        w, SIM_DEED_DEFINE, CLIENT_CREATE, SCHEMA_KIND(CustomResourceDefinition), SPAN_NULL,
        SPAN("{\"kind\":\"CustomResourceDefinition\",\"apiVersion\":\"apiextensions.k8s.io/v1\","
             "\"metadata\":{\"name\":\"" WIDGETS "\"},\"spec\":{\"group\":\"example.com\","
             "\"scope\":\"Namespaced\",\"names\":{\"plural\":\"widgets\",\"singular\":\"widget\","
             "\"kind\":\"Widget\",\"listKind\":\"WidgetList\"},\"versions\":[{\"name\":\"v1\","
             "\"served\":true,\"storage\":true,\"schema\":{\"openAPIV3Schema\":{\"type\":"
             "\"object\",\"properties\":{\"spec\":{\"type\":\"object\",\"properties\":{\"size\":{"
             "\"type\":\"integer\"}}}}}}}]}}"));
}

void custom_act(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct schema_kind widget;
    int n = (int)sim_roll(w, OBJECTS), size = (int)sim_roll(w, 100);
    if (!record_get(w->record, DEFINITION_KEY)) {
        define(w);
        return;
    }
    custom_sketch(a, &widget, SPAN(WIDGETS), SPAN("example.com"), SPAN("v1"), SPAN("Widget"),
                  SPAN("widgets"), true);
    struct span name = arena_printf(a, "w%d", n);
    if (sim_roll(w, 6) == 0) {
        w->custom_asked = ~UINT32_C(0);
        w->custom_going = true;
        sim_ask(w, SIM_DEED_UNDEFINE, CLIENT_DELETE, SCHEMA_KIND(CustomResourceDefinition),
                SPAN(WIDGETS), SPAN_NULL);
        if (w->answered && w->answer != ERR_NONE) {
            w->custom_going = false;
        }
    } else if (!record_get(w->record, key_of(a, n))) {
        sim_ask(w, SIM_DEED_WIDGET, CLIENT_CREATE, &widget, SPAN_NULL,
                arena_printf(a,
                             "{\"kind\":\"Widget\",\"apiVersion\":\"example.com/v1\",\"metadata\":{"
                             "\"name\":\"w%d\"},\"spec\":{\"size\":%d}}",
                             n, size));
    } else if (sim_roll(w, 3) == 0) {
        w->custom_asked |= UINT32_C(1) << n;
        sim_ask(w, SIM_DEED_WIDGET, CLIENT_DELETE, &widget, name, SPAN_NULL);
    } else {
        sim_ask(w, SIM_DEED_WIDGET, CLIENT_PATCH_MERGE, &widget, name,
                arena_printf(a, "{\"spec\":{\"size\":%d}}", size));
    }
}

void custom_on_change(struct platform *w, struct object *old, struct object *now)
{
    struct object *o = now ? now : old;
    struct span rest = object_store_key(o), resource = span_cut(&rest, '/');
    uint64_t n = 0;
    if (!now && span_eq(object_store_key(o), DEFINITION_KEY)) {
        w->custom_going = false;
    }
    if (!span_eq_cstr(resource, WIDGETS) || !span_to_u64(span_from(object_name(o), 1), &n) ||
        n >= OBJECTS) {
        return;
    }
    uint32_t bit = UINT32_C(1) << n;
    if (!now && !(w->custom_asked & bit)) {
        sim_fail(w, "custom-kept", "%.*s goes, and nobody asked", SPAN_ARG(object_name(o)));
    }
    if (!old && !w->custom_going) {
        w->custom_asked &= ~bit; /* another one */
    }
}

const char *custom_at_rest(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct object *definition = record_get(w->record, DEFINITION_KEY);
    for (int n = 0; n < OBJECTS && !definition; n++) {
        if (record_get(w->record, key_of(a, n))) {
            return "an object outlives its definition";
        }
    }
    return definition && object_is_deleting(definition) ? "a definition is being deleted"
           : definition && !client_condition_true(definition, "Established")
               ? "a definition is not served"
               : NULL;
}
