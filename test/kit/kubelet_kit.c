#include "test/kit/kubelet_kit.h"

#include "schema/schema.h"
#include "sim/env_sim.h"
#include "store/store.h"
#include "test/kit/api_kit.h"
#include "token/token.h"

static void on_ready(void *data)
{
    *(bool *)data = true;
}

void kk_run(struct kubelet_kit *k, int64_t ms)
{
    env_sim_run_for(k->env, ms);
}

struct kubelet_options kk_options(struct span data_dir, struct runtime *runtime,
                                  struct kubelet_images *images)
{
    return (struct kubelet_options){.data_dir = data_dir,
                                    .node_name = SPAN("edge"),
                                    .node_ip = SPAN("127.0.0.1"),
                                    .cluster_dns = SPAN("10.43.0.10"),
                                    .cluster_domain = SPAN("cluster.local"),
                                    .version = SPAN("v1.34.0+berth"),
                                    .runtime_scheme = SPAN("fake"),
                                    .runtime_version = SPAN("fake://1"),
                                    .runtime = runtime,
                                    .images = images,
                                    .no_files = data_dir.n == 0};
}

void kk_kubelet(struct kubelet_kit *k)
{
    struct kubelet_options o = kk_options(k->data_dir, k->runtime, k->images);
    o.node_ip = SPAN("192.0.2.1");
    k->kubelet = kubelet_new(k->env, k->client, &o);
    k->ready = false;
    kubelet_on_ready(k->kubelet, on_ready, &k->ready);
}

void kk_kill(struct kubelet_kit *k)
{
    runtime_fake_cut(k->runtime);
    kubelet_free(k->kubelet);
    k->kubelet = NULL;
}

static void start(struct kubelet_kit *k, struct span data_dir)
{
    struct apiserver_options options = api_kit_options;
    *k = (struct kubelet_kit){.arena = arena_new(), .data_dir = data_dir};
    if (data_dir.n) {
        CHECK_EQ(token_key_make(k->arena, &options.token_key), 0);
    }
    k->env = env_sim_new(1);
    k->store = store_memory_new(k->env, NULL);
    k->hub = watch_hub_new(k->env, k->store);
    k->server = apiserver_new(k->env, k->store, k->hub, &options);
    k->client = apiserver_local_client(k->server);
    k->runtime = runtime_fake_new(k->env);
    k->images = kubelet_images_fake_new(k->env);
    kk_run(k, 100);
    CHECK(apiserver_is_ready(k->server));
    kk_kubelet(k);
    kk_run(k, 200);
}

void kk_start(struct kubelet_kit *k)
{
    start(k, SPAN_NULL);
}

void kk_start_files(struct kubelet_kit *k, struct span data_dir)
{
    start(k, data_dir);
}

void kk_stop(struct kubelet_kit *k)
{
    if (k->kubelet) {
        kk_kill(k);
    }
    k->runtime->ops->free(k->runtime);
    kubelet_images_free(k->images);
    client_free(k->client);
    apiserver_free(k->server);
    watch_hub_free(k->hub);
    store_free(k->store);
    kk_run(k, 20);
    env_sim_free(k->env);
    arena_free(k->arena);
}

/* ---- API ---- */

struct answer {
    struct kubelet_kit *k;
    bool done;
    enum err_reason reason;
    struct span message, json;
    yyjson_val *list[256];
    size_t n;
};

static yyjson_val *parse(struct kubelet_kit *k, struct span json)
{
    yyjson_doc *doc = NULL;
    CHECK_EQ(json_parse(k->arena, json, &doc, NULL), 0);
    return yyjson_doc_get_root(doc);
}

static void on_reply(void *data, const struct client_reply *r)
{
    struct answer *a = data;
    a->done = true;
    a->reason = r->err.reason;
    a->message = arena_dup(a->k->arena, r->err.message);
    if (r->object) {
        a->json = arena_dup(a->k->arena, object_json(r->object));
    }
    for (size_t i = 0; i < r->item_count && i < 256; i++) {
        a->list[a->n++] = parse(a->k, arena_dup(a->k->arena, object_json(r->items[i])));
    }
}

static const struct schema_kind *kind_of(const char *kind)
{
    for (size_t i = 0; i < schema_kind_count(); i++) {
        if (strcmp(schema_kind_at(i)->kind, kind) == 0) {
            return schema_kind_at(i);
        }
    }
    kit_fail(__FILE__, __LINE__, "no kind %s", kind);
}

static struct answer call(struct kubelet_kit *k, struct client_request r, const char *kind)
{
    struct answer a = {.k = k};
    r.kind = kind_of(kind);
    bool lease = strcmp(kind, "Lease") == 0; /* a node's */
    r.ns = !r.kind->namespaced ? SPAN_NULL : lease ? SPAN("kube-node-lease") : SPAN("default");
    client_do(k->client, &r, on_reply, &a);
    for (int i = 0; i < 1000 && !a.done; i++) {
        env_sim_run_for(k->env, i < 3 ? 0 : 1); /* never jumps ahead to a far timer */
    }
    CHECK(a.done);
    return a;
}

static void must(const struct answer *a, const char *what)
{
    if (a->reason != ERR_NONE) {
        kit_fail(__FILE__, __LINE__, "%s: %.*s", what, SPAN_ARG(a->message));
    }
}

void kk_create(struct kubelet_kit *k, const char *kind, const char *json)
{
    struct answer a = call(k,
                           (struct client_request){CLIENT_REQUEST_INIT, .verb = CLIENT_CREATE,
                                                   .body = span_cstr(json)},
                           kind);
    must(&a, json);
}

void kk_patch(struct kubelet_kit *k, const char *kind, const char *name, const char *json)
{
    const char *slash = strchr(name, '/');
    struct answer a =
        call(k,
             (struct client_request){
                 CLIENT_REQUEST_INIT, .verb = CLIENT_PATCH_MERGE,
                 .name = span_first(span_cstr(name), span_find(span_cstr(name), '/')),
                 .subresource = slash ? span_cstr(slash + 1) : SPAN_NULL, .body = span_cstr(json)},
             kind);
    must(&a, json);
}

void kk_delete(struct kubelet_kit *k, const char *kind, const char *name, int64_t grace_s)
{
    struct answer a = call(
        k,
        (struct client_request){.grace_s = grace_s, .verb = CLIENT_DELETE, .name = span_cstr(name)},
        kind);
    must(&a, name);
}

yyjson_val *kk_get(struct kubelet_kit *k, const char *kind, const char *name)
{
    struct answer a = call(
        k,
        (struct client_request){CLIENT_REQUEST_INIT, .verb = CLIENT_GET, .name = span_cstr(name)},
        kind);
    return a.reason == ERR_NONE ? parse(k, a.json) : NULL;
}

static yyjson_val *at(yyjson_val *v, struct span path)
{
    while (path.n > 0 && v) {
        struct span part = span_cut(&path, '.');
        uint64_t i = 0;
        v = yyjson_is_arr(v) && span_to_u64(part, &i) ? yyjson_arr_get(v, i)
                                                      : yyjson_obj_getn(v, part.p, part.n);
    }
    return v;
}

struct span kk_pod(struct kubelet_kit *k, const char *name, const char *path)
{
    yyjson_val *v = at(kk_get(k, "Pod", name), span_cstr(path));
    return !v ? SPAN_NULL : yyjson_is_str(v) ? json_str(v) : json_write(k->arena, v);
}

struct span kk_condition(struct kubelet_kit *k, const char *pod, const char *type)
{
    return json_get_str(
        json_find(at(kk_get(k, "Pod", pod), SPAN("status.conditions")), "type", span_cstr(type)),
        "status");
}

static size_t events(struct kubelet_kit *k, const char *pod, const char *reason, struct span *ret)
{
    struct answer a =
        call(k, (struct client_request){CLIENT_REQUEST_INIT, .verb = CLIENT_LIST}, "Event");
    size_t n = 0;
    for (size_t i = 0; i < a.n; i++) {
        if (span_eq_cstr(json_str(json_path(a.list[i], "involvedObject", "name", NULL)), pod) &&
            span_eq_cstr(json_get_str(a.list[i], "reason"), reason)) {
            *ret = json_get_str(a.list[i], "message");
            n++;
        }
    }
    return n;
}

struct span kk_event(struct kubelet_kit *k, const char *pod, const char *reason)
{
    struct span message = SPAN_NULL;
    (void)events(k, pod, reason, &message);
    return message;
}

size_t kk_event_count(struct kubelet_kit *k, const char *pod, const char *reason)
{
    struct span message = SPAN_NULL;
    return events(k, pod, reason, &message);
}

const char *kk_pod_json(struct kubelet_kit *k, const char *name, const char *annotations,
                        const char *container_extra, const char *spec_extra)
{
    return arena_printf(k->arena,
                        "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
                        "\"annotations\":{%s}},\"spec\":{\"nodeName\":\"edge\",\"containers\":[{"
                        "\"name\":\"c\",\"image\":\"redis:7\"%s%s}]%s%s}}",
                        name, annotations, *container_extra ? "," : "", container_extra,
                        *spec_extra ? "," : "", spec_extra)
        .p;
}

bool kk_says(struct span text, const char *part)
{
    return memmem(text.p, text.n, part, strlen(part)) != NULL;
}
