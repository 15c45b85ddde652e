#include "os/os_run.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"

extern char **environ;

/* Reads to the end; what is over max is counted, not kept. */
static size_t drain(int fd, char *buf, size_t max)
{
    size_t n = 0;
    char rest[512];
    for (;;) {
        bool room = n < max;
        ssize_t got = read(fd, room ? buf + n : rest, room ? max - n : sizeof rest);
        if (got <= 0) {
            return n;
        }
        n += (size_t)got;
    }
}

int os_run_output(struct arena *a, const char *const *argv, size_t max, struct span *ret)
{
    int fds[2];
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    assert(argv);
    assert(argv[0]);
    assert(ret);
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return -errno;
    }
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    (void)posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int code =
        -posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(fds[1]);
    if (code < 0) {
        (void)close(fds[0]);
        return code;
    }
    char *buf = arena_alloc_raw(a, max);
    size_t n = drain(fds[0], buf, max);
    (void)close(fds[0]);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (n > max) {
        return E_LIMIT;
    }
    *ret = span_of(buf, n);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}
