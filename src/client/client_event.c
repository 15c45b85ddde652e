/* client/client_event.c: see client_event.h.
 *
 * A series is one Event in the API: it remembers the name and count. While its create or patch is
 * on its way, further occurrences only count; the reply sends what has accumulated. Series and
 * per-object budgets live in two maps, oldest out first beyond their bound. */
#include "client/client_event.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "client/client_body.h"
#include "codec/json_build.h"
#include "codec/time.h"
#include "schema/schema.h"

enum {
    SERIES_MAX = 1024,
    SERIES_MS = LIMIT_EVENT_TTL_S * 1000,
    EVENT_BURST = 25,
    EVENT_REFILL_MS = 5 * 60 * 1000,
    EVENT_NAME_PREFIX_BYTES = 236, /* with ".", 16 digits: within a DNS subdomain */
    ID_BYTES = 1 + 16,
};

struct series {
    struct list link; /* least recently used first */
    struct event_recorder *recorder;
    struct span ns, name; /* of the Event; they follow the key */
    int64_t count, first_ms, last_ms;
    bool sending, dirty;
    size_t key_n;
    char key[];
};

struct budget {
    struct list link;
    int64_t spent, refilled_ms;
    size_t key_n;
    char key[];
};

struct event_recorder {
    struct client *client;
    const struct schema_kind *kind;
    char *component, *host;
    struct map series, budgets;
    struct list series_lru, budget_lru;
    uint64_t last_id; /* of an Event's name */
};

struct event_recorder *event_recorder_new(struct client *c, const char *component, struct span host)
{
    assert(c);
    assert(component);
    struct event_recorder *r = MEM_NEW(struct event_recorder);
    r->client = c;
    r->kind = schema_kind_find("", "Event");
    assert(r->kind);
    r->component = mem_strdup(component);
    r->host = mem_new(host.n + 1);
    memcpy(r->host, host.n ? host.p : "", host.n);
    list_init(&r->series_lru);
    list_init(&r->budget_lru);
    return r;
}

static void series_free(struct series *s)
{
    if (s->sending) {
        client_cancel(s->recorder->client, s);
    }
    struct series *known = map_remove(&s->recorder->series, span_of(s->key, s->key_n));
    assert(known == s);
    list_remove(&s->link);
    free(s);
}

static void budget_free(struct event_recorder *r, struct budget *b)
{
    struct budget *known = map_remove(&r->budgets, span_of(b->key, b->key_n));
    assert(known == b);
    list_remove(&b->link);
    free(b);
}

void event_recorder_free(struct event_recorder *r)
{
    if (!r) {
        return;
    }
    LIST_EACH(it, &r->series_lru)
    {
        series_free(CONTAINER_OF(it, struct series, link));
    }
    LIST_EACH(it, &r->budget_lru)
    {
        budget_free(r, CONTAINER_OF(it, struct budget, link));
    }
    assert(r->series.n == 0);
    assert(r->budgets.n == 0);
    map_done(&r->series);
    map_done(&r->budgets);
    free(r->component);
    free(r->host);
    free(r);
}

/* False when the object has used up its Events for now. */
static bool budget_take(struct event_recorder *r, struct span uid, int64_t now_ms)
{
    struct budget *b = map_get(&r->budgets, uid);
    if (!b) {
        if (r->budgets.n == SERIES_MAX) {
            budget_free(r, CONTAINER_OF(r->budget_lru.next, struct budget, link));
        }
        b = mem_new(sizeof *b + uid.n + 1);
        list_init(&b->link);
        b->key_n = uid.n;
        memcpy(b->key, uid.n ? uid.p : "", uid.n);
        b->refilled_ms = now_ms;
        map_put(&r->budgets, span_of(b->key, b->key_n), b);
    }
    list_remove(&b->link);
    list_push_back(&r->budget_lru, &b->link);
    int64_t refill = (now_ms - b->refilled_ms) / EVENT_REFILL_MS;
    if (refill > 0) {
        b->spent = b->spent > refill ? b->spent - refill : 0;
        b->refilled_ms += refill * EVENT_REFILL_MS;
    }
    assert(b->spent >= 0);
    assert(b->spent <= EVENT_BURST);
    assert(r->budgets.n <= SERIES_MAX);
    if (b->spent >= EVENT_BURST) {
        return false;
    }
    b->spent++;
    return true;
}

/* ---- sending ---- */

static void send_count(struct series *s);

static void on_reply(void *data, const struct client_reply *reply)
{
    struct series *s = data;
    assert(s->sending);
    s->sending = false;
    if (reply->err.reason != ERR_NONE) {
        /* Gone, refused or unreachable: forget the series, so that the next occurrence starts a new
         * Event. */
        log_event(LOG_DEBUG, "event_not_recorded", LOG_S("event", s->name),
                  LOG_S("error", reply->err.message));
        series_free(s);
        return;
    }
    if (s->dirty) {
        s->dirty = false;
        send_count(s);
    }
}

static void send_count(struct series *s)
{
    assert(!s->sending);
    cleanup_arena struct arena *a = arena_new();
    struct client_body b = {.arena = a, .doc = json_mut_new(a)};
    b.root = yyjson_mut_obj(b.doc);
    json_put_int(b.doc, b.root, "count", s->count);
    json_put_str(b.doc, b.root, "lastTimestamp", time_format(a, s->last_ms));
    struct client_request rq = {CLIENT_REQUEST_INIT,       .verb = CLIENT_PATCH_MERGE,
                                .kind = s->recorder->kind, .ns = s->ns,
                                .name = s->name,           .tree = client_body_tree(&b)};
    rq.field_manager = span_cstr(s->recorder->component);
    s->sending = true;
    client_do(s->recorder->client, &rq, on_reply, s);
}

static void put_about(struct json_build *b, const struct event_about *about)
{
    json_build_object(b, SPAN("involvedObject"));
    json_build_str(b, SPAN("kind"), span_cstr(about->kind->kind));
    if (about->ns.n) {
        json_build_str(b, SPAN("namespace"), about->ns);
    }
    json_build_str(b, SPAN("name"), about->name);
    json_build_str(b, SPAN("uid"), about->uid);
    json_build_str(b, SPAN("apiVersion"), span_cstr(schema_api_version(about->kind)));
    if (about->rev) {
        char digits[SPAN_NUMBER_BYTES];
        json_build_str(b, SPAN("resourceVersion"), arena_dup(b->a, span_i64(digits, about->rev)));
    }
    if (about->field_path.n) {
        json_build_str(b, SPAN("fieldPath"), about->field_path);
    }
    json_build_close(b);
}

static void put_source(struct json_build *b, const struct event_recorder *r)
{
    json_build_object(b, SPAN("source"));
    json_build_str(b, SPAN("component"), span_cstr(r->component));
    if (r->host[0]) {
        json_build_str(b, SPAN("host"), span_cstr(r->host));
    }
    json_build_close(b);
}

static void put_event(struct json_build *b, const struct series *s, const struct event_about *about,
                      enum event_type type, const char *reason, struct span message)
{
    const struct event_recorder *r = s->recorder;
    struct span now = time_format(b->a, s->first_ms);
    json_build_str(b, SPAN("kind"), span_cstr(r->kind->kind));
    json_build_str(b, SPAN("apiVersion"), span_cstr(schema_api_version(r->kind)));
    json_build_object(b, SPAN("metadata"));
    json_build_str(b, SPAN("name"), s->name);
    json_build_str(b, SPAN("namespace"), s->ns);
    json_build_close(b);
    put_about(b, about);
    json_build_str(b, SPAN("reason"), span_cstr(reason));
    json_build_str(b, SPAN("message"), message);
    put_source(b, r);
    json_build_str(b, SPAN("firstTimestamp"), now);
    json_build_str(b, SPAN("lastTimestamp"), now);
    json_build_int(b, SPAN("count"), s->count);
    json_build_str(b, SPAN("type"), type == EVENT_WARNING ? SPAN("Warning") : SPAN("Normal"));
    json_build_str(b, SPAN("reportingComponent"), span_cstr(r->component));
    json_build_str(b, SPAN("reportingInstance"), span_cstr(r->host));
}

static void send_first(struct series *s, struct arena *a, const struct event_about *about,
                       enum event_type type, const char *reason, struct span message)
{
    struct event_recorder *r = s->recorder;
    struct json_build b = json_build_new(a);
    put_event(&b, s, about, type, reason, message);
    struct client_request rq = {CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE, .kind = r->kind,
                                .ns = s->ns, .tree = json_share(a, json_build_done(&b))};
    rq.field_manager = span_cstr(r->component);
    assert(!s->sending);
    assert(s->count == 1);
    s->sending = true;
    client_do(r->client, &rq, on_reply, s);
}

/* ---- recording ---- */

/* As in Kubernetes: the object's name, a dot and the time in hexadecimal; random bits instead of
 * the nanoseconds. */
static struct span event_name(char *to, struct span stem, uint64_t id)
{
    int digits = (67 - __builtin_clzll(id | 1)) / 4;
    assert(stem.n <= EVENT_NAME_PREFIX_BYTES);
    memcpy(to, stem.p, stem.n);
    to[stem.n] = '.';
    for (int i = 0; i < digits; i++) {
        to[stem.n + 1 + (size_t)i] = "0123456789abcdef"[id >> 4 * (digits - 1 - i) & 15];
    }
    assert(digits < ID_BYTES);
    return span_of(to, stem.n + 1 + (size_t)digits);
}

static struct series *series_new(struct event_recorder *r, struct span key,
                                 const struct event_about *about)
{
    if (r->series.n == SERIES_MAX) {
        series_free(CONTAINER_OF(r->series_lru.next, struct series, link));
    }
    struct span ns = about->ns.n ? about->ns : SPAN("default");
    struct span stem = span_first(about->name, EVENT_NAME_PREFIX_BYTES);
    struct series *s = mem_new(sizeof *s + key.n + ns.n + stem.n + ID_BYTES);
    list_init(&s->link);
    s->recorder = r;
    s->key_n = key.n;
    memcpy(s->key, key.p, key.n);
    uint64_t id =
        ((uint64_t)env_now_us(r->client->env) * 1000) + env_random_u64(r->client->env) % 1000;
    id = id > r->last_id ? id : r->last_id + 1;
    r->last_id = id;
    s->ns = span_of(s->key + key.n, ns.n);
    memcpy(s->key + key.n, ns.p, ns.n);
    s->name = event_name(s->key + key.n + ns.n, stem, id);
    assert(r->series.n < SERIES_MAX);
    assert(s->name.n > 0);
    map_put(&r->series, span_of(s->key, s->key_n), s);
    return s;
}

static void record(struct event_recorder *r, struct arena *a, const struct event_about *about,
                   enum event_type type, const char *reason, struct span message)
{
    assert(about->kind);
    assert(reason);
    int64_t now_ms = env_now_ms(r->client->env);
    if (!budget_take(r, about->uid, now_ms)) {
        return;
    }
    struct span line = SPAN("\n");
    struct span key =
        ARENA_JOIN(a, about->uid, line, about->name, line, span_cstr(reason), line,
                   about->field_path, line, type == EVENT_WARNING ? SPAN("1") : SPAN("0"), message);
    struct series *s = map_get(&r->series, key);
    if (s && now_ms - s->last_ms > SERIES_MS) {
        series_free(s);
        s = NULL;
    }
    if (s) {
        assert(s->count > 0);
        assert(s->recorder == r);
        s->count++;
        s->last_ms = now_ms;
        if (s->sending) {
            s->dirty = true;
        } else {
            send_count(s);
        }
    } else {
        s = series_new(r, key, about);
        s->count = 1;
        s->first_ms = s->last_ms = now_ms;
        send_first(s, a, about, type, reason, message);
    }
    list_remove(&s->link);
    list_push_back(&r->series_lru, &s->link);
}

__attribute__((format(printf, 5, 0))) static void
record_text(struct event_recorder *r, const struct event_about *about, enum event_type type,
            const char *reason, const char *fmt, va_list ap)
{
    cleanup_arena struct arena *a = arena_new();
    record(r, a, about, type, reason, arena_vprintf(a, fmt, ap));
}

void event_record_about(struct event_recorder *r, const struct event_about *about,
                        enum event_type type, const char *reason, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    record_text(r, about, type, reason, fmt, ap);
    va_end(ap);
}

void event_record(struct event_recorder *r, const struct schema_kind *kind, struct object *o,
                  enum event_type type, const char *reason, const char *fmt, ...)
{
    assert(kind);
    assert(o);
    assert(reason);
    struct event_about about = {.kind = kind,
                                .ns = object_namespace(o),
                                .name = object_name(o),
                                .uid = object_uid(o),
                                .rev = object_rev(o)};
    va_list ap;
    va_start(ap, fmt);
    record_text(r, &about, type, reason, fmt, ap);
    va_end(ap);
}
