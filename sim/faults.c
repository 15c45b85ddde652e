/* sim/faults.c: what goes wrong in a history. */
#include "client/client_body.h"
#include "runtime/runtime_fake.h"
#include "schema/kinds.h"
#include "sim/env_sim.h"
#include "sim/platform_priv.h"

static struct sim_node *some_node(struct platform *w)
{
    return &w->nodes[sim_roll(w, NODES)];
}

static void container_exits(struct platform *w)
{
    struct arena *a cleanup_arena = arena_new();
    size_t at = (size_t)sim_roll(w, ORDINALS);
    for (size_t i = 0; i < ORDINALS && !w->seats[at].ready; i++) {
        at = (at + 1) % ORDINALS;
    }
    const struct sim_seat *s = &w->seats[at];
    for (int attempt = 0; s->uid[0] && attempt < 30; attempt++) {
        struct span id = arena_printf(a, "%s-redis-%d", s->uid, attempt);
        for (size_t n = 0; n < NODES; n++) {
            if (runtime_fake_exit(w->nodes[n].runtime, id, (int32_t)sim_roll(w, 3))) {
                sim_say(w, "the container of redis-%d ends", (int)(s - w->seats));
                sim_saw(w, SIM_DEED_CONTAINER_EXIT);
                return;
            }
        }
    }
}

static void kill_program(struct platform *w)
{
    sim_say(w, "the whole program is killed");
    sim_saw(w, SIM_DEED_KILL_PROGRAM);
    if (w->env) {
        sim_kill_server(w);
    }
    if (w->controllers_env) {
        sim_kill_controllers(w);
    }
    if (w->nodes[0].env) {
        sim_kill_node(w, &w->nodes[0]);
    }
}

static void kill_role(struct platform *w)
{
    struct sim_node *n = some_node(w);
    switch (sim_roll(w, 3)) {
    case 0:
        if (w->env) {
            sim_say(w, "the server is killed");
            sim_saw(w, SIM_DEED_KILL_SERVER);
            sim_kill_server(w);
        }
        break;
    case 1:
        if (w->controllers_env) {
            sim_say(w, "the controllers are killed");
            sim_saw(w, SIM_DEED_KILL_CONTROLLERS);
            sim_kill_controllers(w);
        }
        break;
    default:
        if (n->env) {
            sim_say(w, "the agent of node %s is killed", n->name);
            sim_saw(w, SIM_DEED_KILL_AGENT);
            sim_kill_node(w, n);
        }
        break;
    }
}

static void machine_goes_down(struct platform *w)
{
    struct sim_node *n = some_node(w);
    sim_say(w, "the machine %s goes down", n->name);
    if (n == &w->nodes[0]) {
        kill_program(w);
    } else if (n->env) {
        sim_kill_node(w, n);
    }
    runtime_fake_reboot(n->runtime, sim_roll(w, 2));
    n->down_ms = sim_now_ms(w);
    sim_saw(w, SIM_DEED_MACHINE_DOWN);
}

static void cut_or_mend(struct platform *w)
{
    struct sim_node *n = some_node(w);
    sim_cut_node(w, n, !n->is_cut);
    if (n->is_cut) {
        sim_saw(w, SIM_DEED_NODE_CUT);
    }
    if (n->is_cut && sim_roll(w, 2)) { /* long enough to be noticed */
        sim_run_for(w, 60000 + (int64_t)sim_roll(w, 400000));
    }
}

static void weather_turns(struct platform *w)
{
    static const struct link_weather kinds[] = {
        {.late_ms = 1},
        {.late = 100, .late_ms = 20},
        {.late = 500, .late_ms = 300},
        {.refuse = 100, .late_ms = 1},
        {.lose_reply = 100, .late_ms = 50},
        {.break_off = 100, .late_ms = 1},
        {.refuse = 50, .lose_reply = 50, .late = 200, .break_off = 50, .late_ms = 200},
        {.twice = 300, .late = 100, .late_ms = 50}, /* the last one: not in narrow histories */
    };
    size_t kind = (size_t)sim_roll(w, sizeof kinds / sizeof *kinds - w->narrow);
    sim_say(w,
            "the links: refused %u, lost %u, late %u of up to %lld ms, broken off %u, "
            "told twice %u in 1000",
            kinds[kind].refuse, kinds[kind].lose_reply, kinds[kind].late,
            (long long)kinds[kind].late_ms, kinds[kind].break_off, kinds[kind].twice);
    sim_set_weather(w, &kinds[kind]);
}

static void disk_fails(struct platform *w)
{
    w->disk_full = !w->disk_full && sim_roll(w, 2);
    w->store_errors = w->disk_full ? 0 : w->store_errors ? 0 : 200;
    sim_say(w, "the disk %s",
            w->disk_full      ? "is full"
            : w->store_errors ? "fails now and then"
                              : "is well");
}

/* ---- in the act ---- */

static void lay_ambush(struct platform *w)
{
    static const struct schema_kind *const kinds[] = {
        NULL,
        SCHEMA_KIND(Pod),
        SCHEMA_KIND(PersistentVolumeClaim),
        SCHEMA_KIND(PersistentVolume),
        SCHEMA_KIND(ControllerRevision),
        SCHEMA_KIND(StatefulSet),
    };
    uint64_t which = sim_roll(w, sizeof kinds / sizeof *kinds);
    w->ambush.kind = kinds[which];
    w->ambush.at_start = sim_roll(w, 4) == 0;
    w->ambush.left = 1 + sim_roll(w, w->ambush.kind ? 6 : 40);
    w->ambush.returns = sim_roll(w, 2);
    sim_say(w, "an ambush is laid: %s %llu from now",
            w->ambush.at_start ? "container start"
            : w->ambush.kind   ? w->ambush.kind->kind
                               : "write",
            (unsigned long long)w->ambush.left);
}

void sim_ambush_sees(struct platform *w, const struct schema_kind *kind)
{
    bool is_it = w->ambush.at_start ? !kind : kind && (!w->ambush.kind || w->ambush.kind == kind);
    if (w->ambush.left > 0 && is_it) {
        w->ambush.sprung = --w->ambush.left == 0;
    }
}

void sim_ambush_strikes(struct platform *w)
{
    w->ambush.sprung = false;
    sim_saw(w, SIM_DEED_AMBUSH);
    sim_say(w, "killed in the act:");
    if (sim_roll(w, 5) == 0) {
        kill_program(w);
    } else {
        kill_role(w);
    }
    if (w->ambush.returns) {
        sim_start_missing(w);
    }
}

void sim_fault(struct platform *w)
{
    int64_t jump = (int64_t)sim_roll(w, 3600000);
    switch (sim_roll(w, 10)) {
    case 9:
        lay_ambush(w);
        break;
    case 0:
        kill_program(w);
        sim_run_for(w, (int64_t)sim_roll(w, 3000));
        break;
    case 1:
    case 2:
        kill_role(w);
        break;
    case 3:
        machine_goes_down(w);
        break;
    case 4:
        container_exits(w);
        break;
    case 5:
        disk_fails(w);
        break;
    case 6:
        cut_or_mend(w);
        break;
    case 7:
        weather_turns(w);
        break;
    default:
        /* Back only where no pod waits by the wall clock: it would for as long as the jump. */
        jump = w->has_min_ready || sim_roll(w, 2) ? jump : -jump;
        platform_jump_wall(w, jump);
        sim_saw(w, jump > 0 ? SIM_DEED_CLOCK_FORWARD : SIM_DEED_CLOCK_BACK);
        sim_say(w, "the wall clock jumps by %lld s", (long long)jump / 1000);
        break;
    }
}

void sim_faults_end(struct platform *w)
{
    static const struct link_weather fair = {.late_ms = 1};
    w->disk_full = false;
    w->store_errors = 0;
    w->ambush.left = 0;
    sim_set_weather(w, &fair);
    for (size_t i = 0; i < NODES; i++) {
        sim_cut_node(w, &w->nodes[i], false);
    }
}
