/* sim/platform.c: the roles of a history and its steps. See platform.h. */
#include "sim/platform.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "apiserver/apiserver.h"
#include "base/check.h"
#include "controller/controllers.h"
#include "kubelet/kubelet.h"
#include "kubelet/kubelet_images.h"
#include "runtime/runtime_fake.h"
#include "schema/kinds.h"
#include "schema/schema.h"
#include "sim/chance.h"
#include "sim/check.h"
#include "sim/env_sim.h"
#include "sim/near.h"
#include "sim/neighbours.h"
#include "sim/platform_priv.h"
#include "sim/ranks.h"
#include "sim/reader.h"
#include "store/store.h"

enum {
    SETTLE_MS = 30 * 60 * 1000,
    START_LIMIT_MS = 5000,
    SQLITE_SHARE = 6,
    SMALL_SHARE = 2,
    LOG_SIZES = 7,
    FIRST_START_SHARE = 8,
    READER_SHARE = 8
};

/* ---- chance, words ---- */

uint64_t sim_roll(struct platform *w, uint64_t n)
{
    return chance_below(&w->random, n);
}

void sim_say(struct platform *w, const char *fmt, ...)
{
    if (w->show) {
        va_list ap;
        va_start(ap, fmt);
        (void)printf("%9.3f s  ", (double)env_mono_ns(w->world) / 1e9);
        (void)vprintf(fmt, ap);
        (void)printf("\n");
        va_end(ap);
    }
}

void sim_fail(struct platform *w, const char *checker, const char *fmt, ...)
{
    if (w->violation[0]) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(w->story, sizeof w->story, fmt, ap);
    va_end(ap);
    (void)snprintf(w->violation, sizeof w->violation, "%s", checker);
    sim_say(w, "BROKEN PROMISE %s: %s", w->violation, w->story);
}

const char *platform_violation(const struct platform *w, const char **ret_story)
{
    if (ret_story) {
        *ret_story = w->story;
    }
    return w->violation[0] ? w->violation : NULL;
}

void sim_saw(struct platform *w, enum sim_deed deed)
{
    w->figures.deeds[deed].asked++;
    w->figures.deeds[deed].done++;
}

void sim_asked(struct platform *w, enum sim_deed deed)
{
    w->figures.deeds[deed].asked++;
    w->figures.deeds[deed].done += w->answered && w->answer == ERR_NONE;
}

int64_t sim_forward_ms(const struct platform *w)
{
    return sim_now_ms(w) + w->jumped_ms;
}

int64_t sim_now_ms(const struct platform *w)
{
    return env_mono_ns(w->world) / 1000000;
}

int64_t sim_window_ms(const struct platform *w)
{
    /* While the server was away nobody could look. */
    bool was_away = sim_now_ms(w) - w->started_ms <= WINDOW_MS;
    /* A sync by a view that is late makes a revision, a claim, then the pod: six late messages. */
    return WINDOW_MS + 3 * w->weather.late_ms + (w->has_min_ready ? MIN_READY_MS : 0) +
           (was_away ? w->started_ms - w->killed_ms : 0);
}

int sim_ordinal(struct span name, const char *prefix)
{
    uint64_t n = 0;
    struct span start = span_cstr(prefix);
    return span_starts(name, start) && span_to_u64(span_from(name, start.n), &n) && n < ORDINALS
               ? (int)n
               : -1;
}

/* ---- links ---- */

static bool on_request(void *data, struct arena *a, struct client_request *rq)
{
    struct platform *w = data;
    if (w->plant->on_request && !w->plant->on_request(w->plant->data, a, rq)) {
        return false;
    }
    record_pull(w->record);
    check_order(w, rq);
    check_orphans(w, rq);
    check_status_write(w, rq);
    check_rollback_write(w, rq);
    neighbours_on_request(w, rq);
    rules_on_request(w, rq);
    check_space(w, rq);
    ranks_on_request(w, rq);
    if (rq->verb != CLIENT_GET && rq->verb != CLIENT_LIST) {
        sim_ambush_sees(w, rq->kind);
    }
    return true;
}

void sim_note_acked(struct platform *w, enum client_verb verb, const struct client_reply *r,
                    int64_t from_rev)
{
    struct span key = r->object ? object_store_key(r->object) : SPAN_NULL, resource = key;
    bool wrote = verb != CLIENT_GET && verb != CLIENT_LIST && r->err.reason == ERR_NONE;
    struct sim_acked acked = {.rev = r->object ? object_rev(r->object) : 0, .from_rev = from_rev};
    if (wrote && r->object && record_has_resource(span_cut(&resource, '/')) &&
        key.n < sizeof acked.key) {
        memcpy(acked.key, key.p, key.n);
        VEC_PUSH(&w->acked, acked);
    }
}

static void on_reply(void *data, const struct client_request *rq, const struct client_reply *r,
                     int64_t from_rev)
{
    struct platform *w = data;
    sim_note_acked(w, rq->verb, r, from_rev);
    if (r->err.reason != ERR_NONE) {
        rules_on_refused(w, rq, &r->err);
    }
}

static struct object *on_event(void *data, struct object *o)
{
    struct platform *w = data;
    return w->plant->on_event ? w->plant->on_event(w->plant->data, o) : NULL;
}

static struct link *make_link(struct platform *w, struct env *env, bool of_controllers)
{
    const struct link_taps taps = {.on_request = on_request,
                                   .on_reply = on_reply,
                                   .on_orphan = sim_note_orphan,
                                   .on_event = of_controllers ? on_event : NULL,
                                   .data = w,
                                   .deeds = w->figures.deeds};
    struct link *l = link_new(env, sim_roll(w, UINT64_MAX), &taps);
    link_set_weather(l, &w->weather);
    if (w->client) {
        link_connect(l, w->client);
    }
    return l;
}

void sim_set_weather(struct platform *w, const struct link_weather *weather)
{
    w->weather = *weather;
    if (w->controllers_env) {
        link_set_weather(w->controllers_link, weather);
    }
    for (size_t i = 0; i < NODES; i++) {
        if (w->nodes[i].env) {
            link_set_weather(w->nodes[i].link, weather);
        }
    }
}

static void connect_links(struct platform *w, struct client *server)
{
    if (w->controllers_env) {
        link_connect(w->controllers_link, server);
    }
    for (size_t i = 0; i < NODES; i++) {
        if (w->nodes[i].env) {
            link_connect(w->nodes[i].link, server);
        }
    }
}

/* ---- the server ---- */

static int disk_fails(struct platform *w, uint32_t per_mille)
{
    if (w->disk_full) {
        sim_saw(w, SIM_DEED_DISK_FULL);
        return -ENOSPC;
    }
    if (per_mille > 0 && sim_roll(w, 1000) < per_mille) {
        sim_saw(w, SIM_DEED_DISK_ERROR);
        return -EIO;
    }
    return 0;
}

static int commit_fails(void *data, uint64_t number)
{
    struct platform *w = data;
    (void)number;
    return disk_fails(w, w->store_errors);
}

/* Of several that a commit is. */
static int write_fails(void *data)
{
    struct platform *w = data;
    return disk_fails(w, w->opening ? 0 : w->store_errors / 4);
}

/* The machine and what was not synced. */
static void restart_disk(struct platform *w)
{
    struct sim_disk_loss loss = sim_disk_restart(w->disk, sim_roll(w, 2));
    const struct {
        enum sim_deed deed;
        uint64_t n;
    } all[] = {{SIM_DEED_TORN, loss.torn},
               {SIM_DEED_UNSYNCED, loss.lost},
               {SIM_DEED_DROPPED, loss.dropped}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        w->figures.deeds[all[i].deed].done += all[i].n;
        w->figures.deeds[all[i].deed].asked += all[i].n;
    }
}

/* While the store is opened and mends what the last one left behind, it may be killed again. */
static struct store *open_on_disk(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    for (;;) {
        bool dies = !w->calm && sim_roll(w, 4) == 0;
        struct store *s = NULL;
        struct span why = SPAN_NULL;
        if (dies) {
            sim_disk_stop(w->disk, sim_roll(w, 24));
        }
        w->opening = true;
        int code = store_sqlite_open_on(w->env, sim_disk_vfs(w->disk), "berth.db", &s, a, &why);
        w->opening = false;
        if (!dies) {
            if (code < 0) {
                sim_fail(w, "recovery", "%.*s", SPAN_ARG(why));
            }
            return s;
        }
        sim_say(w, "the server is killed while it opens its store");
        sim_saw(w, SIM_DEED_KILL_OPENING);
        if (s) {
            store_crash(s);
        }
        restart_disk(w);
    }
}

/* NULL: it cannot be opened, which breaks a promise. */
static struct store *open_store(struct platform *w)
{
    const struct store_memory_options o = {
        .latency_ms = (int64_t)sim_roll(w, 4), .fail = commit_fails, .data = w};
    if (!w->disk && w->plant->disk_lies && w->figures.crashes > 0) {
        store_memory_disk_free(w->rows);
        w->rows = store_memory_disk_new();
    }
    struct store *s = w->disk ? open_on_disk(w) : store_memory_open(w->env, w->rows, &o);
    if (s) {
        store_shrink(s, w->history_versions, w->log_bytes);
    }
    return s;
}

void sim_start_server(struct platform *w)
{
    const struct apiserver_options ao = {.service_cidr = SPAN("10.43.0.0/16"),
                                         .cluster_dns = SPAN("10.43.0.10"),
                                         .server_address = SPAN("10.42.0.1:6443"),
                                         .git_version = SPAN("v1.34.0+berth"),
                                         .platform = SPAN("linux/amd64"),
                                         .public_url = SPAN("https://127.0.0.1:6443"),
                                         .no_default_roles = true};
    assert(!w->env);
    w->env = env_sim_join(w->world);
    w->store = open_store(w);
    if (!w->store) {
        env_sim_crash(TAKE_PTR(w->env));
        return;
    }
    w->hub = watch_hub_new(w->env, w->store);
    record_connect(w->record, w->hub);
    record_connect(w->slow, w->hub);
    w->started_ms = sim_now_ms(w);
    w->server_life++;
    w->is_catching_up = true; /* what was stored and not told is from before */
    record_pull(w->record);
    w->is_catching_up = false;
    w->api = apiserver_new(w->env, w->store, w->hub, &ao);
    w->client = apiserver_local_client(w->api);
    for (int ms = 0; !apiserver_is_ready(w->api); ms += 10) {
        assert(ms < START_LIMIT_MS);
        env_sim_run_for(w->world, 10);
    }
    connect_links(w, w->client);
    if (w->reader) {
        reader_server_starts(w->reader);
    }
    check_status_started(w);
    sim_say(w, "the server starts, revision %lld", (long long)store_durable_rev(w->store));
}

void sim_kill_server(struct platform *w)
{
    connect_links(w, NULL);
    client_cancel(w->client, w); /* a user waits in vain */
    record_pull(w->record);
    record_connect(w->record, NULL);
    record_connect(w->slow, NULL);
    client_free(w->client);
    if (w->reader) {
        reader_server_dies(w->reader);
    }
    apiserver_free(w->api);
    watch_hub_free(w->hub);
    if (w->disk) {
        sim_disk_stop(w->disk, sim_roll(w, 16)); /* in the midst of a commit, if there is one */
    }
    store_die(w->store); /* with its writes the server's memory goes */
    if (w->disk) {
        restart_disk(w);
        if (w->plant->disk_rots) {
            sim_disk_rot(w->disk);
        }
    }
    env_sim_crash(w->env);
    w->killed_ms = sim_now_ms(w);
    w->killed_forward_ms = sim_forward_ms(w);
    w->env = NULL;
    w->client = NULL;
    w->figures.crashes++;
}

/* ---- controllers, node agents ---- */

void sim_start_controllers(struct platform *w)
{
    const struct controllers_options o = {.node_name = SPAN("edge"),
                                          .volume_dir = SPAN("/data/volumes"),
                                          .volumes = volumes_ops(w->volumes)};
    assert(!w->controllers_env);
    w->trouble_from_ms = w->trouble_ms = w->calm_ms = w->listed_ms = sim_now_ms(w);
    w->controllers_ms = sim_now_ms(w);
    w->controllers_env = env_sim_join(w->world);
    w->controllers_link = make_link(w, w->controllers_env, true);
    w->controllers = controllers_new(w->controllers_env, link_client(w->controllers_link), &o);
}

void sim_kill_controllers(struct platform *w)
{
    controllers_free(w->controllers);
    volumes_kill(w->volumes);
    link_free(w->controllers_link);
    env_sim_crash(w->controllers_env);
    w->controllers_env = NULL;
    w->figures.crashes++;
}

void sim_start_node(struct platform *w, struct sim_node *n)
{
    const struct kubelet_options o = {.node_name = span_cstr(n->name),
                                      .node_ip = span_cstr(n->ip),
                                      .cluster_dns = SPAN("10.43.0.10"),
                                      .cluster_domain = SPAN("cluster.local"),
                                      .version = SPAN("v1.34.0+berth"),
                                      .runtime_scheme = SPAN("fake"),
                                      .runtime_version = SPAN("fake://1"),
                                      .runtime = n->runtime,
                                      .images = NULL,
                                      .no_files = true,
                                      .made_up = true};
    assert(!n->env);
    n->env = env_sim_join(w->world);
    n->link = make_link(w, n->env, false);
    link_cut(n->link, n->is_cut);
    struct kubelet_options with_images = o;
    with_images.images = n->images = kubelet_images_fake_new(n->env);
    n->kubelet = kubelet_new(n->env, link_client(n->link), &with_images);
}

void sim_kill_node(struct platform *w, struct sim_node *n)
{
    runtime_fake_cut(n->runtime);
    kubelet_free(n->kubelet);
    kubelet_images_free(n->images);
    link_free(n->link);
    env_sim_crash(n->env);
    n->env = NULL;
    w->figures.crashes++;
}

void sim_cut_node(struct platform *w, struct sim_node *n, bool cut)
{
    sim_say(w, "the node %s %s", n->name, cut ? "vanishes" : "is back");
    n->is_cut = cut;
    if (n->env) {
        link_cut(n->link, cut);
    }
}

void sim_start_missing(struct platform *w)
{
    if (!w->env) {
        sim_start_server(w);
    }
    if (!w->controllers_env) {
        sim_start_controllers(w);
    }
    for (size_t i = 0; i < NODES; i++) {
        if (!w->nodes[i].env) {
            sim_start_node(w, &w->nodes[i]);
        }
    }
}

/* ---- turns ---- */

/* After each turn: what was told, and what can be said of it at once. */
static void look(struct platform *w)
{
    for (size_t i = 0; i < NODES; i++) {
        if (runtime_fake_most_alive(w->nodes[i].runtime) > 1) {
            sim_fail(w, "identity", "two processes of one container on %s", w->nodes[i].name);
        }
    }
    record_pull(w->record);
    check_acknowledged(w);
    check_status(w);
}

bool sim_one_turn(struct platform *w, int64_t until_ms)
{
    int64_t due_ms = sim_next_orphan_ms(w, until_ms);
    bool more = env_sim_step_until(w->world, due_ms) || due_ms < until_ms;
    if (w->ambush.sprung) {
        sim_ambush_strikes(w);
    }
    if (w->orphans.n > 0) {
        sim_send_orphans(w, false);
    }
    look(w);
    return more && !w->violation[0];
}

void sim_run_for(struct platform *w, int64_t ms)
{
    int64_t until_ms = sim_now_ms(w) + ms;
    while (sim_one_turn(w, until_ms)) {
    }
}

/* ---- the course of a history ---- */

static void check_step(struct platform *w)
{
    look(w);
    ranks_look(w);
    allowance_look(w);
    record_check(w->record);
    if (sim_roll(w, 5) == 0) {
        record_check(w->slow);
    } else {
        sim_saw(w, SIM_DEED_SLOW_WATCHER);
    }
}

void platform_step(struct platform *w)
{
    if (w->violation[0]) {
        return;
    }
    w->figures.steps++;
    if (w->calm || sim_roll(w, 4) > 0) {
        sim_start_missing(w);
        sim_user_acts(w);
    } else {
        sim_fault(w);
    }
    if (w->reader) {
        reader_act(w->reader);
    }
    if (sim_roll(w, 2)) {
        int64_t until_ms = sim_now_ms(w) + 500;
        for (uint64_t n = sim_roll(w, 60); n > 0 && sim_one_turn(w, until_ms); n--) {
        }
    } else {
        sim_run_for(w, (int64_t)sim_roll(w, sim_roll(w, 4) ? 200 : 5000));
    }
    check_step(w);
}

void platform_run_for(struct platform *w, int64_t ms)
{
    for (int64_t left = ms; left > 0 && !w->violation[0]; left -= 100) {
        sim_run_for(w, left < 100 ? left : 100);
        check_step(w);
    }
}

void platform_fault(struct platform *w, enum platform_fault fault, size_t node)
{
    assert(node < NODES);
    switch (fault) {
    case PLATFORM_KILL_SERVER:
        sim_kill_server(w);
        break;
    case PLATFORM_KILL_CONTROLLERS:
        sim_kill_controllers(w);
        break;
    case PLATFORM_KILL_AGENT:
        sim_kill_node(w, &w->nodes[node]);
        break;
    case PLATFORM_CUT_NODE:
    case PLATFORM_MEND_NODE:
        sim_cut_node(w, &w->nodes[node], fault == PLATFORM_CUT_NODE);
        break;
    case PLATFORM_FILL_DISK:
        w->disk_full = true;
        break;
    case PLATFORM_START_ALL:
        sim_start_missing(w);
        break;
    }
}

void platform_late(struct platform *w, int64_t ms)
{
    sim_set_weather(w, &(struct link_weather){.late = 1000, .late_ms = ms});
}

void platform_slow(struct platform *w, int64_t replies_ms, int64_t events_ms)
{
    sim_set_weather(
        w, &(struct link_weather){.replies_ms = replies_ms, .events_ms = events_ms, .late_ms = 1});
}

void platform_jump_wall(struct platform *w, int64_t ms)
{
    env_sim_jump_wall(w->world, ms);
    if (ms > 0) {
        w->jumped_ms += ms;
        w->jump_ms = ms;
        w->jump_at_ms = sim_now_ms(w);
    }
}

void platform_settle(struct platform *w)
{
    if (w->violation[0]) {
        return;
    }
    sim_faults_end(w);
    sim_start_missing(w);
    const char *why = NULL;
    for (int64_t ms = 0; !w->violation[0]; ms += 1000) {
        if (ms % 60000 == 0) {
            sim_users_tidy_up(w);
        }
        sim_run_for(w, 1000);
        check_step(w);
        why = check_rest(w);
        if (!why) {
            break;
        }
        if (ms >= SETTLE_MS) {
            sim_fail(w, "convergence", "not at rest after half an hour: %s", why);
            sim_dump(w);
        }
    }
    sim_say(w, "at rest");
}

/* ---- life ---- */

static void on_wrong(void *data, const char *checker, const char *text)
{
    sim_fail(data, checker, "%s", text);
}

static int64_t forgotten_rev(void *data)
{
    struct platform *w = data;
    return store_compact_rev(w->store);
}

static void on_forgotten(void *data)
{
    struct platform *w = data;
    w->forgotten_ms = sim_now_ms(w);
    sim_saw(w, SIM_DEED_FORGOTTEN);
}

static bool on_watch(void *data, struct watch_event *e)
{
    struct platform *w = data;
    return !w->plant->on_watch || w->plant->on_watch(w->plant->data, e);
}

static void on_change(void *data, struct object *old, struct object *now, int64_t rev)
{
    struct platform *w = data;
    (void)rev;
    check_claims(w, old, now); /* before the rules know of it */
    rules_on_change(w, old, now);
    neighbours_on_change(w, old, now);
    custom_on_change(w, old, now);
    jobs_on_change(w, old, now);
    lone_on_change(w, old, now);
    users_on_change(w, old, now);
    near_on_change(w, old, now);
    ranks_on_change(w, old, now);
}

static void on_start(void *data, struct span ns, struct span name, struct span uid)
{
    struct platform *w = data;
    check_identity(w, ns, name, uid);
    check_host_ports(w, ns, name, uid);
    volumes_on_start(w->volumes, ns, name, uid);
    sim_ambush_sees(w, NULL);
}

static struct store_memory_disk *first_rows(const struct platform_options *o)
{
    bool starts_first = chance_mix(o->seed + 9) % FIRST_START_SHARE == 0;
    return o->first_start && !starts_first ? store_memory_disk_copy(o->first_start)
                                           : store_memory_disk_new();
}

struct store_memory_disk *platform_first_start(void)
{
    const struct platform_options o = {.calm = true, .disk = PLATFORM_DISK_ROWS};
    struct platform *w = platform_new(&o);
    struct store_memory_disk *rows = store_memory_disk_copy(w->rows);
    platform_free(w);
    return rows;
}

struct platform *platform_new(const struct platform_options *o)
{
    static const struct platform_plant none = {0};
    struct platform *w = MEM_NEW(struct platform);
    w->seed = o->seed;
    /* Mixed: seeds one step of the generator apart would tell the same story, one roll later. */
    w->random = o->chance ? o->chance : chance_mix(o->seed + 1);
    w->show = o->show;
    w->calm = o->calm;
    w->narrow = o->narrow;
    w->plant = o->plant ? o->plant : &none;
    w->world = env_sim_new(o->seed);
    w->rows = first_rows(o);
    if (o->disk == PLATFORM_DISK_SQLITE ||
        (o->disk == PLATFORM_DISK_BY_SEED && chance_mix(~o->seed) % SQLITE_SHARE == 0)) {
        w->disk = sim_disk_new(chance_mix(o->seed), write_fails, w);
        if (w->plant->disk_lies) {
            sim_disk_lie(w->disk);
        }
    }
    if (o->disk != PLATFORM_DISK_ROWS && chance_mix(o->seed + 6) % SMALL_SHARE == 0) {
        w->history_versions = 40 + (size_t)(chance_mix(o->seed + 7) % 200);
    }
    /* The longest ones are never copied; each server that starts reads them once more. */
    w->log_bytes = (size_t)(64 << (chance_mix(o->seed + 8) % LOG_SIZES)) << 10;
    w->has_min_ready = sim_roll(w, 4) == 0;
    VEC_PUSH(&w->rules, ((struct sim_rules){.until_ms = INT64_MAX}));
    VEC_PUSH(&w->moments, ((struct sim_moment){.until_ms = INT64_MAX}));
    const struct record_handler prompt = {on_change,     on_wrong,     on_watch,
                                          forgotten_rev, on_forgotten, w};
    const struct record_handler plain = {.on_wrong = on_wrong,
                                         .forgotten_rev = forgotten_rev,
                                         .on_forgotten = on_forgotten,
                                         .data = w};
    w->record = record_new(&prompt);
    w->slow = record_new(&plain);
    static const char *const names[NODES] = {"edge", "far"}, *const ips[NODES] = {"192.0.2.1",
                                                                                  "192.0.2.2"};
    for (size_t i = 0; i < NODES; i++) {
        w->nodes[i] = (struct sim_node){
            .name = names[i], .ip = ips[i], .runtime = runtime_fake_new(w->world)};
        runtime_fake_on_start(w->nodes[i].runtime, on_start, w);
    }
    w->near = near_new();
    if (w->plant->on_http_event || (!o->narrow && chance_mix(o->seed + 10) % READER_SHARE == 0)) {
        w->reader = reader_new(w, chance_mix(o->seed + 11));
    }
    w->volumes = volumes_new(w);
    sim_start_missing(w);
    return w;
}

struct platform_figures platform_figures(const struct platform *w)
{
    struct platform_figures f = w->figures;
    f.turns = env_sim_turns(w->world);
    f.events = env_sim_happened(w->world);
    for (size_t i = 0; i < NODES; i++) {
        f.starts += runtime_fake_starts(w->nodes[i].runtime);
    }
    return f;
}

void platform_free(struct platform *w)
{
    if (!w) {
        return;
    }
    for (size_t i = 0; i < NODES; i++) {
        if (w->nodes[i].env) {
            sim_kill_node(w, &w->nodes[i]);
        }
        w->nodes[i].runtime->ops->free(w->nodes[i].runtime);
    }
    if (w->controllers_env) {
        sim_kill_controllers(w);
    }
    if (w->env) {
        sim_kill_server(w);
    }
    sim_send_orphans(w, true);
    VEC_DONE(&w->orphans);
    object_unref(w->edited);
    volumes_free(w->volumes);
    reader_free(w->reader);
    record_free(w->record);
    record_free(w->slow);
    store_memory_disk_free(w->rows);
    sim_disk_free(w->disk);
    env_sim_crash(w->world);
    for (size_t i = 0; i < w->forced.n; i++) {
        free(w->forced.at[i]);
    }
    VEC_DONE(&w->web);
    near_free(w->near);
    ranks_free(w->ranks);
    VEC_DONE(&w->forced);
    VEC_DONE(&w->rules);
    VEC_DONE(&w->moments);
    VEC_DONE(&w->acked);
    free(w);
}
