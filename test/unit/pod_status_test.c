/* test/unit/pod_status_test.c: plan/pod_status_same: two statuses are the same when they are
 * written alike, and a copy points to nothing of what it is of. */
#include "base/mem.h"
#include "kit/kit.h"
#include "plan/pod_status_json.h"

enum { TEXTS = 6 + 4 + 2 * (5 + 3 + 3) };

/* Everything that a status can say, each member apart from the others. */
struct full {
    struct pod_status s;
    struct pod_condition condition;
    struct pod_container_status main, init;
    char text[TEXTS][24];
};

static void fill_state(struct full *f, int *at, struct pod_state *s)
{
    struct span *texts[] = {&s->reason, &s->message, &s->container_id};
    for (size_t i = 0; i < 3; i++) {
        *texts[i] = span_cstr(f->text[(*at)++]);
    }
    s->kind = POD_STATE_TERMINATED;
    s->exit_code = 3;
    s->signal = 9;
    s->started_ms = 5000;
    s->finished_ms = 6000;
}

static void fill_container(struct full *f, int *at, struct pod_container_status *c)
{
    struct span *texts[] = {&c->name, &c->image, &c->image_id, &c->container_id};
    for (size_t i = 0; i < 4; i++) {
        *texts[i] = span_cstr(f->text[(*at)++]);
    }
    snprintf(f->text[*at], sizeof f->text[*at], "{\"a\":\"%d\"}", *at);
    c->resources = span_cstr(f->text[(*at)++]);
    fill_state(f, at, &c->state);
    fill_state(f, at, &c->last);
    c->restart_count = 4;
}

static void fill(struct full *f)
{
    *f = (struct full){.s = {.start_ms = 7000, .condition_count = 1, .main_count = 1}};
    f->s.conditions = &f->condition;
    f->s.mains = &f->main;
    f->s.inits = &f->init;
    f->s.init_count = 1;
    f->condition.transition_ms = 8000;
    for (int i = 0; i < TEXTS; i++) {
        snprintf(f->text[i], sizeof f->text[i], "text-%d", i);
    }
    struct span *texts[] = {&f->s.phase,          &f->s.reason,         &f->s.message,
                            &f->s.host_ip,        &f->s.pod_ip,         &f->s.qos_class,
                            &f->condition.type,   &f->condition.status, &f->condition.reason,
                            &f->condition.message};
    int at = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i] = span_cstr(f->text[at++]);
    }
    fill_container(f, &at, &f->main);
    fill_container(f, &at, &f->init);
    CHECK_EQ(at, TEXTS);
}

/* Changes the nth number; false: there are no more. */
static bool change_number(struct full *f, int n)
{
    int64_t *times[] = {&f->s.start_ms,
                        &f->condition.transition_ms,
                        &f->main.state.started_ms,
                        &f->main.state.finished_ms,
                        &f->init.last.started_ms,
                        &f->init.last.finished_ms};
    bool *flags[] = {&f->main.ready, &f->main.started, &f->init.ready};
    int32_t *codes[] = {&f->main.state.exit_code, &f->main.last.signal};
    enum { TIMES = 6, FLAGS = 3, CODES = 2 };
    if (n < TIMES) {
        *times[n] += 1000;
    } else if (n < TIMES + FLAGS) {
        *flags[n - TIMES] ^= true;
    } else if (n < TIMES + FLAGS + CODES) {
        *codes[n - TIMES - FLAGS] += 1;
    } else if (n == TIMES + FLAGS + CODES) {
        f->init.restart_count++;
    } else if (n == TIMES + FLAGS + CODES + 1) {
        f->main.state.kind = POD_STATE_RUNNING;
    } else if (n == TIMES + FLAGS + CODES + 2) {
        f->s.condition_count = 0;
    } else if (n == TIMES + FLAGS + CODES + 3) {
        f->s.init_count = 0;
    } else {
        return false;
    }
    return true;
}

static bool is_written_alike(const struct pod_status *x, const struct pod_status *y)
{
    struct arena *a = arena_new();
    struct json_build one = json_build_new(a), other = json_build_new(a);
    pod_status_json(&one, SPAN("status"), x);
    pod_status_json(&other, SPAN("status"), y);
    bool same = json_same(json_build_done(&one), json_build_done(&other));
    arena_free(a);
    return same;
}

TEST(each_member_of_a_status_makes_it_another_one)
{
    struct full x, y;
    for (int i = 0; i < TEXTS; i++) {
        fill(&x);
        fill(&y);
        CHECK(pod_status_same(&x.s, &y.s));
        char *digit = y.text[i] + strcspn(y.text[i], "0123456789");
        *digit = '_';
        CHECK(!pod_status_same(&x.s, &y.s));
        CHECK(!is_written_alike(&x.s, &y.s));
    }
    int n = 0;
    for (fill(&y); change_number(&y, n); fill(&y), n++) {
        CHECK(!pod_status_same(&x.s, &y.s));
        CHECK(!is_written_alike(&x.s, &y.s));
    }
    CHECK(n > 12);
}

TEST(a_time_within_the_same_second_is_the_same_time)
{
    struct full x, y;
    fill(&x);
    fill(&y);
    y.condition.transition_ms += 999;
    CHECK(pod_status_same(&x.s, &y.s));
    CHECK(is_written_alike(&x.s, &y.s));
    y.condition.transition_ms = 0;
    CHECK(!pod_status_same(&x.s, &y.s));
}

TEST(a_copy_stays_when_what_it_is_of_goes)
{
    struct full x, *y = MEM_NEW(struct full);
    struct arena *a = arena_new();
    fill(&x);
    fill(y);
    struct pod_status copy = pod_status_copy(a, &y->s);
    memset(y, 0xee, sizeof *y);
    free(y);
    CHECK(pod_status_same(&x.s, &copy));
    CHECK(is_written_alike(&x.s, &copy));
    arena_free(a);
}
