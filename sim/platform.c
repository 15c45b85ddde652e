#include "sim/platform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "apiserver/apiserver.h"
#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "client/client_body.h"
#include "client/informer.h"
#include "client/informer_set.h"
#include "codec/json.h"
#include "controller/controllers.h"
#include "kubelet/kubelet.h"
#include "kubelet/kubelet_images.h"
#include "runtime/runtime_fake.h"
#include "schema/kinds.h"
#include "sim/env_sim.h"
#include "store/store.h"
#include "watch/watch.h"

enum { REPLICAS_MAX = 5, SETTLE_MS = 10 * 60 * 1000, START_LIMIT_MS = 5000 };

struct platform {
    uint64_t random;
    bool show;
    struct env *machine, *program; /* program NULL: dead */
    struct store_memory_disk *disk;
    bool disk_full;
    struct runtime *runtime;
    struct store *store;
    struct watch_hub *hub;
    struct apiserver *api;
    struct client *client;
    struct controllers *controllers;
    struct kubelet_images *images;
    struct kubelet *kubelet;
    /* What users asked for and got an answer to. */
    bool set_exists;               /* as far as acknowledged */
    bool set_in_doubt;             /* a create or delete whose answer was lost */
    int64_t replicas;              /* acknowledged; -1: in doubt */
    int64_t rev;                   /* highest seen in an answer */
    char claims[REPLICAS_MAX][64]; /* uid of data-redis-N once seen */
    /* The request under way. */
    bool answered;
    enum err_reason answer;
    int64_t answer_rev;
    struct platform_figures figures;
};

static uint64_t roll(struct platform *w, uint64_t n)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % n;
}

__attribute__((format(printf, 2, 3))) static void say(struct platform *w, const char *fmt, ...)
{
    if (w->show) {
        va_list ap;
        va_start(ap, fmt);
        (void)printf("%9.3f s  ", (double)env_mono_ns(w->machine) / 1e9);
        (void)vprintf(fmt, ap);
        (void)printf("\n");
        va_end(ap);
    }
}

/* ---- the program: started, killed ---- */

static int commit_fails(void *data, uint64_t number)
{
    struct platform *w = data;
    (void)number;
    return w->disk_full ? -ENOSPC : 0;
}

static void start_kubelet(struct platform *w)
{
    const struct kubelet_options o = {.node_name = SPAN("edge"),
                                      .node_ip = SPAN("192.0.2.1"),
                                      .cluster_dns = SPAN("10.43.0.10"),
                                      .cluster_domain = SPAN("cluster.local"),
                                      .version = SPAN("v1.34.0+berth"),
                                      .runtime_scheme = SPAN("fake"),
                                      .runtime_version = SPAN("fake://1"),
                                      .runtime = w->runtime,
                                      .images = w->images,
                                      .no_files = true};
    w->kubelet = kubelet_new(w->program, w->client, &o);
}

static void start(struct platform *w)
{
    const struct store_memory_options so = {
        .latency_ms = (int64_t)roll(w, 4), .fail = commit_fails, .data = w};
    const struct apiserver_options ao = {.service_cidr = SPAN("10.43.0.0/16"),
                                         .cluster_dns = SPAN("10.43.0.10"),
                                         .server_address = SPAN("10.42.0.1:6443"),
                                         .git_version = SPAN("v1.34.0+berth"),
                                         .platform = SPAN("linux/amd64"),
                                         .public_url = SPAN("https://127.0.0.1:6443")};
    const struct controllers_options co = {.node_name = SPAN("edge"),
                                           .volume_dir = SPAN("/data/volumes")};
    w->program = env_sim_join(w->machine);
    w->store = store_memory_open(w->program, w->disk, &so);
    w->hub = watch_hub_new(w->program, w->store);
    w->api = apiserver_new(w->program, w->store, w->hub, &ao);
    w->client = apiserver_local_client(w->api);
    for (int ms = 0; !apiserver_is_ready(w->api); ms += 10) {
        assert(ms < START_LIMIT_MS);
        env_sim_run_for(w->machine, 10);
    }
    w->controllers = controllers_new(w->program, w->client, &co);
    w->images = kubelet_images_fake_new(w->program);
    start_kubelet(w);
    say(w, "the program starts, revision %lld", (long long)store_durable_rev(w->store));
    assert(store_durable_rev(w->store) >= w->rev); /* no acknowledged write is lost */
}

static void kill_program(struct platform *w)
{
    runtime_fake_cut(w->runtime);
    kubelet_free(w->kubelet);
    kubelet_images_free(w->images);
    controllers_free(w->controllers);
    client_free(w->client);
    apiserver_free(w->api); /* with writes under way its memory stays: a dead process's */
    watch_hub_free(w->hub);
    store_crash(w->store);
    env_sim_crash(w->program);
    w->program = NULL;
    w->figures.crashes++;
}

/* ---- users ---- */

static void on_answer(void *data, const struct client_reply *r)
{
    struct platform *w = data;
    w->answered = true;
    w->answer = r->err.reason;
    w->answer_rev = r->object ? object_rev(r->object) : 0;
}

/* True when an answer came and it was success. A user waits for up to a second; the program may be
 * killed meanwhile. */
static bool request(struct platform *w, enum client_verb verb, const struct schema_kind *kind,
                    struct span name, struct span body, enum client_propagation propagation)
{
    const struct client_request rq = {CLIENT_REQUEST_INIT,
                                      .verb = verb,
                                      .kind = kind,
                                      .ns = SPAN("default"),
                                      .name = name,
                                      .body = body,
                                      .propagation = propagation,
                                      .field_manager = SPAN("user")};
    bool dies = roll(w, 12) == 0;
    w->answered = false;
    w->figures.requests++;
    client_do(w->client, &rq, on_answer, w);
    for (int ms = 0; ms < 1000 && !w->answered; ms++) {
        env_sim_run_for(w->machine, 1);
        if (dies && roll(w, 3) == 0) {
            say(w, "killed under a request");
            client_cancel(w->client, w);
            kill_program(w);
            break;
        }
    }
    if (w->program && !w->answered) {
        client_cancel(w->client, w);
    }
    if (w->answered && w->answer == ERR_NONE && w->answer_rev > w->rev) {
        w->rev = w->answer_rev;
    }
    w->figures.refused += w->answered && w->answer != ERR_NONE;
    return w->answered && w->answer == ERR_NONE;
}

static void create_set(struct platform *w)
{
    static const char set[] =
        "{\"kind\":\"StatefulSet\",\"apiVersion\":\"apps/"
        "v1\",\"metadata\":{\"name\":\"redis\"},\"spec\":{\"replicas\":%d,"
        "\"serviceName\":\"redis\",\"podManagementPolicy\":\"%s\",\"selector\":{\"matchLabels\":{"
        "\"app\":\"redis\"}},"
        "\"template\":{\"metadata\":{\"labels\":{\"app\":\"redis\"},\"annotations\":{\"berth.dev/"
        "fake-start-ms\":\"%d\","
        "\"berth.dev/"
        "fake-stop-ms\":\"%d\"}},\"spec\":{\"terminationGracePeriodSeconds\":3,\"containers\":[{"
        "\"name\":\"redis\","
        "\"image\":\"redis:7\"}]}},\"volumeClaimTemplates\":[{\"metadata\":{\"name\":\"data\"},"
        "\"spec\":{\"accessModes\":["
        "\"ReadWriteOnce\"],\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}}}]}}";
    struct arena *a cleanup_arena = arena_new();
    int replicas = (int)roll(w, REPLICAS_MAX + 1);
    struct span body = arena_printf(a, set, replicas, roll(w, 3) ? "OrderedReady" : "Parallel",
                                    (int)roll(w, 200), (int)roll(w, 1500));
    bool ok = request(w, CLIENT_CREATE, SCHEMA_KIND(StatefulSet), SPAN_NULL, body,
                      CLIENT_PROPAGATION_DEFAULT);
    say(w, "create the set with %d: %s", replicas,
        ok            ? "done"
        : w->answered ? "refused"
                      : "no answer");
    if (ok) {
        w->set_exists = true;
        w->set_in_doubt = false;
        w->replicas = replicas;
    } else if (!w->answered) {
        w->set_in_doubt = true;
    }
}

static void patch_set(struct platform *w, const char *what, struct span body, int64_t replicas)
{
    bool ok = request(w, CLIENT_PATCH_MERGE, SCHEMA_KIND(StatefulSet), SPAN("redis"), body,
                      CLIENT_PROPAGATION_DEFAULT);
    say(w, "%s: %s", what, ok ? "done" : w->answered ? "refused" : "no answer");
    if (replicas >= 0 && (ok || !w->answered)) {
        w->replicas = ok ? replicas : -1;
    }
}

static void delete_set(struct platform *w)
{
    static const char *const names[] = {"by default", "in the background", "in the foreground",
                                        "orphaning"};
    enum client_propagation how = (enum client_propagation)roll(w, 4);
    bool ok = request(w, CLIENT_DELETE, SCHEMA_KIND(StatefulSet), SPAN("redis"), SPAN_NULL, how);
    say(w, "delete the set %s: %s", names[how],
        ok            ? "done"
        : w->answered ? "refused"
                      : "no answer");
    w->set_in_doubt |= !w->answered;
    if (ok) {
        w->set_exists = false;
        w->set_in_doubt = false;
    }
}

static void user_acts(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct span pod = arena_printf(a, "redis-%d", (int)roll(w, REPLICAS_MAX));
    int64_t replicas = (int64_t)roll(w, REPLICAS_MAX + 1);
    switch (roll(w, 8)) {
    case 0:
        delete_set(w);
        break;
    case 1:
    case 2:
        (void)request(w, CLIENT_DELETE, SCHEMA_KIND(Pod), pod, SPAN_NULL,
                      CLIENT_PROPAGATION_DEFAULT);
        say(w, "delete pod %s", pod.p);
        break;
    case 3:
        patch_set(
            w, "new template",
            arena_printf(
                a,
                "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"round\":\"%llu\"}}}}}",
                (unsigned long long)roll(w, 5)),
            -1);
        break;
    case 4:
    case 5:
        patch_set(w, "scale",
                  arena_printf(a, "{\"spec\":{\"replicas\":%lld}}", (long long)replicas), replicas);
        break;
    default:
        create_set(w);
        break;
    }
}

/* ---- faults ---- */

static void container_exits(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    struct object *pod =
        informer_get(informer_set_find(controllers_informers(w->controllers), "", "Pod"),
                     SPAN("default"), arena_printf(a, "redis-%d", (int)roll(w, REPLICAS_MAX)));
    for (int attempt = 0; pod && attempt < 30; attempt++) {
        struct span id = arena_printf(a, "%.*s-redis-%d", SPAN_ARG(object_uid(pod)), attempt);
        if (runtime_fake_exit(w->runtime, id, (int32_t)roll(w, 3))) {
            say(w, "a container of %.*s ends", SPAN_ARG(object_name(pod)));
            w->figures.exits++;
            return;
        }
    }
}

static void fault(struct platform *w)
{
    switch (roll(w, 6)) {
    case 0:
    case 1:
        say(w, "the program is killed");
        kill_program(w);
        env_sim_run_for(w->machine, (int64_t)roll(w, 3000));
        break;
    case 2:
        say(w, "the machine goes down");
        kill_program(w);
        runtime_fake_reboot(w->runtime, roll(w, 2));
        w->figures.reboots++;
        break;
    case 3:
        container_exits(w);
        break;
    case 4:
        w->disk_full = true;
        say(w, "the disk is full");
        break;
    default:
        env_sim_jump_wall(w->machine, (int64_t)roll(w, 7200000) - 3600000);
        say(w, "the wall clock jumps");
        break;
    }
}

/* ---- checkers ---- */

/* A claim, once seen, keeps its uid: nobody here ever asks to remove one. */
static void check_claims(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    for (int i = 0; i < REPLICAS_MAX; i++) {
        struct span name = arena_printf(a, "data-redis-%d", i);
        struct object *claim = watch_hub_get(
            w->hub, object_key(a, SPAN("persistentvolumeclaims"), SPAN("default"), name));
        assert(claim || !w->claims[i][0]);
        if (claim && w->claims[i][0]) {
            assert(span_eq_cstr(object_uid(claim), w->claims[i]));
        } else if (claim) {
            (void)snprintf(w->claims[i], sizeof w->claims[i], "%.*s", SPAN_ARG(object_uid(claim)));
        }
    }
}

static struct object *set_of(struct platform *w)
{
    return watch_hub_get(w->hub, SPAN("statefulsets.apps/default/redis"));
}

static void check(struct platform *w)
{
    assert(runtime_fake_most_alive(w->runtime) <=
           1); /* never two live processes of one container */
    if (!w->program) {
        return;
    }
    struct object *set = set_of(w);
    check_claims(w);
    assert(store_durable_rev(w->store) >= w->rev);
    if (set && w->set_exists && !w->set_in_doubt &&
        w->replicas >= 0) { /* what was acknowledged is there */
        assert(json_int(json_path(object_root(set), "spec", "replicas", NULL), -1) == w->replicas);
    }
    assert(set || !w->set_exists || w->set_in_doubt);
}

void platform_step(struct platform *w)
{
    w->figures.steps++;
    if (!w->program) {
        start(w);
    }
    if (w->disk_full && roll(w, 2)) {
        w->disk_full = false;
        say(w, "the disk has room again");
    } else if (roll(w, 3) == 0) {
        fault(w);
    } else {
        user_acts(w);
    }
    env_sim_run_for(w->machine, (int64_t)roll(w, roll(w, 4) ? 200 : 5000));
    check(w);
}

/* ---- rest ---- */

struct tally {
    int64_t pods, ready, owned;
};

static bool count_pod(void *data, struct object *pod)
{
    struct tally *t = data;
    t->pods++;
    t->ready += client_condition_true(pod, "Ready") && !object_is_deleting(pod);
    t->owned += json_len(client_owners(pod)) > 0;
    return true;
}

static bool at_rest(struct platform *w)
{
    struct object *set = set_of(w);
    struct tally t = {0};
    const struct watch_filter pods = {.resource = SPAN("pods"), .ns = SPAN("default")};
    (void)watch_hub_list(w->hub, &pods, SPAN_NULL, count_pod, &t);
    if (!set) {
        /* Pods that an orphaning delete left go on, belonging to nobody. */
        return t.owned == 0 && t.ready == t.pods &&
               (int64_t)runtime_fake_running(w->runtime) == t.pods;
    }
    yyjson_val *spec = json_get(object_root(set), "spec"),
               *status = json_get(object_root(set), "status");
    int64_t want = json_get_int(spec, "replicas", -1);
    return !object_is_deleting(set) && t.pods == want && t.ready == want &&
           (int64_t)runtime_fake_running(w->runtime) == want &&
           json_get_int(status, "readyReplicas", 0) == want &&
           json_get_int(status, "updatedReplicas", 0) == want;
}

static bool print_object(void *data, struct object *o)
{
    (void)data;
    (void)printf("%.*s\n", SPAN_ARG(object_json(o)));
    return true;
}

/* What a convergence that fails leaves for the reader. */
static void dump(struct platform *w)
{
    static const struct span resources[] = {
        {"statefulsets.apps", 17}, {"pods", 4}, {"persistentvolumeclaims", 22}};
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        const struct watch_filter all = {.resource = resources[i]};
        (void)watch_hub_list(w->hub, &all, SPAN_NULL, print_object, NULL);
    }
    (void)printf("%zu containers run\n", runtime_fake_running(w->runtime));
    (void)fflush(stdout);
}

void platform_settle(struct platform *w)
{
    w->disk_full = false;
    if (!w->program) {
        start(w);
    }
    for (int64_t ms = 0; !at_rest(w); ms += 1000) {
        if (ms >= SETTLE_MS) {
            dump(w);
        }
        assert(ms < SETTLE_MS); /* faults have stopped: it must converge */
        env_sim_run_for(w->machine, 1000);
        check(w);
    }
    say(w, "at rest");
}

struct platform *platform_new(uint64_t seed, bool show)
{
    struct platform *w = MEM_NEW(struct platform);
    w->random = (seed + 1) * 0x9e3779b97f4a7c15u;
    w->show = show;
    w->machine = env_sim_new(seed);
    w->disk = store_memory_disk_new();
    w->runtime = runtime_fake_new(w->machine);
    start(w);
    return w;
}

struct platform_figures platform_figures(const struct platform *w)
{
    struct platform_figures f = w->figures;
    f.starts = runtime_fake_starts(w->runtime);
    return f;
}

void platform_free(struct platform *w)
{
    if (!w) {
        return;
    }
    if (w->program) {
        kill_program(w);
    }
    w->runtime->ops->free(w->runtime);
    store_memory_disk_free(w->disk);
    env_sim_crash(w->machine);
    free(w);
}
