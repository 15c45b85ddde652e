/* controller/account_controller.c: Secrets with a token of an account go when the account goes. The
 * API server itself fills them (its admission), so all that is left to do is to delete those whose
 * account is not there, or is another of the same name. Before a Secret is deleted the account is
 * asked for once more: the views of two kinds may be of different moments. */
#include "controller/controller.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "client/client_body.h"
#include "controller/reconciler.h"
#include "schema/kinds.h"

struct account_controller {
    struct reconciler *reconciler;
    struct informer *accounts, *secrets;
    int by_account; /* of secrets: NAMESPACE/ACCOUNT */
};

static struct span note(struct object *secret, const char *key)
{
    return json_str(json_path(client_meta(secret), "annotations", key, NULL));
}

/* The account that the Secret is about; empty: none. */
static struct span account_of(struct object *secret)
{
    return span_eq(json_get_str(object_root(secret), "type"),
                   SPAN("kubernetes.io/service-account-token"))
               ? note(secret, "kubernetes.io/service-account.name")
               : SPAN_NULL;
}

static void account_key(struct object *secret, void (*emit)(void *ctx, struct span key), void *ctx)
{
    struct span name = account_of(secret);
    if (name.n) {
        struct arena *a cleanup_arena = arena_new();
        emit(ctx, ARENA_JOIN(a, object_namespace(secret), SPAN("/"), name));
    }
}

static void on_secret(void *data, struct object *old, struct object *now)
{
    struct account_controller *c = data;
    (void)old;
    if (now && !object_is_deleting(now) && account_of(now).n) {
        reconciler_add_object(c->reconciler, now);
    }
}

static bool add_secret(void *data, struct object *secret)
{
    struct account_controller *c = data;
    reconciler_add_object(c->reconciler, secret);
    return true;
}

static void on_account(void *data, struct object *old, struct object *now)
{
    struct account_controller *c = data;
    if (old && (!now || !span_eq(object_uid(old), object_uid(now)))) {
        informer_index_each(c->secrets, c->by_account, object_place(old), add_secret, c);
    }
}

static bool is_its(struct object *secret, struct object *account)
{
    struct span uid = note(secret, "kubernetes.io/service-account.uid");
    return uid.n == 0 || span_eq(uid, object_uid(account));
}

static bool on_account_found(struct sync *s, void *data, const struct client_reply *reply)
{
    struct account_controller *c = s->controller;
    struct object *secret = informer_get(c->secrets, s->ns, s->name);
    (void)data;
    if (reply->err.reason != ERR_NONE && reply->err.reason != ERR_NOT_FOUND) {
        return false;
    }
    if (secret && (!reply->object || !is_its(secret, reply->object))) {
        sync_delete(s, c->secrets, secret, sync_or_changed, NULL);
    }
    return true;
}

static void run(struct sync *s)
{
    struct account_controller *c = s->controller;
    struct object *secret = informer_get(c->secrets, s->ns, s->name);
    struct span name = secret ? account_of(secret) : SPAN_NULL;
    if (!name.n || object_is_deleting(secret)) {
        return;
    }
    struct object *account = informer_get(c->accounts, s->ns, name);
    if (!account || !is_its(secret, account)) {
        struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_GET,
                                    .kind = SCHEMA_KIND(ServiceAccount), .ns = s->ns, .name = name};
        sync_do(s, &rq, NULL, on_account_found, NULL);
    }
}

static void *make(const struct controller_place *place)
{
    static const struct informer_handler secrets = {on_secret}, accounts = {on_account};
    struct account_controller *c = MEM_NEW(struct account_controller);
    c->accounts = informer_set_get(place->informers, SCHEMA_KIND(ServiceAccount));
    c->secrets = informer_set_get(place->informers, SCHEMA_KIND(Secret));
    c->by_account = informer_add_index(c->secrets, account_key);
    c->reconciler = reconciler_new(place, "account-controller", 4, run, c);
    reconciler_follow(c->reconciler, c->secrets, &secrets, c);
    reconciler_follow(c->reconciler, c->accounts, &accounts, c);
    return c;
}

static void end(void *controller)
{
    struct account_controller *c = controller;
    assert(c->reconciler);
    reconciler_free(c->reconciler);
    free(c);
}

const struct controller_type controller_account = {make, end};
