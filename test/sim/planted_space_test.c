/* Bugs planted around Services and namespaces: the checkers of sim/services.c and sim/spaces.c must
 * see each. */
#include "client/client_body.h"
#include "sim/link.h"
#include "test/kit/kit.h"
#include "test/kit/plant_kit.h"

/* ---- Services ---- */

static void settle_with_service(const struct plant *plant, const char *checker)
{
    struct plant p = *plant;
    struct platform *w = plant_start(&p);
    sim_kit_create(w, 2, "Parallel", "");
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(Service), "",
                "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"redis\"},"
                "\"spec\":{\"clusterIP\":\"None\",\"selector\":{\"app\":\"redis\"},\"ports\":[{"
                "\"port\":80}]}}");
    platform_run_for(w, 5000);
    plant_fine(w);
    platform_settle(w);
    sim_kit_end(w, checker);
}

static bool says_unready(void *data, struct arena *a, struct client_request *rq)
{
    static const char mark[] = "\"ready\":true";
    const char *body = link_body_text(a, rq), *at = strstr(body, mark);
    (void)data;
    if (at && rq->kind == SCHEMA_KIND(EndpointSlice)) {
        rq->body =
            arena_printf(a, "%.*s\"ready\":false%s", (int)(at - body), body, at + sizeof mark - 1);
    }
    return true;
}

static bool forgets_endpoints(void *data, struct arena *a, struct client_request *rq)
{
    (void)data;
    (void)a;
    return rq->kind != SCHEMA_KIND(Endpoints);
}

TEST(service_names_its_pods)
{
    settle_with_service(&(struct plant){0}, NULL);
}

TEST(planted_slice_that_says_unready_breaks_convergence)
{
    settle_with_service(&(struct plant){.hooks.on_request = says_unready}, "convergence");
}

TEST(planted_endpoints_that_are_not_written_break_convergence)
{
    settle_with_service(&(struct plant){.hooks.on_request = forgets_endpoints}, "convergence");
}

/* ---- namespaces ---- */

/* The namespace controller takes what another namespace has. */
static bool takes_from_another(void *data, struct arena *a, struct client_request *rq)
{
    (void)data;
    (void)a;
    if (rq->verb == CLIENT_DELETE && span_eq_cstr(rq->ns, "other") &&
        span_eq_cstr(rq->field_manager, "namespace-controller")) {
        rq->ns = SPAN("default");
    }
    return true;
}

TEST(planted_deletion_in_another_namespace_breaks_namespace_kept)
{
    struct plant p = {.hooks.on_request = takes_from_another};
    struct platform *w = plant_start(&p);
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(Namespace), "",
                "{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"other\"}}");
    platform_run_for(w, 2000);
    plant_fine(w);
    sim_kit_ask(w, CLIENT_DELETE, SCHEMA_KIND(Namespace), "other", "");
    platform_run_for(w, 2000);
    sim_kit_end(w, "namespace-kept");
}

/* A namespace is back under its old name, and the controller still empties the one before. */
static bool empties_the_next_one(void *data, struct arena *a, struct client_request *rq)
{
    const struct plant *p = data;
    (void)a;
    if (!p->off && rq->verb == CLIENT_CREATE && rq->kind == SCHEMA_KIND(ServiceAccount) &&
        span_eq_cstr(rq->ns, "other")) {
        rq->verb = CLIENT_DELETE;
        rq->name = SPAN("default");
        rq->body = SPAN_NULL;
    }
    return true;
}

TEST(planted_deletion_in_a_namespace_that_is_back_breaks_namespace_kept)
{
    static const char other[] =
        "{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"other\"}}";
    struct plant p = {.hooks.on_request = empties_the_next_one, .off = true};
    struct platform *w = plant_start(&p);
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(Namespace), "", other);
    platform_run_for(w, 2000);
    sim_kit_ask(w, CLIENT_DELETE, SCHEMA_KIND(Namespace), "other", "");
    platform_run_for(w, 2000);
    plant_fine(w);
    p.off = false;
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(Namespace), "", other);
    platform_run_for(w, 2000);
    sim_kit_end(w, "namespace-kept");
}

/* Told to go, and does not. */
static bool empties_nothing(void *data, struct arena *a, struct client_request *rq)
{
    (void)data;
    (void)a;
    return rq->verb != CLIENT_DELETE || !span_eq_cstr(rq->field_manager, "namespace-controller");
}

TEST(planted_namespace_that_is_not_emptied_breaks_convergence)
{
    struct plant p = {.hooks.on_request = empties_nothing};
    struct platform *w = plant_start(&p);
    sim_kit_ask(w, CLIENT_CREATE, SCHEMA_KIND(Namespace), "",
                "{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"other\"}}");
    platform_run_for(w, 2000);
    sim_kit_ask(w, CLIENT_DELETE, SCHEMA_KIND(Namespace), "other", "");
    platform_settle(w);
    sim_kit_end(w, "convergence");
}
