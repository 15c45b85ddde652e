/* The contract of env/env.h, run for the libuv environment and for its simulated twin. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "env/env.h"
#include "env/env_uv.h"
#include "kit/kit.h"
#include "sim/env_sim.h"

struct harness {
    struct env *env;
    bool is_sim, stop;
    char text[256]; /* what happened, in order */
    struct env_timer guard;
};

static struct harness h;

static void note(const char *what)
{
    size_t n = strlen(h.text), last = strlen(what) + 1;
    if (strcmp(what, "hook") == 0 && n >= last && strncmp(h.text + n - last, what, last - 1) == 0) {
        return; /* turns without input between */
    }
    snprintf(h.text + n, sizeof h.text - n, "%s ", what);
}

static void stop(void)
{
    h.stop = true;
    if (!h.is_sim) {
        env_uv_stop(h.env);
    }
}

static void on_guard(struct env_timer *timer)
{
    (void)timer;
    note("TOO LATE");
    stop();
}

/* Runs until stop(), at most ten seconds. */
static void run(void)
{
    h.stop = false;
    env_timer_start(h.env, &h.guard, 10000, on_guard);
    if (h.is_sim) {
        CHECK(env_sim_run_while(h.env, &h.stop));
    } else {
        env_uv_run(h.env);
    }
    env_timer_stop(h.env, &h.guard);
}

static void on_pause_over(struct env_timer *timer)
{
    (void)timer;
    stop();
}

static void run_for(int64_t ms)
{
    struct env_timer timer = {0};
    env_timer_start(h.env, &timer, ms, on_pause_over);
    do { /* a late callback of what went before may stop a run, not the pause */
        run();
    } while (env_timer_armed(&timer));
}

#define BOTH(name)                                                                                 \
    static void name(void);                                                                        \
    TEST(name##_uv)                                                                                \
    {                                                                                              \
        h.env = env_uv_new();                                                                      \
        name();                                                                                    \
        env_uv_free(h.env);                                                                        \
    }                                                                                              \
    TEST(name##_sim)                                                                               \
    {                                                                                              \
        for (int i = 0; i < 30; i++) {                                                             \
            h = (struct harness){.env = env_sim_new(kit_random()), .is_sim = true};                \
            name();                                                                                \
            env_sim_free(h.env);                                                                   \
        }                                                                                          \
    }                                                                                              \
    static void name(void)

/* ---- timers ---- */

struct alarm {
    struct env_timer timer;
    const char *name;
    int64_t due_ns;
    struct alarm *then; /* armed by this one's callback */
    int64_t then_ms;
};

static void on_alarm(struct env_timer *timer)
{
    struct alarm *a = CONTAINER_OF(timer, struct alarm, timer);
    CHECK(!env_timer_armed(timer));
    CHECK(env_mono_ns(h.env) >= a->due_ns); /* never early */
    note(a->name);
    if (a->then) {
        env_timer_start(h.env, &a->then->timer, a->then_ms, on_alarm);
        note("-");
    }
}

static void arm(struct alarm *a, const char *name, int64_t ms)
{
    a->name = name;
    a->due_ns = ms < INT64_MAX / 1000000 ? env_mono_ns(h.env) + ms * 1000000 : INT64_MAX;
    env_timer_start(h.env, &a->timer, ms, on_alarm);
}

BOTH(timers_fire_in_order_of_time_and_of_arming)
{
    struct alarm a[7] = {0};
    arm(&a[0], "20", 20);
    arm(&a[1], "5", 5);
    arm(&a[2], "0a", 0);
    arm(&a[3], "0b", 0);
    arm(&a[4], "stopped", 3);
    arm(&a[5], "rearmed", 1);
    arm(&a[6], "far", INT64_MAX);
    CHECK_SPAN(span_cstr(h.text), ""); /* never inside the call */
    env_timer_stop(h.env, &a[4].timer);
    CHECK(!env_timer_armed(&a[4].timer) && env_timer_armed(&a[5].timer));
    arm(&a[5], "rearmed", 12);
    run_for(60);
    CHECK_SPAN(span_cstr(h.text), "0a 0b 5 rearmed 20 ");
    CHECK(env_timer_armed(&a[6].timer));
    env_timer_stop(h.env, &a[6].timer);
    env_timer_stop(h.env, &a[6].timer);
}

static void on_task(struct env_task *task);
struct job {
    struct env_task task;
    const char *name;
    struct job *then, *cancel;
    struct alarm *alarm;
};
static void on_task(struct env_task *task)
{
    struct job *j = CONTAINER_OF(task, struct job, task);
    note(j->name);
    if (j->then) {
        env_post(h.env, &j->then->task, on_task);
    }
    if (j->cancel) {
        env_post_cancel(h.env, &j->cancel->task);
    }
    if (j->alarm) {
        arm(j->alarm, "timer", 0);
    }
}

static struct job hook_job;
static int hook_calls;
static void on_hook(struct env_hook *hook)
{
    (void)hook;
    note("hook");
    if (++hook_calls == 1) {
        env_post(h.env, &hook_job.task, on_task);
    }
}

BOTH(a_turn_is_tasks_in_order_then_hooks_then_the_next_input)
{
    struct alarm alarm = {0};
    struct job a = {.name = "a"}, b = {.name = "b"}, c = {.name = "c"}, d = {.name = "d"};
    struct env_hook hook = {0};
    hook_job = (struct job){.name = "posted", .alarm = &alarm};
    hook_calls = 0;
    a.then = &c;
    a.cancel = &d;
    env_turn_end_add(h.env, &hook, on_hook);
    env_post(h.env, &a.task, on_task);
    env_post(h.env, &b.task, on_task);
    env_post(h.env, &d.task, on_task);
    env_post(h.env, &a.task, on_task); /* queued already */
    CHECK_SPAN(span_cstr(h.text), "");
    run_for(20);
    /* The timer's turn ends with the hook too. */
    const char *want = "a b c hook posted hook timer hook";
    CHECK(strncmp(h.text, want, strlen(want)) == 0);
    env_turn_end_remove(h.env, &hook);
}

BOTH(a_timer_armed_with_0_by_a_timer_waits_for_the_next_turn)
{
    struct alarm first = {0}, second = {.name = "second"}, third = {0};
    struct env_hook hook = {0};
    hook_calls = 1;
    first.then = &second;
    arm(&first, "first", 3);
    arm(&third, "third", 3);
    (void)usleep(5000); /* both are due in the first turn, whenever they were armed */
    env_turn_end_add(h.env, &hook, on_hook);
    run_for(20);
    env_turn_end_remove(h.env, &hook);
    const char *at = strstr(h.text, "first - ");
    CHECK(at && strstr(at, "third") && strstr(at, "second"));
    CHECK(strstr(at, "third") < strstr(at, "second"));
    CHECK(strstr(at, "hook") < strstr(at, "second"));
}

BOTH(clocks_advance_and_random_is_random)
{
    int64_t mono = env_mono_ns(h.env), wall = env_now_ms(h.env);
    run_for(30);
    CHECK(env_mono_ns(h.env) - mono >= 30000000);
    CHECK(env_now_ms(h.env) - wall >= 29);
    CHECK(llabs(env_now_us(h.env) / 1000 - env_now_ms(h.env)) < 1000);
    CHECK(wall > INT64_C(1700000000000));
    uint64_t a = env_random_u64(h.env), b = env_random_u64(h.env);
    CHECK(a != b);
    unsigned char bytes[37] = {0}, set = 0;
    env_random(h.env, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        set += bytes[i] != 0;
    }
    CHECK(set > 20);
}

/* ---- work ---- */

struct task_work {
    struct env_work work;
    int number, ran;
};

static int work_done, lane_last;

static void run_work(struct env_work *work)
{
    struct task_work *t = CONTAINER_OF(work, struct task_work, work);
    if (!h.is_sim) {
        (void)usleep((useconds_t)(1000 * (t->number % 3)));
    }
    t->ran++;
}

static void done_work(struct env_work *work)
{
    struct task_work *t = CONTAINER_OF(work, struct task_work, work);
    CHECK_EQ(t->ran, 1);
    free(t); /* the owner may */
    if (++work_done == 40) {
        stop();
    }
}

static struct task_work *work_new(int number)
{
    struct task_work *t = MEM_NEW(struct task_work);
    t->number = number;
    return t;
}

BOTH(pool_work_runs_and_then_is_done_on_the_loop)
{
    work_done = 0;
    for (int i = 0; i < 40; i++) {
        env_work_start(h.env, &work_new(i)->work, run_work, done_work);
    }
    CHECK_EQ(work_done, 0);
    run();
    CHECK_EQ(work_done, 40);
}

static int lane_running;
static void run_lane(struct env_work *work)
{
    struct task_work *t = CONTAINER_OF(work, struct task_work, work);
    CHECK_EQ(lane_running, t->number); /* strictly one after the other */
    run_work(work);
    lane_running++;
}

static void done_lane(struct env_work *work)
{
    struct task_work *t = CONTAINER_OF(work, struct task_work, work);
    CHECK_EQ(t->number, lane_last + 1);
    lane_last = t->number;
    done_work(work);
}

BOTH(a_lane_runs_its_work_strictly_in_order)
{
    work_done = 0;
    lane_last = -1;
    lane_running = 0;
    struct env_lane *lane = env_lane_new(h.env, "test");
    for (int i = 0; i < 40; i++) {
        env_lane_start(lane, &work_new(i)->work, run_lane, done_lane);
    }
    CHECK_EQ(work_done, 0);
    run();
    CHECK_EQ(work_done, 40);
    for (int i = 40; i < 50; i++) {
        env_lane_start(lane, &work_new(i)->work, run_lane, done_lane);
    }
    env_lane_free(lane); /* waits, and tells */
    CHECK_EQ(work_done, 50);
    env_lane_free(NULL);
}

static void on_wakeup(void *data)
{
    ++*(int *)data;
    stop();
}

static struct env_wakeup *wakeup;
static void run_send(struct env_work *work)
{
    CONTAINER_OF(work, struct task_work, work)->ran++;
    env_wakeup_send(wakeup);
    env_wakeup_send(wakeup);
}

BOTH(a_wakeup_reaches_the_loop_from_any_thread)
{
    int calls = 0, none = 0;
    work_done = 0;
    wakeup = env_wakeup_new(h.env, on_wakeup, &calls);
    struct env_wakeup *freed = env_wakeup_new(h.env, on_wakeup, &none);
    env_wakeup_send(freed);
    env_wakeup_free(freed); /* sent, but not any more */
    env_work_start(h.env, &work_new(0)->work, run_send, done_work);
    run();
    run_for(30);
    CHECK(calls == 1 || calls == 2);
    CHECK_EQ(none, 0);
    CHECK_EQ(work_done, 1);
    env_wakeup_free(wakeup);
    env_wakeup_free(NULL);
}

/* ---- streams ---- */

/* One end. What it does is switched by its flags. */
struct end {
    struct env_stream *s;
    struct strbuf got;
    bool is_echo;     /* writes back what it gets, with back-pressure; half-closes at the end */
    bool is_paused;   /* echo: waits for on_drain */
    bool stops;       /* stop() at the end */
    bool wants_drain; /* stop() at on_drain */
    size_t stops_at;  /* stop() when so many bytes are here */
    int ends, drains, code;
};

static struct end client, server;
static struct env_listener *listener;

static void end_read(void *data, struct span bytes)
{
    struct end *e = data;
    CHECK(bytes.n > 0 && e->ends == 0);
    strbuf_put(&e->got, bytes);
    if (e->is_echo) {
        env_stream_write(e->s, bytes);
        if (env_stream_queued(e->s) > 65536 && !e->is_paused) {
            e->is_paused = true;
            env_stream_read(e->s, false);
        }
    }
    if (e->stops_at && e->got.n >= e->stops_at) {
        stop();
    }
}

static void end_end(void *data, int code)
{
    struct end *e = data;
    e->ends++;
    CHECK_EQ(e->ends, 1);
    e->code = code;
    if (e->is_echo) {
        env_stream_shutdown(e->s);
    }
    if (e->stops) {
        stop();
    }
}

static void end_drain(void *data)
{
    struct end *e = data;
    e->drains++;
    CHECK_EQ(env_stream_queued(e->s), 0);
    if (e->is_paused) {
        e->is_paused = false;
        env_stream_read(e->s, true);
    }
    if (e->wants_drain) {
        stop();
    }
}

static const struct env_stream_handler end_handler = {end_read, end_end, end_drain};

static void end_take(struct end *e, struct env_stream *s, bool read)
{
    e->s = s;
    env_stream_set(s, &end_handler, e);
    env_stream_read(s, read);
}

static bool server_reads;
static int accepted, connected;

static void on_accept(void *data, struct env_stream *s)
{
    CHECK(data == &server);
    end_take(&server, s, server_reads);
    accepted++;
    if (connected) {
        stop();
    }
}

static void on_connect(void *data, int code, struct env_stream *s)
{
    CHECK(data == &client);
    CHECK_EQ(code, 0);
    end_take(&client, s, true);
    connected++;
    if (accepted) {
        stop();
    }
}

/* Connects client and server and runs until both have their streams. */
static void connect_both(void)
{
    client = server = (struct end){0};
    accepted = connected = 0;
    server_reads = true;
    const struct env_listener_handler handler = {on_accept};
    CHECK_EQ(env_listen_tcp(h.env, "127.0.0.1", 0, &handler, &server, &listener), 0);
    CHECK(env_listener_port(listener) > 0);
    CHECK_EQ(env_connect_tcp(h.env, "127.0.0.1", env_listener_port(listener), on_connect, &client),
             0);
    CHECK_EQ(connected, 0); /* never inside the call */
    run();
    CHECK(accepted == 1 && connected == 1);
}

static void close_both(void)
{
    if (client.s) {
        env_stream_close(client.s);
    }
    if (server.s) {
        env_stream_close(server.s);
    }
    strbuf_done(&client.got);
    strbuf_done(&server.got);
    env_listener_close(listener);
}

/* More than a kernel takes; the simulated one takes 64 KiB. */
static size_t big_bytes(void)
{
    return h.is_sim ? 300000 : 3000000;
}

static struct strbuf big_data(void)
{
    struct strbuf b = STRBUF_INIT;
    uint32_t x = 1;
    while (b.n < big_bytes()) {
        x = x * 1664525 + 1013904223;
        strbuf_putc(&b, (char)(x >> 24));
    }
    return b;
}

BOTH(a_stream_keeps_bytes_and_their_order_and_half_closes)
{
    connect_both();
    struct strbuf data = big_data();
    server.is_echo = true;
    client.stops = true;
    char want[64];
    snprintf(want, sizeof want, "127.0.0.1:%u", env_listener_port(listener));
    CHECK_SPAN(span_cstr(env_stream_peer(client.s)), want);
    CHECK(strncmp(env_stream_peer(server.s), "127.0.0.1:", 10) == 0);
    for (size_t at = 0; at < data.n; at += 70001) {
        env_stream_write(client.s, span_first(span_from(strbuf_span(&data), at), 70001));
    }
    CHECK(!h.is_sim || env_stream_queued(client.s) > 0); /* a real kernel may take so much */
    env_stream_shutdown(client.s);
    CHECK(server.got.n == 0);
    run();
    CHECK_EQ(client.code, 0);
    CHECK_EQ(client.ends, 1);
    CHECK_EQ(server.ends, 1);
    CHECK_EQ(client.got.n, data.n);
    CHECK(span_eq(strbuf_span(&client.got), strbuf_span(&data)));
    CHECK(!h.is_sim || client.drains > 0);
    strbuf_done(&data);
    close_both();
}

BOTH(a_reader_that_pauses_holds_the_writer_back)
{
    connect_both();
    struct strbuf data = big_data();
    env_stream_read(server.s, false);
    for (int i = 0; i < 10; i++) {
        env_stream_write(client.s, strbuf_span(&data));
    }
    run_for(50);
    CHECK_EQ(server.got.n, 0);
    CHECK(env_stream_queued(client.s) > 3 * big_bytes());
    CHECK_EQ(client.drains, 0);
    client.wants_drain = true;
    env_stream_read(server.s, true);
    run();
    CHECK_EQ(client.drains, 1);
    CHECK(server.got.n > 3 * big_bytes());
    server.stops_at = 10 * big_bytes();
    if (server.got.n < server.stops_at) {
        run();
    }
    CHECK_EQ(server.got.n, 10 * big_bytes());
    strbuf_done(&data);
    close_both();
}

BOTH(close_flush_lets_queued_bytes_leave)
{
    connect_both();
    struct strbuf data = big_data();
    server.stops = true;
    env_stream_write(client.s, strbuf_span(&data));
    env_stream_close_flush(TAKE_PTR(client.s));
    run();
    CHECK_EQ(server.code, 0);
    CHECK_EQ(server.got.n, data.n);
    CHECK(span_eq(strbuf_span(&server.got), strbuf_span(&data)));
    CHECK_EQ(client.ends, 0); /* no callback follows */
    strbuf_done(&data);
    close_both();
}

BOTH(close_discards_what_is_queued)
{
    connect_both();
    struct strbuf data = big_data();
    server.stops = true;
    for (int i = 0; i < 10; i++) {
        env_stream_write(client.s, strbuf_span(&data));
    }
    CHECK(env_stream_queued(client.s) > 0);
    env_stream_close(TAKE_PTR(client.s));
    run();
    CHECK_EQ(server.ends, 1);
    CHECK(server.got.n < 10 * big_bytes());
    CHECK_EQ(client.ends + client.drains, 0);
    strbuf_done(&data);
    close_both();
}

BOTH(writing_to_a_peer_that_is_gone_ends_the_stream)
{
    connect_both();
    env_stream_close(TAKE_PTR(server.s));
    client.stops = true;
    run();
    CHECK_EQ(client.code, 0); /* an orderly end first */
    client.stops = false;
    for (int i = 0; i < 5; i++) {
        env_stream_write(client.s, SPAN("into the void"));
        run_for(5);
    }
    CHECK_EQ(client.ends, 1); /* told once */
    close_both();
}

BOTH(unread_bytes_at_close_reset_the_peer)
{
    connect_both();
    struct strbuf data = big_data();
    env_stream_read(server.s, false);
    for (int i = 0; i < 5; i++) {
        env_stream_write(client.s, strbuf_span(&data));
    }
    run_for(20);
    client.stops = true;
    env_stream_close(TAKE_PTR(server.s));
    run();
    CHECK(client.code == -ECONNRESET || client.code == -EPIPE);
    strbuf_done(&data);
    close_both();
}

static int connect_code;
static void on_refused(void *data, int code, struct env_stream *s)
{
    CHECK(data == &connect_code);
    CHECK(!s);
    connect_code = code;
    stop();
}

BOTH(a_refused_connection_is_told_later)
{
    connect_both();
    uint16_t port = env_listener_port(listener);
    close_both();
    connect_code = 1;
    CHECK_EQ(env_connect_tcp(h.env, "127.0.0.1", port, on_refused, &connect_code), 0);
    CHECK_EQ(connect_code, 1);
    run();
    CHECK_EQ(connect_code, -ECONNREFUSED);
    CHECK(env_connect_tcp(h.env, "not a number", port, on_refused, &connect_code) < 0);
    char path[128];
    snprintf(path, sizeof path, "%s/absent", kit_tmpdir());
    connect_code = 1;
    CHECK_EQ(env_connect_unix(h.env, path, on_refused, &connect_code), 0);
    run();
    CHECK_EQ(connect_code, -ENOENT);
}

BOTH(an_address_in_use_is_refused)
{
    const struct env_listener_handler handler = {on_accept};
    struct env_listener *first, *second;
    CHECK_EQ(env_listen_tcp(h.env, "127.0.0.1", 0, &handler, &server, &first), 0);
    CHECK_EQ(
        env_listen_tcp(h.env, "127.0.0.1", env_listener_port(first), &handler, &server, &second),
        -EADDRINUSE);
    CHECK(env_listen_tcp(h.env, "localhost", 0, &handler, &server, &second) < 0);
    env_listener_close(first);
}

BOTH(unix_sockets_are_streams_too)
{
    client = server = (struct end){0};
    accepted = connected = 0;
    server_reads = true;
    char path[128];
    snprintf(path, sizeof path, "%s/socket", kit_tmpdir());
    const struct env_listener_handler handler = {on_accept};
    CHECK_EQ(env_listen_unix(h.env, path, 0600, &handler, &server, &listener), 0);
    CHECK_EQ(env_connect_unix(h.env, path, on_connect, &client), 0);
    run();
    CHECK_SPAN(span_cstr(env_stream_peer(client.s)), "unix");
    CHECK_SPAN(span_cstr(env_stream_peer(server.s)), "unix");
    client.stops_at = 5;
    env_stream_write(server.s, SPAN("hello"));
    run();
    CHECK_SPAN(strbuf_span(&client.got), "hello");
    close_both();
    (void)unlink(path);
}

/* ---- the simulated one alone ---- */

/* A little of everything; the text tells in which order, and when. */
static void play(uint64_t seed, char *ret, size_t size)
{
    h = (struct harness){.env = env_sim_new(seed), .is_sim = true};
    connect_both();
    struct strbuf data = big_data();
    server.is_echo = true;
    client.stops = true;
    env_stream_write(client.s, strbuf_span(&data));
    env_stream_shutdown(client.s);
    work_done = 0;
    for (int i = 0; i < 5; i++) {
        env_work_start(h.env, &work_new(i)->work, run_work, done_work);
    }
    run();
    snprintf(ret, size, "%lld %d %d %d %llx", (long long)env_mono_ns(h.env), client.drains,
             server.drains, work_done, (unsigned long long)env_random_u64(h.env));
    run_for(100);
    close_both();
    strbuf_done(&data);
    env_sim_free(h.env);
}

TEST(sim_the_same_seed_gives_the_same_run)
{
    char a[200], b[200], c[200];
    play(4711, a, sizeof a);
    play(4711, b, sizeof b);
    play(4712, c, sizeof c);
    CHECK_SPAN(span_cstr(a), b);
    CHECK(strcmp(a, c) != 0);
}

TEST(sim_time_jumps_to_the_next_due_thing_and_the_wall_clock_alone_can_jump)
{
    h = (struct harness){.env = env_sim_new(1), .is_sim = true};
    struct alarm a = {0}, b = {0};
    arm(&a, "day", 86400000);
    arm(&b, "hour", 3600000);
    int64_t start_ms = env_mono_ns(h.env) / 1000000, wall = env_now_ms(h.env);
    env_sim_run_until(h.env, start_ms + 3600000 - 1);
    CHECK_SPAN(span_cstr(h.text), "");
    env_sim_run_for(h.env, 1);
    CHECK_SPAN(span_cstr(h.text), "hour ");
    env_sim_jump_wall(h.env, -5000);
    CHECK_EQ(env_now_ms(h.env) - wall, 3600000 - 5000);
    CHECK(env_sim_step(h.env));
    CHECK(!env_sim_step(h.env));
    CHECK_SPAN(span_cstr(h.text), "hour day ");
    env_sim_free(h.env);
}

static void never_work(struct env_work *work)
{
    (void)work;
    note("done");
}

TEST(sim_a_crashed_role_is_silent_and_its_peers_see_a_reset)
{
    for (int i = 0; i < 50; i++) {
        h = (struct harness){.env = env_sim_new(kit_random()), .is_sim = true};
        struct env *role = env_sim_join(h.env);
        client = server = (struct end){0};
        accepted = connected = 0;
        server_reads = true;
        const struct env_listener_handler handler = {on_accept};
        CHECK_EQ(env_listen_tcp(role, "127.0.0.1", 80, &handler, &server, &listener), 0);
        CHECK_EQ(env_connect_tcp(h.env, "127.0.0.1", 80, on_connect, &client), 0);
        run();
        struct alarm alarm = {.name = "timer"};
        struct job job = {.name = "task"};
        struct env_hook hook = {0};
        struct task_work *w = work_new(1), *l = work_new(2);
        struct env_wakeup *wake = env_wakeup_new(role, on_wakeup, &connect_code);
        env_timer_start(role, &alarm.timer, 5, on_alarm);
        env_post(role, &job.task, on_task);
        env_turn_end_add(role, &hook, on_hook);
        env_work_start(role, &w->work, run_work, never_work);
        env_lane_start(env_lane_new(role, "x"), &l->work, run_work, never_work);
        env_wakeup_send(wake);
        env_stream_write(server.s, SPAN("last words"));
        (void)env_connect_tcp(role, "127.0.0.1", 80, on_refused, &connect_code);
        h.text[0] = '\0';
        client.stops = true;
        connect_code = 1;
        env_sim_crash(role);
        run();
        CHECK_EQ(client.code, -ECONNRESET);
        CHECK_EQ(env_connect_tcp(h.env, "127.0.0.1", 80, on_refused, &connect_code), 0);
        run();
        CHECK_EQ(connect_code, -ECONNREFUSED); /* nobody listens there any more */
        run_for(100);
        CHECK_SPAN(span_cstr(h.text), "");
        env_stream_close(client.s);
        strbuf_done(&client.got);
        strbuf_done(&server.got);
        env_sim_free(h.env);
        free(w);
        free(l);
    }
}

TEST(sim_refuses_what_needs_the_machine)
{
    struct env *env = env_sim_new(1);
    const char *argv[] = {"true", NULL};
    int fds[] = {-1, -1, -1};
    struct env_spawn spec = {.argv = argv, .fds = fds, .fd_count = 3};
    CHECK_EQ(env_spawn(env, &spec, NULL), -ENOSYS);
    CHECK_EQ(env_dir_watch_new(env, "/", NULL, NULL, NULL), -ENOSYS);
    CHECK_EQ(env_signal_new(env, 15, NULL, NULL, NULL), -ENOSYS);
    CHECK_EQ(env_stream_open_fd(env, 0, NULL), -ENOSYS);
    env_sim_free(env);
}
