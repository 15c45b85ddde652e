/* The status of the quotas: what is allowed and used, written when an account has changed or
 * somebody else has written another. One write of a quota at a time: what changes meanwhile goes
 * into the next, so that a burst of a thousand pods costs few writes. */
#include "apiserver/quota_priv.h"
#include "base/check.h"
#include "base/log.h"
#include "schema/kinds.h"

/* No event tells that a disk has room again. */
enum { RETRY_MS = 2000 };

struct status_job {
    struct arena *arena;
    struct api_op op;
};

static void on_retry(struct env_timer *timer)
{
    struct quotas *q = CONTAINER_OF(timer, struct quotas, retry);
    struct quota_ledger *l;
    size_t it = 0;
    while ((l = map_next(&q->ledgers, &it, NULL))) {
        quotas_status_due(l);
    }
}

/* After a conflict the event of the other's change makes it due again. */
static void on_status(struct api_op *op)
{
    struct status_job *job = CONTAINER_OF(op, struct status_job, op);
    struct quotas *q = op->server->quotas;
    struct quota_ledger *l = q ? map_get(&q->ledgers, op->ns) : NULL;
    struct quota_entry *e = quotas_entry(l, op->name);
    assert(q || !e);
    bool failed = op->err.reason != ERR_NONE && op->err.reason != ERR_CONFLICT &&
                  op->err.reason != ERR_NOT_FOUND;
    if (failed) {
        log_event(LOG_WARN, "quota_status_failed", LOG_S("namespace", op->ns),
                  LOG_S("quota", op->name), LOG_S("reason", op->err.message));
    }
    if (e) {
        e->is_writing = false;
        e->is_due |= failed;
    }
    if (e && failed) {
        env_timer_start(q->server->env, &q->retry, RETRY_MS, on_retry);
    } else if (e && e->is_due) {
        quotas_status_due(l);
    }
    api_op_release(op);
    arena_free(job->arena); /* job lives in it */
}

static yyjson_mut_val *status_of(struct arena *a, yyjson_mut_doc *doc,
                                 const struct quota_account *q)
{
    yyjson_mut_val *status = yyjson_mut_obj(doc), *used = yyjson_mut_obj(doc);
    const yyjson_val *hard = json_get(q->spec, "hard");
    if (json_len(hard) > 0) {
        json_put(doc, status, "hard", json_mut_copy(doc, hard));
    }
    for (size_t i = 0; i < q->n; i++) {
        char buf[QUANTITY_TEXT_BYTES];
        if (q->lines[i].resource.n > 0) {
            json_put_text(doc, used, q->lines[i].name,
                          arena_dup(a, amount_text(&q->lines[i].used, buf)));
        }
    }
    if (yyjson_mut_obj_size(used) > 0) {
        json_put(doc, status, "used", used);
    }
    return status;
}

static void write_status(struct quota_ledger *l, struct quota_entry *e)
{
    struct apiserver *s = l->quotas->server;
    const struct schema_kind *kind = SCHEMA_KIND(ResourceQuota);
    struct arena *a = arena_new();
    struct object *now = watch_hub_get(
        s->hub, object_key(a, span_cstr(kind->resource), ledger_ns(l), e->account.name));
    yyjson_mut_doc *doc = json_mut_new(a);
    yyjson_mut_val *obj = now ? json_mut_copy(doc, object_root(now)) : NULL;
    e->is_due = false;
    if (now) {
        json_put(doc, obj, "status", status_of(a, doc, &e->account));
        json_remove(json_mut_get(obj, "metadata"), "managedFields"); /* they stay as they are */
    }
    const yyjson_val *body = now ? json_freeze(a, obj) : NULL;
    if (!now || json_equal(json_get(body, "status"), json_get(object_root(now), "status"))) {
        arena_free(a);
        return;
    }
    assert(kind->subresource_count == 1);
    struct status_job *job = ARENA_NEW(a, struct status_job);
    job->arena = a;
    job->op = (struct api_op){.server = s,
                              .arena = a,
                              .verb = API_UPDATE,
                              .kind = kind,
                              .sub = &kind->subresources[0],
                              .ns = arena_dup(a, ledger_ns(l)),
                              .name = arena_dup(a, e->account.name),
                              .body = body,
                              .options.grace_s = -1,
                              .options.field_manager = SPAN("berth"),
                              .done = on_status};
    e->is_writing = true;
    api_op_run(&job->op); /* the ledger may be another afterwards */
}

static void on_due(struct env_task *task)
{
    struct quotas *q = CONTAINER_OF(task, struct quotas, due);
    struct list *link;
    while ((link = list_pop_front(&q->due_ledgers)) != NULL) {
        struct arena *a cleanup_arena = arena_new();
        struct span ns = arena_dup(a, ledger_ns(CONTAINER_OF(link, struct quota_ledger, due_link)));
        struct quota_ledger *l = quotas_ledger(q, ns);
        for (size_t i = 0; l && i < l->entries.n; i++) {
            if (l->entries.at[i].is_due && !l->entries.at[i].is_writing) {
                write_status(l, &l->entries.at[i]);
            }
        }
        if (l) { /* what made it due again was taken into account */
            list_remove(&l->due_link);
        }
    }
}

void quotas_status_due(struct quota_ledger *l)
{
    assert(l);
    if (list_is_empty(&l->due_link)) {
        list_push_back(&l->quotas->due_ledgers, &l->due_link);
    }
    env_post(l->quotas->server->env, &l->quotas->due, on_due);
}
