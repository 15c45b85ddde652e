/* The lock of the data directory. */
#include "main/data_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit/kit.h"

static pid_t dead_process(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    return pid;
}

/* A process that has the lock, in whose file stands that number, until it is told to go. */
static pid_t hold(const char *dir, pid_t number, const int go[2])
{
    char path[200], text[20], byte;
    int held[2];
    (void)snprintf(path, sizeof path, "%s/lock", dir);
    int n = snprintf(text, sizeof text, "%d\n", (int)number);
    CHECK_EQ(pipe(held), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(path, O_RDWR | O_CREAT, 0600);
        (void)close(go[1]);
        if (fd < 0 || flock(fd, LOCK_EX) || write(fd, text, (size_t)n) != n) {
            _exit(1);
        }
        (void)close(held[1]);
        (void)!read(go[0], &byte, 1);
        _exit(0);
    }
    (void)close(held[1]);
    CHECK_EQ(read(held[0], &byte, 1), 0);
    (void)close(held[0]);
    return pid;
}

TEST(directory_of_a_server_that_lives_is_refused_by_its_number)
{
    cleanup_arena struct arena *a = arena_new();
    struct span detail = SPAN_NULL, dir = span_cstr(kit_tmpdir());
    int go[2];
    CHECK_EQ(pipe(go), 0);
    pid_t pid = hold(dir.p, getpid(), go);
    CHECK(data_dir_lock(a, dir, &detail) < 0);
    struct span who = arena_printf(a, "in use by another berth, process %d: ", (int)getpid());
    CHECK(memmem(detail.p, detail.n, who.p, who.n));
    (void)close(go[1]);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    int fd = data_dir_lock(a, dir, &detail);
    CHECK(fd >= 0);
    (void)close(fd);
}

/* It was killed just when it started a program, and a server that came at once was refused. */
TEST(child_that_a_killed_server_left_is_waited_for)
{
    cleanup_arena struct arena *a = arena_new();
    struct span detail = SPAN_NULL, dir = span_cstr(kit_tmpdir());
    int go[2];
    CHECK_EQ(pipe(go), 0);
    pid_t pid = hold(dir.p, dead_process(), go), later = fork();
    if (later == 0) {
        (void)usleep(30000);
        _exit(0); /* the last who could tell it to go */
    }
    (void)close(go[1]);
    int fd = data_dir_lock(a, dir, &detail);
    CHECK(fd >= 0);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK_EQ(waitpid(later, NULL, 0), later);
    (void)close(fd);
}
