/* client/informer_set.c: see informer_set.h. */
#include "client/informer_set.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"
#include "client/client_body.h"
#include "schema/schema.h"

struct member {
    const struct schema_kind *kind;
    struct informer *informer;
};

struct informer_set {
    struct client *client;
    VEC(struct member) members;
    size_t next; /* behind the latest that was found */
    void (*fn)(void *data);
    void *data;
    struct env_task task;
};

struct informer_set *informer_set_new(struct client *c)
{
    assert(c);
    struct informer_set *s = MEM_NEW(struct informer_set);
    s->client = c;
    return s;
}

void informer_set_free(struct informer_set *s)
{
    if (!s) {
        return;
    }
    env_post_cancel(s->client->env, &s->task);
    for (size_t i = 0; i < s->members.n; i++) {
        informer_free(s->members.at[i].informer);
    }
    VEC_DONE(&s->members);
    free(s);
}

struct informer *informer_set_get(struct informer_set *s, const struct schema_kind *kind)
{
    assert(kind);
    assert(s->next <= s->members.n);
    /* Who wants them all asks in the same order as the one before. */
    size_t at = s->next < s->members.n && s->members.at[s->next].kind == kind ? s->next : 0;
    for (; at < s->members.n; at++) {
        if (s->members.at[at].kind == kind) {
            s->next = at + 1;
            return s->members.at[at].informer;
        }
    }
    struct client_request all = {CLIENT_REQUEST_INIT, .verb = CLIENT_LIST, .kind = kind};
    struct member m = {kind, informer_new(s->client, &all)};
    VEC_PUSH(&s->members, m);
    return m.informer;
}

struct informer *informer_set_find(struct informer_set *s, const char *group, const char *kind)
{
    assert(s);
    assert(group);
    assert(kind);
    return informer_set_get(s, schema_kind_find(group, kind));
}

bool informer_set_synced(const struct informer_set *s)
{
    assert(s);
    for (size_t i = 0; i < s->members.n; i++) {
        if (!informer_synced(s->members.at[i].informer)) {
            return false;
        }
    }
    return true;
}

static void tell_synced(struct env_task *task)
{
    struct informer_set *s = CONTAINER_OF(task, struct informer_set, task);
    void (*fn)(void *) = s->fn;
    assert(informer_set_synced(s));
    s->fn = NULL;
    if (fn) {
        fn(s->data);
    }
}

static void one_synced(void *data)
{
    struct informer_set *s = data;
    if (s->fn && informer_set_synced(s)) {
        env_post(s->client->env, &s->task, tell_synced);
    }
}

void informer_set_on_synced(struct informer_set *s, void (*fn)(void *data), void *data)
{
    assert(fn);
    assert(!s->fn);
    s->fn = fn;
    s->data = data;
    for (size_t i = 0; i < s->members.n; i++) {
        informer_on_synced(s->members.at[i].informer, one_synced, s);
    }
    if (s->members.n == 0) {
        env_post(s->client->env, &s->task, tell_synced);
    }
}

void informer_by_owner(struct object *o, void (*emit)(void *ctx, struct span key), void *ctx)
{
    assert(o);
    assert(emit);
    JSON_EACH(it, client_owners(o))
    {
        emit(ctx, json_get_str(it.val, "uid"));
    }
}
