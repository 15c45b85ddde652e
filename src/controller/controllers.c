/* controller/controllers.c: see controllers.h. */
#include "controller/controllers.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "controller/controller.h"
#include "controller/reconciler.h"

/* In the order in which they are made and start; they end in the opposite one. */
static const struct controller_type *const all[] = {
    &controller_statefulset, &controller_replicaset, &controller_replication,
    &controller_deployment,  &controller_daemonset,  &controller_job,
    &controller_cronjob,     &controller_disruption, &controller_endpoint,
    &controller_claim,       &controller_gc,         &controller_namespace,
    &controller_node,        &controller_taint,      &controller_scheduler,
    &controller_role,        &controller_account,
};
enum { TYPES = sizeof all / sizeof all[0] };

struct controllers {
    struct informer_set *informers;
    struct list reconcilers;
    bool own_informers, running;
    void *at[TYPES]; /* NULL: not wanted */
};

static bool is_wanted(const struct controller_type *type, const struct controllers_options *options)
{
    if (options->only) {
        for (size_t i = 0; options->only[i]; i++) {
            if (options->only[i] == type) {
                return true;
            }
        }
        return false;
    }
    return !(type == &controller_node && options->no_node_controller) &&
           !(type == &controller_scheduler && options->no_scheduler);
}

static void start(void *data)
{
    struct controllers *c = data;
    c->running = true;
    reconcilers_start(&c->reconcilers);
    log_event(LOG_INFO, "controllers_running");
}

struct controllers *controllers_new(struct env *env, struct client *client,
                                    const struct controllers_options *options)
{
    assert(env);
    assert(client);
    assert(options);
    struct controllers *c = MEM_NEW(struct controllers);
    list_init(&c->reconcilers);
    c->own_informers = !options->informers;
    c->informers = options->informers ? options->informers : informer_set_new(client);
    struct controller_place place = {env, client, c->informers, options, &c->reconcilers};
    for (size_t i = 0; i < TYPES; i++) {
        c->at[i] = is_wanted(all[i], options) ? all[i]->make(&place) : NULL;
    }
    informer_set_on_synced(c->informers, start, c);
    return c;
}

void controllers_free(struct controllers *c)
{
    if (!c) {
        return;
    }
    if (c->own_informers) {
        reconcilers_let_go(&c->reconcilers);
    }
    for (size_t i = TYPES; i-- > 0;) {
        if (c->at[i]) {
            all[i]->end(c->at[i]);
        }
    }
    if (c->own_informers) {
        informer_set_free(c->informers);
    }
    free(c);
}

struct informer_set *controllers_informers(struct controllers *c)
{
    assert(c->informers);
    return c->informers;
}

bool controllers_running(const struct controllers *c)
{
    assert(c);
    return c->running;
}
