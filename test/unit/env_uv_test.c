/* env/env_uv: what only the real environment has: children, directories, descriptors. (The rest:
 * contract/env_test.) */
#include "kit/kit.h"

#include <fcntl.h>
#include <unistd.h>

#include "env/env.h"
#include "env/env_uv.h"

static struct env *env;
static int exit_code = -1, exit_signal = -1;

static void on_exit_stop(void *data, int code, int signal)
{
    (void)data;
    exit_code = code;
    exit_signal = signal;
    env_uv_stop(env);
}

TEST(child_gets_its_descriptors_and_reports_its_exit)
{
    env = env_uv_new();
    int pipe_fds[2];
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    const char *argv[] = {"sh", "-c", "echo out; echo three >&3; exit 7", NULL};
    int fds[] = {-1, pipe_fds[1], -1, pipe_fds[1]};
    struct env_spawn spec = {.argv = argv, .fds = fds, .fd_count = 4, .on_exit = on_exit_stop};
    CHECK_EQ(env_spawn(env, &spec, NULL), 0);
    close(pipe_fds[1]);
    env_uv_run(env);
    CHECK_EQ(exit_code, 7);
    char buf[64] = {0};
    ssize_t n = read(pipe_fds[0], buf, sizeof buf - 1);
    CHECK_SPAN(span_of(buf, (size_t)n), "out\nthree\n");
    close(pipe_fds[0]);
    env_uv_free(env);
}

TEST(child_that_does_not_exist_is_an_error_not_an_exit)
{
    env = env_uv_new();
    const char *argv[] = {"/nonexistent/program", NULL};
    int fds[] = {-1, -1, -1};
    struct env_spawn spec = {.argv = argv, .fds = fds, .fd_count = 3, .on_exit = on_exit_stop};
    CHECK_EQ(env_spawn(env, &spec, NULL), -2);
    env_uv_free(env);
    CHECK_EQ(exit_code, -1);
}

TEST(child_killed_reports_the_signal)
{
    env = env_uv_new();
    const char *argv[] = {"sleep", "100", NULL};
    int fds[] = {-1, -1, -1};
    struct env_process *p;
    struct env_spawn spec = {.argv = argv, .fds = fds, .fd_count = 3, .on_exit = on_exit_stop};
    CHECK_EQ(env_spawn(env, &spec, &p), 0);
    CHECK_EQ(env_process_kill(p, 9), 0);
    env_uv_run(env);
    CHECK_EQ(exit_signal, 9);
    env_uv_free(env);
}

static char seen_name[64];
static void on_entry(void *data, const char *name)
{
    (void)data;
    snprintf(seen_name, sizeof seen_name, "%s", name);
    env_uv_stop(env);
}

TEST(directory_watch_names_the_new_entry)
{
    env = env_uv_new();
    struct env_dir_watch *w;
    CHECK_EQ(env_dir_watch_new(env, kit_tmpdir(), on_entry, NULL, &w), 0);
    char path[128];
    snprintf(path, sizeof path, "%s/exit-1", kit_tmpdir());
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    close(fd);
    env_uv_run(env);
    CHECK_SPAN(span_cstr(seen_name), "exit-1");
    env_dir_watch_free(w);
    env_uv_free(env);
}

static int pool_ran, pool_done_after;
static void pool_run_one(struct env_work *work)
{
    (void)work;
    __atomic_add_fetch(&pool_ran, 1, __ATOMIC_SEQ_CST);
}
static void pool_done_one(struct env_work *work)
{
    (void)work;
    pool_done_after = __atomic_load_n(&pool_ran, __ATOMIC_SEQ_CST);
    env_uv_stop(env);
}

TEST(pool_work_runs_before_its_done)
{
    env = env_uv_new();
    struct env_work work;
    env_work_start(env, &work, pool_run_one, pool_done_one);
    env_uv_run(env);
    CHECK_EQ(pool_done_after, 1);
    env_uv_free(env);
}

static struct env_timer late, early;
static int fired;
static void on_late(struct env_timer *t)
{
    (void)t;
    CHECK_EQ(fired++, 1);
    env_uv_stop(env);
}
static void on_early(struct env_timer *t)
{
    (void)t;
    CHECK_EQ(fired++, 0);
}

TEST(timers_fire_in_order_of_their_deadline)
{
    env = env_uv_new();
    env_timer_start(env, &late, 12, on_late);
    env_timer_start(env, &early, 1, on_early);
    env_uv_run(env);
    CHECK_EQ(fired, 2);
    env_uv_free(env);
}

static void quit(void *data)
{
    (void)data;
    env_uv_stop(env);
}

TEST(wakeup_from_another_thread_arrives)
{
    env = env_uv_new();
    struct env_wakeup *w = env_wakeup_new(env, quit, NULL);
    env_wakeup_send(w);
    env_wakeup_send(w);
    env_uv_run(env);
    env_wakeup_free(w);
    env_uv_free(env);
}
