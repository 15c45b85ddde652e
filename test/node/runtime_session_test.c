/* Commands in real containers, and attachments to them. */
#include "kit/crun_world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "env/env_uv.h"
#include "os/os_fs.h"
#include "os/os_mount.h"

TEST(commands_run_inside_with_pipes_and_with_a_terminal)
{
    struct cw *w = cw_new();
    const struct runtime_ops *ops = w->rt->ops;
    cw_sandbox(w);
    struct runtime_container_spec spec = cw_spec_of(w, "sleep 1000", 0);
    spec.user = SPAN("redis");
    spec.cwd = SPAN("/tmp");
    cw_start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    cw_session(w, CW_UID "-main-0", "id -u; pwd; echo $GREETING; echo bad >&2; exit 5", false,
               false);
    cw_wait_ended(w);
    CHECK_EQ(w->exit_code, 5);
    CHECK_SPAN(strbuf_span(&w->out), "999\n/tmp\nhello\n");
    CHECK_SPAN(strbuf_span(&w->err), "bad\n");

    struct runtime_session *s = cw_session(w, CW_UID "-main-0", "cat; echo end", false, true);
    ops->session_write(s, SPAN("some "));
    ops->session_write(s, SPAN("text\n"));
    cw_wait_out(w, "text");
    ops->session_close_stdin(s);
    cw_wait_ended(w);
    CHECK_EQ(w->exit_code, 0);
    CHECK_SPAN(strbuf_span(&w->out), "some text\nend\n");

    cw_session(w, CW_UID "-main-0", "!nosuch", false, false);
    cw_wait_ended(w);
    CHECK_EQ(w->exit_code, -ENOENT);
    CHECK_SPAN(w->detail, "exec: \"nosuch\": executable file not found in $PATH");
    CHECK_EQ(w->err.n, 0);

    s = cw_session(w, CW_UID "-main-0",
                   "tty; read x; stty size; read x; stty size; echo got $x; exit 9", true, true);
    ops->session_resize(s, 100, 40);
    cw_wait_out(w, "/dev/pts/");
    ops->session_write(s, SPAN("\n"));
    cw_wait_out(w, "40 100\r\n");
    ops->session_resize(s, 90, 30);
    ops->session_write(s, SPAN("word\n"));
    cw_wait_ended(w);
    CHECK_EQ(w->exit_code, 9);
    CHECK(memmem(w->out.p, w->out.n, "/dev/pts/", 9));
    CHECK(memmem(w->out.p, w->out.n, "got word\r\n", 10));
    CHECK(memmem(w->out.p, w->out.n, "30 90\r\n", 7));

    /* A big output under back-pressure arrives whole. */
    s = cw_session(w, CW_UID "-main-0", "dd if=/dev/zero bs=1k count=3000 2>/dev/null", false,
                   false);
    cw_wait_out(w, "");
    while (w->out.n == 0) {
        env_uv_run(w->env);
    }
    ops->session_pause(s, true);
    cw_wait_ms(w, 100);
    ops->session_pause(s, false);
    cw_wait_ended(w);
    CHECK_EQ(w->out.n, 3000 * 1024);

    /* Something left in the background does not hold the session. */
    cw_session(w, CW_UID "-main-0", "sleep 100 & echo started", false, false);
    cw_wait_ended(w);
    CHECK_EQ(w->exit_code, 0);

    cw_session(w, "nobody", "true", false, false);
    cw_wait_ended(w);
    CHECK_EQ(w->exit_code, -ENOENT);
    cw_done(w);
}

TEST(an_aborted_command_is_killed)
{
    struct cw *w = cw_new();
    cw_sandbox(w);
    cw_start(w, "sleep 1000", 0);
    struct runtime_session *s =
        cw_session(w, CW_UID "-main-0", "echo up; exec sleep 2000", false, false);
    cw_wait_out(w, "up");
    w->rt->ops->session_abort(s);
    s = cw_session(w, CW_UID "-main-0", "exec sleep 2000", true, true);
    w->rt->ops->session_abort(s); /* while it is being prepared */
    s = cw_session(w, CW_UID "-main-0", "echo up; exec sleep 2000", true, true);
    cw_wait_out(w, "up");
    w->rt->ops->session_abort(s);
    cw_wait_ms(w, 300);
    CHECK(!w->ended);
    cw_session(w, CW_UID "-main-0", "cat /proc/[0-9]*/cmdline", false, false);
    cw_wait_ended(w);
    CHECK(!memmem(w->out.p, w->out.n, "2000", 4));
    CHECK(memmem(w->out.p, w->out.n, "1000", 4));
    cw_done(w);
}

TEST(attaching_talks_to_the_first_process)
{
    struct cw *w = cw_new();
    const struct runtime_ops *ops = w->rt->ops;
    cw_sandbox(w);
    struct runtime_container_spec spec = cw_spec_of(w, "cat; echo over; exit 4", 0);
    spec.with_stdin = true;
    spec.stdin_once = true;
    cw_start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    struct runtime_session *s = cw_session(w, CW_UID "-main-0", NULL, false, true);
    ops->session_write(s, SPAN("typed\n"));
    cw_wait_out(w, "typed\n");
    char *big = arena_alloc(w->a, 100001);
    memset(big, 'x', 100000);
    big[100000] = '\n';
    ops->session_write(s, span_of(big, 100001));
    while (w->out.n < 6 + 100001) {
        env_uv_run(w->env);
    }
    ops->session_close_stdin(s);
    cw_wait_ended(w);
    CHECK_EQ(w->exit_code, 4);
    CHECK(memmem(w->out.p, w->out.n, "over\n", 5));
    cw_wait_exits(w, 1);
    cw_session(w, CW_UID "-main-0", NULL, false, true);
    cw_wait_ended(w);
    CHECK_EQ(w->exit_code, -ESRCH);

    spec = cw_spec_of(w, "read x; stty size; read y; exit 6", 1);
    spec.with_stdin = spec.tty = true;
    cw_start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    s = cw_session(w, CW_UID "-main-1", NULL, true, true);
    ops->session_resize(s, 77, 33);
    cw_wait_ms(w, 30);
    ops->session_write(s, SPAN("\n"));
    cw_wait_out(w, "33 77\r\n");
    ops->session_write(s, SPAN("\n"));
    cw_wait_ended(w);
    CHECK_EQ(w->exit_code, 6);
    cw_done(w);
}

static void attach_twice(bool tty)
{
    struct cw *w = cw_new();
    const struct runtime_ops *ops = w->rt->ops;
    cw_sandbox(w);
    struct runtime_container_spec spec =
        cw_spec_of(w, "read x; echo got $x; read y; echo and $y; exit 5", 0);
    spec.with_stdin = true;
    spec.stdin_once = spec.tty = tty;
    cw_start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    struct runtime_session *s = cw_session(w, CW_UID "-main-0", NULL, tty, true);
    ops->session_write(s, SPAN("one\n"));
    cw_wait_out(w, "got one");
    ops->session_close_stdin(s);
    cw_wait_ended(w);
    CHECK_EQ(w->exit_code, 0);
    CHECK_EQ(w->exits, 0);
    s = cw_session(w, CW_UID "-main-0", NULL, tty, true); /* somebody else goes on */
    ops->session_write(s, SPAN("two\n"));
    cw_wait_out(w, "and two");
    cw_wait_ended(w);
    CHECK_EQ(w->exit_code, 5);
    cw_done(w);
}

TEST(an_attachment_ends_with_its_input_when_the_process_keeps_its_own)
{
    attach_twice(false);
}

TEST(an_attachment_to_a_terminal_ends_with_its_input)
{
    attach_twice(true);
}

/* The process says all it has to say at once: nobody who attaches after its start could see it. */
TEST(a_process_whose_input_is_for_one_client_waits_for_that_client)
{
    struct cw *w = cw_new();
    cw_sandbox(w);
    struct runtime_container_spec spec = cw_spec_of(w, "echo first words; exit 3", 0);
    spec.with_stdin = spec.stdin_once = true;
    cw_start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    CHECK_EQ(w->status.state, RUNTIME_RUNNING);
    cw_wait_ms(w, 300);
    CHECK_EQ(w->exits, 0);
    cw_session(w, CW_UID "-main-0", NULL, false, true);
    cw_wait_ended(w);
    CHECK_EQ(w->exit_code, 3);
    CHECK_SPAN(strbuf_span(&w->out), "first words\n");
    cw_done(w);
}

TEST(without_a_client_it_goes_on_by_itself_and_it_hears_signals)
{
    struct cw *w = cw_new();
    cw_sandbox(w);
    struct runtime_container_spec spec = cw_spec_of(w, "echo alone; exit 5", 0);
    spec.with_stdin = spec.stdin_once = true;
    cw_start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    cw_wait_exits(w, 1);
    CHECK_EQ(w->last_exit.exit_code, 5);
    CHECK_EQ(cw_call(w, w->rt->ops->container_remove, CW_UID "-main-0"), 0);
    spec = cw_spec_of(w, "trap 'exit 7' TERM; sleep 60 & wait", 0);
    spec.with_stdin = spec.stdin_once = true;
    cw_start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    cw_session(w, CW_UID "-main-0", "true", false, false); /* a command does not find it waiting */
    cw_wait_ended(w);
    CHECK_EQ(w->exit_code, 0);
    cw_done(w);
}

TEST(one_that_waits_when_the_agent_dies_goes_on_with_the_next_agent)
{
    struct cw *w = cw_new();
    cw_sandbox(w);
    struct runtime_container_spec spec = cw_spec_of(w, "echo later; exit 9", 0);
    spec.with_stdin = spec.stdin_once = true;
    cw_start_spec(w, &spec);
    CHECK_EQ(w->code, 0);
    pid_t pid = w->status.pid;
    w->rt->ops->free(w->rt);
    w->rt = NULL;
    cw_drain(w);
    cw_open_runtime(w);
    cw_list(w);
    CHECK_EQ(w->list.container_count, 1);
    CHECK_EQ(w->list.containers[0].pid, pid);
    cw_wait_exits(w, 1);
    CHECK_EQ(w->last_exit.exit_code, 9);
    cw_done(w);
}
